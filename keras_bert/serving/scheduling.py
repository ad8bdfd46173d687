"""Dynamic batching: rows of waiting requests go through a signature together."""

from __future__ import annotations

import asyncio
import collections
import logging
import threading
import time

import numpy as np

from keras_bert.serving.batching_config import BatchingConfig
from keras_bert.serving.errors import ServingError
from keras_bert.serving.metrics import Metrics
from keras_bert.serving.servable import Servable, Signature

__all__ = ["Scheduler"]

_LOGGER = logging.getLogger("keras_bert.serving")
# A row takes as long as so many bytes of text, whatever it holds; and a batch may take so much
# longer than its rows would if each were as long as its own text. From measurements of MiniLM.
_BYTES_OF_A_ROW, _MOST_PADDING = 30, 1.3


class _Task:
    """A request that waits."""

    __slots__ = (
        *("api", "enqueued", "future", "inputs", "length"),
        *("loop", "rows", "servable", "signature"),
    )

    def __init__(self, servable, signature, inputs, rows, api):
        self.servable, self.signature, self.inputs, self.rows = servable, signature, inputs, rows
        self.api, self.length = api, _length(inputs)
        self.loop = asyncio.get_running_loop()
        self.future = self.loop.create_future()
        self.enqueued = time.monotonic()


