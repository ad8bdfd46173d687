"""The client: asks TF Serving, or the development server, over REST or gRPC."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from keras_bert.serving.client_values import input_order, length_of, plain, row_of, tensor_of
from keras_bert.serving.errors import ServingError
from keras_bert.serving.transport import (
    Backoff,
    SignatureInfo,
    Target,
    Transport,
    VersionStatus,
)

__all__ = ["Client"]

DEFAULT_SIGNATURE = "serving_default"


class Client:
    """Asks a model that TF Serving, or ``keras-bert serve``, has loaded.

    May be used from several threads at once.

    Args:
        url: ``http://HOST:PORT``, ``https://…``, ``grpc://HOST:PORT``, or ``grpcs://…`` for an
            encrypted channel. Over REST nothing but NumPy is needed; gRPC takes TensorFlow and
            ``pip install 'keras-bert-garden[serving]'``.
        model: Name of the model; may be left out where the calls name it.
        version: Number of the version; None for the newest.
        label: Label of the version, in the place of its number.
        timeout: Seconds that a call may take, with all its retries.
        retries: How often a call is made again where the server could not be reached, hung up, or
            said it was too busy; a little later each time. Anything else is raised at once.
        batch_size: Texts per request: longer lists are cut.
        headers: Sent with each request over REST.

    Raises:
        ValueError: If the URL is none of these, or an argument is out of its range.

    Example:
        >>> client = Client("http://127.0.0.1:8501", model="banking77")
        >>> client.predict(["My card has not arrived"])[0]["label"]
        'card_arrival'
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        retries: int = 4,
        batch_size: int = 32,
        headers: Mapping[str, str] | None = None,
    ):
        if version is not None and label is not None:
            raise ValueError(f"Give a version or a label; received {version} and {label!r}.")
        if timeout <= 0 or retries < 0 or batch_size < 1:
            raise ValueError(
                "timeout and batch_size must be positive and retries 0 or more; received "
                f"timeout={timeout}, batch_size={batch_size}, retries={retries}."
            )
        self.url, self.model, self.timeout, self.batch_size = url, model, timeout, batch_size
        self._version, self._label = version, label
        self._backoff = Backoff(retries)
        self._transport = _transport(url, headers)
        self._signatures: dict[Target, dict[str, SignatureInfo]] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    # Asking.

    def predict(
        self,
        texts: Sequence,
        model: str | None = None,
        signature: str = DEFAULT_SIGNATURE,
        inputs: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Answers a list of texts or of pairs of texts.

        Args:
            texts: str or bytes each; where the model has several inputs, tuples of them, or dicts
                by the inputs' names. An input that is several texts, such as the choices of a
                prompt, is a list of them.
            model: Name of the model; default: the client's.
            signature: Name of the signature.
            inputs: Names of the inputs in the order of the tuples; default: question and context,
                prompt and choices, else by the alphabet (text_a, text_b).

        Returns:
            One dict per text, in the order given, as ``keras_bert.export.ask.ask`` gives them:
            strings as str, single numbers as Python numbers, everything else as NumPy arrays.
            Where a text has fewer of something than others that the server answered with it, the
            array is padded: strings with "", whole numbers with -1, floats with 0.

        Raises:
            TypeError: If an item is no text, or no tuple where several are wanted; it is named.
            ServingError: If the server gives no answer; ``code`` says why.

        Example:
            >>> Client("grpc://127.0.0.1:8500").predict(["Is it free?"], model="banking77")
            [{'label': 'fees', 'probability': 0.98, 'probabilities': array([...])}]
        """
        if isinstance(texts, str | bytes | Mapping):
            raise TypeError("texts must be a list of texts; received a single one.")
        texts = list(texts)
        if not texts:
            return []
        info = self._signature(model, signature)
        names = input_order(info.inputs, inputs)
        rows = [row_of(text, position, names) for position, text in enumerate(texts)]
        # A batch is padded to its longest text, so texts of like length go together.
        order = sorted(range(len(rows)), key=lambda i: sum(map(length_of, rows[i])))
        answers: list = [None] * len(rows)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            columns = zip(*(rows[i] for i in chosen), strict=True)
            outputs = self.call(dict(zip(names, columns, strict=True)), model, signature)
            for row, i in enumerate(chosen):
                answers[i] = {name: plain(value[row]) for name, value in outputs.items()}
        return answers

    def call(
        self,
        inputs: Mapping[str, Any],
        model: str | None = None,
        signature: str = DEFAULT_SIGNATURE,
    ) -> dict[str, np.ndarray]:
        """Calls a signature with one batch of tensors, in one request.

        Args:
            inputs: For each input a list or array, batch first. Lists of lists of texts may be of
                different lengths; they are padded with "".
            model: Name of the model; default: the client's.
            signature: Name of the signature.

        Returns:
            Arrays by the outputs' names; strings as bytes in object arrays.

        Raises:
            ServingError: If the server gives no answer.
            ValueError: If the inputs are not the signature's.
        """
        target, info = self._target(model), self._signature(model, signature)
        if set(info.inputs) != set(inputs):
            raise ValueError(
                f"Signature {signature!r} takes {sorted(info.inputs)}; received {sorted(inputs)}."
            )
        tensors = {name: tensor_of(inputs[name], info.inputs[name]) for name in inputs}
        try:
            return self._backoff.call(
                lambda seconds: self._transport.predict(
                    target, signature, tensors, info.outputs, seconds
                ),
                self.timeout,
            )
        except ServingError:
            # A new version may have other inputs and outputs: what is known is asked for again.
            self._signatures.pop(target, None)
            raise

    def classify(
        self, examples: Sequence[Mapping], model: str | None = None, signature: str | None = None
    ) -> list[list[tuple[str, float]]]:
        """Classifies records, by TF Serving's Classify call.

        Args:
            examples: Features by name: texts, numbers, or lists of them.
            model: Name of the model; default: the client's.
            signature: Name of the signature; default: the server's default.

        Returns:
            For each record the labels with their scores.

        Example:
            >>> client.classify([{"text": "Is it free?"}], signature="classify")
            [[('fees', 0.98), ('card_arrival', 0.01)]]
        """
        target = self._target(model)
        return self._in_batches(
            lambda part, seconds: self._transport.classify(target, signature, part, seconds),
            examples,
        )

    def regress(
        self, examples: Sequence[Mapping], model: str | None = None, signature: str | None = None
    ) -> list[float]:
        """Gives a number for each record, by TF Serving's Regress call; see ``classify``."""
        target = self._target(model)
        return self._in_batches(
            lambda part, seconds: self._transport.regress(target, signature, part, seconds),
            examples,
        )

    def _in_batches(self, ask, examples) -> list:
        examples, results = list(examples), []
        for start in range(0, len(examples), self.batch_size):
            part = examples[start : start + self.batch_size]
            results += self._backoff.call(lambda s, part=part: ask(part, s), self.timeout)
        return results

    # About the model.

    def status(self, model: str | None = None) -> dict[int, VersionStatus]:
        """States of the model's versions, or of the client's one, newest first."""
        target = self._target(model)
        found = self._backoff.call(lambda s: self._transport.status(target, s), self.timeout)
        return dict(sorted(found.items(), reverse=True))

    def signatures(self, model: str | None = None) -> dict[str, SignatureInfo]:
        """The model's signatures, with types and shapes of their inputs and outputs."""
        target = self._target(model)
        return self._backoff.call(lambda s: self._transport.signatures(target, s), self.timeout)

    def wait_until_ready(self, timeout: float = 60.0, model: str | None = None) -> int:
        """Waits until a version of the model is available; returns its number.

        Raises:
            ServingError: If none is in time; says what became of those that are not.
        """
        target, end = self._target(model), time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            try:
                found = self._transport.status(target, max(min(left, self.timeout), 0.1))
                ready = [n for n, status in found.items() if status.state == "AVAILABLE"]
                if ready:
                    return max(ready)
                error = ServingError("UNAVAILABLE", f"{target.model!r} is not available: {found}")
            except ServingError as failure:
                error = failure
            if time.monotonic() + 0.2 > end:
                raise error
            time.sleep(0.2)

    def _target(self, model: str | None) -> Target:
        name = model or self.model
        if not name:
            raise ValueError("Say which model: Client(url, model=NAME), or model=NAME in the call.")
        return Target(name, self._version, self._label)

    def _signature(self, model: str | None, name: str) -> SignatureInfo:
        target = self._target(model)
        if target not in self._signatures:
            self._signatures[target] = self.signatures(model)
        known = self._signatures[target]
        if name not in known:
            del self._signatures[target]
            raise ValueError(f"No signature {name!r}; there are {sorted(known)}.")
        return known[name]


def _transport(url: str, headers) -> Transport:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and parts.hostname:
        from keras_bert.serving.rest_client import RestTransport

        return RestTransport(url, headers)
    if parts.scheme in ("grpc", "grpcs") and parts.netloc:
        import grpc

        from keras_bert.serving.grpc_client import GrpcTransport

        credentials = grpc.ssl_channel_credentials() if parts.scheme == "grpcs" else None
        return GrpcTransport(parts.netloc, credentials)
    raise ValueError(
        f"Expected http://HOST:PORT, https://…, grpc://HOST:PORT or grpcs://…; received {url!r}."
    )
