"""What a client asks of a connection to a server, over REST or gRPC."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from keras_bert.serving.errors import ServingError

__all__ = ["Backoff", "SignatureInfo", "Target", "TensorInfo", "Transport", "VersionStatus"]


@dataclasses.dataclass(frozen=True)
class Target:
    """A model, and which version of it: the newest if neither number nor label is given."""

    model: str
    version: int | None = None
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output: its NumPy type (``"object"`` for strings) and its axes, None for any."""

    dtype: str
    shape: tuple[int | None, ...] | None

    @classmethod
    def read(cls, name: str, sizes: Sequence[int], unknown_rank: bool) -> TensorInfo:
        """From what metadata say: ``"DT_FLOAT"``, and -1 for a free size."""
        shape = None if unknown_rank else tuple(None if size < 0 else size for size in sizes)
        return cls(_DTYPES.get(name, name), shape)


_DTYPES = {
    "DT_STRING": "object",
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_BOOL": "bool",
    **{f"DT_{s}INT{n}": f"{s.lower()}int{n}" for s in ("", "U") for n in (8, 16, 32, 64)},
}


@dataclasses.dataclass(frozen=True)
class SignatureInfo:
    """A function of a model: its inputs and outputs by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """A version's state (``"AVAILABLE"``, …), and the error where loading it failed."""

    state: str
    code: str = "OK"
    message: str = ""


class Transport(Protocol):
    """A connection. Every call takes the seconds it has and raises ``ServingError``."""

    def predict(
        self,
        target: Target,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, TensorInfo],
        seconds: float,
    ) -> dict[str, np.ndarray]:
        """Calls a signature with tensors."""

    def classify(
        self, target: Target, signature: str | None, examples: Sequence[Mapping], seconds: float
    ) -> list[list[tuple[str, float]]]:
        """Calls Classify with records."""

    def regress(
        self, target: Target, signature: str | None, examples: Sequence[Mapping], seconds: float
    ) -> list[float]:
        """Calls Regress with records."""

    def signatures(self, target: Target, seconds: float) -> dict[str, SignatureInfo]:
        """The model's signatures."""

    def status(self, target: Target, seconds: float) -> dict[int, VersionStatus]:
        """States of the model's versions."""

    def close(self) -> None:
        """Closes what is open."""


@dataclasses.dataclass(frozen=True)
class Backoff:
    """Asks again, a little later each time, where that is safe.

    Every call is: none changes anything. But only what a server did not answer is asked again - it
    could not be reached, it hung up, it was too busy - within the time that the call has. A wrong
    request stays wrong, and one that took too long would only add to what slows the server down.

    Attributes:
        retries: How often at most.
        first: Seconds before the first time, of which a random part is waited; then twice that, ….
        longest: Seconds of a wait at most.
    """

    retries: int = 4
    first: float = 0.1
    longest: float = 5.0

    def call(self, function: Callable[[float], object], seconds: float):
        """Calls ``function`` with the seconds that are left.

        Raises:
            ServingError: What the last try raised.
        """
        end = time.monotonic() + seconds
        for attempt in range(self.retries + 1):
            try:
                return function(max(end - time.monotonic(), 1e-3))
            except ServingError as error:
                wait = min(self.first * 2**attempt, self.longest) * random.uniform(0.5, 1)
                is_last = attempt == self.retries or time.monotonic() + wait >= end
                if is_last or not _may_be_asked_again(error):
                    raise
            time.sleep(wait)


def _may_be_asked_again(error: ServingError) -> bool:
    # gRPC says RESOURCE_EXHAUSTED of a message that is too large, which it remains.
    return error.code == "UNAVAILABLE"