class Scheduler:
    """Threads that take waiting requests and compute them, several at once where that is right.

    Requests go together that are of one signature of one version and whose rows have the same
    shape. One of more rows than a batch is computed in parts, as TF Serving splits it, if its
    outputs fit together whatever the parts are. A batch that fails is computed again request by
    request, so that what is wrong with one is told to it alone. What nobody waits for any more is
    not computed.

    Args:
        config: How batches are made.
        metrics: Where they are counted.
    """

    def __init__(self, config: BatchingConfig | None = None, metrics: Metrics | None = None):
        self.config = config or BatchingConfig()
        self.metrics = metrics or Metrics()
        self._queues: collections.OrderedDict[tuple, collections.deque[_Task]]
        self._queues = collections.OrderedDict()
        self._condition = threading.Condition(threading.Lock())
        self._waiting_rows, self._stopping = 0, False
        self._most_rows = self.config.max_enqueued_batches * self.config.max_batch_size
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{i}", daemon=True)
            for i in range(self.config.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(
        self,
        servable: Servable,
        signature: Signature,
        inputs: dict[str, np.ndarray],
        api: str = "Predict",
    ) -> dict[str, np.ndarray]:
        """Computes a signature's outputs for one request, with others or alone.

        The caller keeps the servable acquired while it waits; what a thread has begun keeps it
        longer. Cancelling takes the request out of the queue.

        Raises:
            ServingError: If the queue is full, the request cannot be batched under an explicit
                config, or TensorFlow cannot compute it.
        """
        rows, key = self._place(servable, signature, inputs)
        if self._may_split(signature, rows):
            return await self._run_in_parts(servable, signature, inputs, rows, api)
        return await self._submit(_Task(servable, signature, inputs, rows, api), key)

    def _may_split(self, signature, rows: int) -> bool:
        """Whether a request is computed in parts: not where a part may have rows of other sizes."""
        if rows <= self.config.largest_batch or not self.config.enable_large_batch_splitting:
            return False
        outputs = signature.outputs.values()
        return signature.is_batched and all(None not in spec.shape[1:] for spec in outputs)

    async def _run_in_parts(self, servable, signature, inputs, rows: int, api: str) -> dict:
        """Computes a request of more rows than a batch, as many parts at a time as threads.

        All other requests have their turn in between.
        """
        order = np.arange(rows)
        if not self.config.is_explicit:
            order = np.argsort(_row_lengths(inputs, rows), kind="stable")
        parts = np.array_split(order, -(-rows // self.config.largest_batch))
        outcomes, waiting = [{}] * len(parts), iter(range(len(parts)))

        async def some_of_them() -> None:
            for number in waiting:
                part = {name: value[parts[number]] for name, value in inputs.items()}
                size, key = self._place(servable, signature, part)
                task = _Task(servable, signature, part, size, api)
                # What has begun is gone on with, however many others wait.
                outcomes[number] = await self._submit(task, key, is_begun=number > 0)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.config.num_batch_threads):
                    group.create_task(some_of_them())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        places = np.argsort(order)
        return {name: np.concatenate([o[name] for o in outcomes])[places] for name in outcomes[0]}

    async def _submit(self, task: _Task, key: tuple, is_begun: bool = False) -> dict:
        """Puts a task where the threads find it, and waits for its outputs."""
        with self._condition:
            # A request larger than the queue is taken when nothing else waits.
            is_full = self._waiting_rows and self._waiting_rows + task.rows > self._most_rows
            if self._stopping or (is_full and not is_begun):
                raise ServingError(
                    "UNAVAILABLE",
                    "The server is shutting down"
                    if self._stopping
                    else "The batch scheduling queue to which this task was submitted is full; "
                    f"max_enqueued_batches is {self.config.max_enqueued_batches}",
                )
            if not task.servable.acquire():
                raise ServingError("NOT_FOUND", "The version has been unloaded")
            self._queues.setdefault(key, collections.deque()).append(task)
            self._waiting_rows += task.rows
            self._condition.notify()
        return await task.future

    def _place(self, servable, signature, inputs) -> tuple[int, tuple]:
        """Rows of a request, and what it has in common with those it may go with."""
        sizes = {value.shape[0] if value.ndim else None for value in inputs.values()}
        rows = sizes.pop() if len(sizes) == 1 else None
        batchable = bool(rows) and (self.config.is_explicit or signature.is_batched)
        if self.config.is_explicit:
            self._check(inputs, rows)
        if not batchable or rows > self.config.largest_batch:
            return max(rows or 1, 1), (servable, signature.name, object())
        if self.config.pad_variable_length_inputs:
            shapes = tuple(value.ndim for value in inputs.values())
        else:
            shapes = tuple(value.shape[1:] for value in inputs.values())
        return rows, (servable, signature.name, shapes)

    def _check(self, inputs, rows) -> None:
        """Refuses what TF Serving's batching refuses."""
        if any(not value.ndim for value in inputs.values()):
            raise ServingError(
                "INVALID_ARGUMENT", "Batching Run() input tensors must have at least one dimension."
            )
        if rows is None:
            raise ServingError(
                "INVALID_ARGUMENT",
                "Batching Run() input tensors must have equal 0th-dimension size.",
            )
        if rows > self.config.max_batch_size and not self.config.enable_large_batch_splitting:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Task size {rows} is larger than maximum input batch size "
                f"{self.config.max_batch_size}",
            )

    def stop(self, timeout: float | None = None) -> None:
        """Computes what waits, takes nothing new, and ends the threads."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join(timeout)

    # In the threads.

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                self._compute(batch)
            except Exception as error:  # Whatever happens, the requests get an answer.
                _LOGGER.exception("A batch failed")
                failure = ServingError("INTERNAL", f"{type(error).__name__}: {error}")
                _deliver([(task, failure) for task in batch])
            for task in batch:
                task.servable.release()
            # Or the thread would keep the last batch in memory while it waits.
            task = None
            batch.clear()

    def _next_batch(self) -> list[_Task] | None:
        """Waits for a batch; None when the threads are to end."""
        with self._condition:
            while True:
                self._forget_cancelled()
                key, wait = self._ready(time.monotonic())
                if key is not None:
                    return self._take(key)
                if self._stopping and not self._queues:
                    return None
                self._condition.wait(wait)

    def _forget_cancelled(self) -> None:
        for key, queue in list(self._queues.items()):
            while queue and self._is_forgotten(queue[0]):
                queue.popleft()
            if not queue:
                del self._queues[key]

    def _is_forgotten(self, task: _Task) -> bool:
        """Whether nobody waits for a task any more; it is then let go of."""
        if not task.future.cancelled():
            return False
        self._waiting_rows -= task.rows
        task.servable.release()
        return True

    def _ready(self, now: float):
        """The queue whose turn it is; if none, how long until one is."""
        timeout = self.config.batch_timeout_micros * 1e-6
        best, soonest = None, None
        for key, queue in self._queues.items():
            due = queue[0].enqueued + timeout
            alone = queue[0].rows > self.config.largest_batch
            if due <= now or self._stopping or alone or self._is_full(queue):
                if best is None or queue[0].enqueued < self._queues[best][0].enqueued:
                    best = key
            elif soonest is None or due < soonest:
                soonest = due
        return best, None if soonest is None else max(soonest - now, 0)

    def _is_full(self, queue) -> bool:
        return sum(task.rows for task in queue) >= self.config.largest_batch

    def _take(self, key) -> list[_Task]:
        waiting = [task for task in self._queues.pop(key) if not self._is_forgotten(task)]
        batch = self._chosen(waiting) if waiting else []
        taken = set(map(id, batch))
        rest = collections.deque(task for task in waiting if id(task) not in taken)
        if rest:
            self._queues[key] = rest
            self._condition.notify()  # Another thread may take them.
        self._waiting_rows -= sum(task.rows for task in batch)
        return batch

    def _chosen(self, waiting: list[_Task]) -> list[_Task]:
        """The task that has waited longest, and those that go with it."""
        first, others = waiting[0], waiting[1:]
        by_length = not self.config.is_explicit
        if by_length:
            others.sort(key=lambda task: abs(task.length - first.length))
        batch, rows = [first], first.rows
        longest, total = first.length, first.length * first.rows
        for task in others:
            rows += task.rows
            longest = max(longest, task.length)
            total += task.length * task.rows
            if rows > self.config.largest_batch:
                break
            if by_length and longest * rows > _MOST_PADDING * total:
                break
            batch.append(task)
        return batch

    def _compute(self, batch: list[_Task]) -> None:
        now = time.monotonic()
        for task in batch:
            self.metrics.queuing_latency(self.config.thread_pool_name, now - task.enqueued)
        if len(batch) == 1:
            _deliver([(batch[0], self._outcome(batch))])
            return
        if not batch:  # Whoever waited has gone in the meantime.
            return
        outcome = self._outcome(batch)
        if isinstance(outcome, ServingError):
            for task in batch:
                _deliver([(task, self._outcome([task]))])
            return
        deliveries, start = [], 0
        for task in batch:
            rows = slice(start, start + task.rows)
            deliveries.append((task, {name: value[rows] for name, value in outcome.items()}))
            start += task.rows
        _deliver(deliveries)

    def _outcome(self, batch: list[_Task]):
        """Outputs of some requests together, or the error."""
        task, rows = batch[0], sum(task.rows for task in batch)
        may_fill = self.config.is_explicit and rows <= self.config.largest_batch
        padding = self.config.rounded(rows) - rows if may_fill else 0
        self.metrics.batch(rows, rows + padding, [task.rows for task in batch])
        try:
            inputs = task.inputs
            if len(batch) > 1 or padding:
                inputs = {
                    name: _joined([task.inputs[name] for task in batch], padding) for name in inputs
                }
            started = time.perf_counter()
            outputs = task.servable.run(task.signature, inputs)
            seconds = time.perf_counter() - started
            self.metrics.runtime_latency(task.servable.name, task.api, seconds)
            if len(batch) > 1 or padding or self.config.is_explicit:
                _check_rows(outputs, rows + padding)
            if padding:
                outputs = {name: value[:rows] for name, value in outputs.items()}
            return outputs
        except ServingError as error:
            return error


def _length(inputs: dict[str, np.ndarray]) -> int:
    """How long a request's longest texts are, in bytes, and what every row costs besides."""
    texts = [value.reshape(-1) for value in inputs.values() if value.dtype == object]
    return _BYTES_OF_A_ROW + sum(max(map(len, value), default=0) for value in texts)


def _row_lengths(inputs: dict[str, np.ndarray], rows: int) -> np.ndarray:
    """How long each row's texts are, in bytes; 0 where there are none."""
    lengths = np.zeros(rows, np.int64)
    for value in inputs.values():
        if value.dtype == object:
            lengths += [sum(map(len, row)) for row in value.reshape(rows, -1)]
    return lengths


def _joined(values: list[np.ndarray], padding: int) -> np.ndarray:
    """Rows of several requests, the last ones' first row repeated to fill the batch."""
    sizes = np.max([value.shape[1:] for value in values], axis=0, initial=0).astype(int)
    values = [_filled(value, tuple(sizes)) for value in values]
    if padding:
        values.append(np.repeat(values[-1][:1], padding, axis=0))
    return np.concatenate(values)


def _filled(value: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    if value.shape[1:] == sizes:
        return value
    if not value.size:
        raise ServingError("INVALID_ARGUMENT", "Got empty tensor in batch of non-empty tensors.")
    # TF Serving fills with the tensor's first value (batching_util.cc), whatever that means.
    filled = np.full((len(value), *sizes), value.flat[0], value.dtype)
    filled[tuple(slice(size) for size in value.shape)] = value
    return filled


def _check_rows(outputs, rows: int) -> None:
    for value in outputs.values():
        if not value.ndim:
            raise ServingError("FAILED_PRECONDITION", "Batched output tensor has 0 dimensions")
        if len(value) != rows:
            raise ServingError(
                "FAILED_PRECONDITION",
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
                "sizes of the input tensors",
            )


def _deliver(outcomes: list) -> None:
    """Hands outcomes to the loops that wait for them: one call for all of a loop."""
    loops = collections.defaultdict(list)
    for task, outcome in outcomes:
        loops[task.loop].append((task.future, outcome))
    for loop, pairs in loops.items():
        try:
            loop.call_soon_threadsafe(_set_all, pairs)
        except RuntimeError:  # The loop has ended, and with it whoever waited.
            _LOGGER.debug("An answer came after its server had ended")


def _set_all(pairs) -> None:
    for future, outcome in pairs:
        if future.done():  # cancelled
            continue
        if isinstance(outcome, ServingError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
