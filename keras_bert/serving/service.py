"""What REST and gRPC have in common: finding the version, computing, limits, counting."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterator

from keras_bert.serving.batching_config import BatchingConfig
from keras_bert.serving.errors import ServingError
from keras_bert.serving.library import Library
from keras_bert.serving.metrics import Metrics
from keras_bert.serving.scheduling import Scheduler

__all__ = ["Limits", "Service"]


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server takes.

    Attributes:
        request_bytes: Size of a request's body.
        request_seconds: Time from a request to its answer; also for its body to arrive.
    """

    request_bytes: int = 64 * 2**20
    request_seconds: float = 30.0

    def __post_init__(self):
        if self.request_bytes < 1 or self.request_seconds <= 0:
            raise ValueError(f"Limits must be positive; received {self}.")


class Service:
    """Answers calls with the models of a library.

    Args:
        library: The models.
        batching: How requests are put together.
        limits: What is taken.
        metrics: Where requests are counted.
    """

    def __init__(
        self,
        library: Library,
        batching: BatchingConfig | None = None,
        limits: Limits | None = None,
        metrics: Metrics | None = None,
    ):
        self.library = library
        self.metrics = metrics or Metrics()
        self.limits = limits or Limits()
        self.scheduler = Scheduler(batching, self.metrics)
        #: Set once the server is to end: no new work is invited.
        self.is_draining = False

    async def in_time(self, answer):
        """Awaits an answer as long as a request may take.

        Raises:
            ServingError: If it takes longer; what was not begun yet never is.
        """
        try:
            async with asyncio.timeout(self.limits.request_seconds):
                return await answer
        except TimeoutError:
            raise ServingError("DEADLINE_EXCEEDED", "Timed out waiting for notification") from None

    @contextlib.contextmanager
    def counted(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Counts a request by how it ends, and makes whatever goes wrong a ``ServingError``."""
        started, code = time.perf_counter(), "OK"
        try:
            yield
        except ServingError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception as error:
            code = "INTERNAL"
            raise ServingError(code, f"{type(error).__name__}: {error}") from error
        finally:
            # Names that no model has are not kept: there is no end of them.
            known = model if model in self.library.known else ""
            seconds = time.perf_counter() - started
            self.metrics.request(known, api, entrypoint, code, seconds)

    def health(self) -> tuple[bool, dict]:
        """Whether every model can be asked, and what is missing where not."""
        missing = self.library.missing()
        status = "draining" if self.is_draining else "loading or failed" if missing else "ok"
        return status == "ok", {"status": status, "models": self.library.names, "missing": missing}
