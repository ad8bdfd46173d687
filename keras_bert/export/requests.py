"""What an export is asked before it is trusted: for each signature some difficult texts."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

__all__ = ["Request", "array_of", "make_requests", "token_ids"]

#: Texts per request: enough for rows of different lengths to share a batch.
_BATCH = 32

_SAMPLE = (
    "My card has not arrived",
    "",
    "Crème brûlée à la façade, ÅNGSTRÖM und Straße",
    "我的卡还没有到。",
    "Где моя карта? Η κάρτα ΜΟΥ; مرحبا",
    "thanks 🙂👍🏽 👩‍👩‍👧",
    "tab\tnew line\nand a word thatisverylongbutwithoutanyspace, [MASK]!",
    b"ill-formed \xff\xc3 bytes",
)


@dataclasses.dataclass(frozen=True)
class Request:
    """One call of one signature.

    Attributes:
        signature: Its name.
        inputs: For each of its inputs a column: a list of bytes, or of lists of them of one
            length, or rows of ids.
        texts: Where the inputs are ``tf.Example`` protos, the columns of texts in them.
    """

    signature: str
    inputs: Mapping[str, Sequence]
    texts: Mapping[str, Sequence] | None = None

    def to_json(self) -> dict:
        """Returns the request as TF Serving's REST API would take it."""
        inputs = {name: list(map(_jsonable, column)) for name, column in self.inputs.items()}
        return {"signature_name": self.signature, "inputs": inputs}


def _jsonable(item):
    if isinstance(item, list):
        return list(map(_jsonable, item))
    return {"b64": base64.b64encode(item).decode()} if isinstance(item, bytes) else item


def make_requests(
    model, signatures: Iterable[str], sample: Sequence | None = None
) -> list[Request]:
    """Makes the requests that an export has to answer as the model does.

    Args:
        model: The task model.
        signatures: Names of what it offers, ``serving_default`` among them.
        sample: The user's texts or pairs, or None for a small set of difficult ones: empty, longer
            than the model reads, accents, other scripts, emoji, bytes that are not UTF-8.

    Returns:
        Requests for all signatures, among them some with no text at all.

    Raises:
        TypeError: If an item of the sample is no text, or no pair where the model takes pairs.
        ValueError: If the sample is empty.
    """
    text_inputs = model.text_inputs
    several = {spec.name for spec in model.text_specs() if spec.shape.rank == 2}
    kinds = [name in several for name in text_inputs]
    if sample is None:
        batches = _difficult(model.preprocessor.seq_length, kinds)
    else:
        rows = [_as_row(item, i, text_inputs, kinds) for i, item in enumerate(_listed(sample))]
        batches = [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]
    requests = [_text_request(text_inputs, rows) for rows in [*batches, []]]
    first, nothing = requests[0], requests[-1]
    for name in signatures:
        if name == "tokens":
            ids = {key: value.numpy().tolist() for key, value in token_ids(model, first).items()}
            requests.append(Request(name, ids))
        elif name != "serving_default":
            requests += [_example_request(name, request.inputs) for request in (first, nothing)]
    return requests


def _difficult(seq_length: int, kinds: Sequence[bool]) -> list[list[tuple]]:
    """The built-in sample: one batch of short rows, one of rows longer than the model reads.

    Args:
        seq_length: Most tokens of a row.
        kinds: For each input whether it is several texts per example.
    """
    # Apart, because a batch is as wide as its longest row and the short ones need no width.
    long = "card " * (seq_length + 8)
    columns = []
    for place, several in enumerate(kinds):
        turned = [_SAMPLE[3 * more :] + _SAMPLE[: 3 * more] for more in (place, place + 1)]
        columns.append(list(map(list, zip(*turned, strict=True))) if several else turned[0])
    long_rows = [
        tuple(
            [text, "other"] if several else text
            for part, several in enumerate(kinds)
            for text in [long if part == place else "short"]
        )
        for place in range(len(kinds))
    ]
    return [list(zip(*columns, strict=True)), long_rows]


def _listed(sample: Sequence) -> list:
    if isinstance(sample, str | bytes):
        raise TypeError(f"sample must be a list of texts; received the single text {sample!r:.60}.")
    rows = list(sample)
    if not rows:
        raise ValueError("sample is empty; give some texts, or None for the built-in ones.")
    return rows


def _as_row(item, position: int, text_inputs: Sequence[str], kinds: Sequence[bool]) -> tuple:
    row = (item,) if len(text_inputs) == 1 else item
    fits = isinstance(row, tuple | list) and len(row) == len(text_inputs)
    if not fits or not all(map(_is_input, row, kinds)):
        names = ", ".join(text_inputs)
        wanted = {1: "a text", 2: f"a pair ({names})"}.get(len(text_inputs), f"texts ({names})")
        raise TypeError(f"sample[{position}] must be {wanted}; received {item!r:.80}.")
    return tuple(row)


def _is_input(value, several: bool) -> bool:
    """Whether a value is a text; or, where an input is several texts, a list of them."""
    if several:
        return isinstance(value, tuple | list) and all(_is_input(text, False) for text in value)
    return isinstance(value, str | bytes)


def _text_request(text_inputs: Sequence[str], rows: Sequence[tuple]) -> Request:
    columns = list(zip(*rows, strict=True)) or [()] * len(text_inputs)
    return Request(
        "serving_default",
        {name: _as_column(column) for name, column in zip(text_inputs, columns, strict=True)},
    )


def _example_request(signature: str, texts: Mapping[str, Sequence]) -> Request:
    """A request of the same texts, each row of them a serialised ``tf.Example``."""
    rows = zip(*texts.values(), strict=True)
    examples = [_example(dict(zip(texts, row, strict=True))) for row in rows]
    name = "examples" if signature == "examples" else "inputs"
    return Request(signature, {name: examples}, texts)


def _example(texts: Mapping) -> bytes:
    features = {
        name: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=text if isinstance(text, list) else [text])
        )
        for name, text in texts.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _as_column(values: Sequence) -> list:
    """Texts as bytes; lists of texts padded with empty ones to the longest of them."""
    if not any(isinstance(value, tuple | list) for value in values):
        return [value.encode() if isinstance(value, str) else value for value in values]
    most = max(map(len, values))
    return [_as_column([*value, *[b""] * (most - len(value))]) for value in values]


def token_ids(model, request: Request) -> dict[str, tf.Tensor]:
    """The ids that a request is about; of texts, those that the model's preprocessor makes."""
    if request.signature == "tokens":
        return {name: tf.constant(rows, tf.int32) for name, rows in request.inputs.items()}
    columns = [tf.constant(column, tf.string) for column in request.inputs.values()]
    return model.preprocessor(tuple(columns) if len(columns) > 1 else columns[0])


def array_of(output: Mapping) -> np.ndarray:
    """One output of an answer, as ``ask.py`` and ``ask_litert.py`` write it."""
    values = output["values"]
    if output["dtype"] == "object":
        values = [base64.b64decode(value["b64"]) for value in values]
    return np.array(values, output["dtype"]).reshape(output["shape"])
