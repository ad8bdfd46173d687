"""Batching: what goes together, what is refused, and that every answer is its request's own."""

import asyncio
import functools
import threading
import time

import numpy as np
import pytest

from keras_bert.serving.batching_config import BatchingConfig, read_batching_config
from keras_bert.serving.errors import ServingError
from keras_bert.serving.metrics import Metrics
from keras_bert.serving.scheduling import Scheduler
from keras_bert.serving.servable import Servable

#: With one thread, what waits while it computes is known.
one_at_a_time = functools.partial(BatchingConfig, num_batch_threads=1)


class Recorded:
    """A version that notes the batches it is given, and may be made to wait."""

    def __init__(self, servable):
        self.servable, self.batches, self.longest = servable, [], []
        self.may_go = threading.Event()
        self.may_go.set()
        self.users, self.name = 0, "kinds"

    def run(self, signature, inputs):
        self.may_go.wait(30)
        self.batches.append({name: value.shape for name, value in inputs.items()})
        texts = [value for value in inputs.values() if value.dtype == object]
        self.longest += [max(map(len, value)) for value in texts]
        return self.servable.run(signature, inputs)

    def acquire(self):
        self.users += 1
        return True

    def release(self):
        self.users -= 1


@pytest.fixture(scope="module")
def kinds(made):
    return Servable(str(made / "kinds" / "7"), "kinds", 7)


@pytest.fixture
def schedule(kinds):
    """Runs requests at once through a scheduler; returns their outcomes and the batches."""

    def run(config, name, requests, before=None):
        recorded, metrics = Recorded(kinds), Metrics()
        scheduler = Scheduler(config, metrics)
        signature = kinds.signatures[name]

        async def all_of_them():
            # The thread begins with a request of its own, so that the others are there together.
            recorded.may_go.clear()
            first = asyncio.ensure_future(scheduler.run(recorded, signature, requests[0]))
            await asyncio.sleep(0.05)
            rest = [
                asyncio.ensure_future(scheduler.run(recorded, signature, inputs))
                for inputs in requests[1:]
            ]
            await asyncio.sleep(0.05)
            if before:
                before(rest)
            recorded.may_go.set()
            return await asyncio.gather(first, *rest, return_exceptions=True)

        outcomes = asyncio.run(all_of_them())
        scheduler.stop(10)
        assert recorded.users == 0
        return outcomes, recorded.batches, metrics

    return run


def numbers(*values):
    return {"index": np.array(values, np.int32)}


def test_rows_go_together_and_come_back_apart(schedule):
    requests = [numbers(0), numbers(1), numbers(2, 0), numbers(1, 2, 0)]
    outcomes, batches, metrics = schedule(one_at_a_time(), "picky", requests)
    assert [o["value"].tolist() for o in outcomes] == [[10], [20], [30, 10], [20, 30, 10]]
    assert batches == [{"index": (1,)}, {"index": (6,)}]
    assert ":tensorflow:serving:batching_session:wrapped_run_count{} 2" in metrics.text()
    assert ":tensorflow:serving:batching_session:input_batch_size_count{} 4" in metrics.text()


def test_no_more_than_max_batch_size(schedule):
    requests = [numbers(i % 3) for i in range(9)]
    outcomes, batches, _ = schedule(one_at_a_time(max_batch_size=3), "picky", requests)
    assert [o["value"][0] for o in outcomes] == [10 * (i % 3 + 1) for i in range(9)]
    assert [batch["index"][0] for batch in batches] == [1, 3, 3, 2]


def test_allowed_sizes_are_filled_up(schedule):
    config = one_at_a_time(max_batch_size=8, allowed_batch_sizes=(2, 8), is_explicit=True)
    outcomes, batches, metrics = schedule(config, "picky", [numbers(0), *[numbers(1)] * 4])
    assert [o["value"].tolist() for o in outcomes] == [[10], [20], [20], [20], [20]]
    assert [batch["index"] for batch in batches] == [(2,), (8,)]
    name = ":tensorflow:serving:batching_session:padding_size_sum"
    assert f'{name}{{execution_batch_size="8"}} 4' in metrics.text()


def test_what_is_wrong_with_one_is_told_to_it_alone(schedule):
    requests = [numbers(0), numbers(1), numbers(99), numbers(2)]
    outcomes, batches, _ = schedule(one_at_a_time(), "picky", requests)
    assert isinstance(outcomes[2], ServingError) and outcomes[2].code == "INVALID_ARGUMENT"
    assert [o["value"].tolist() for i, o in enumerate(outcomes) if i != 2] == [[10], [20], [30]]
    assert batches[1] == {"index": (3,)} and len(batches) == 5


def test_rows_of_other_lengths_do_not_mix(schedule):
    rows = [{"rows": np.full((1, n), n, np.float32)} for n in (3, 2, 3, 2, 1)]
    outcomes, batches, _ = schedule(one_at_a_time(), "lengths", rows)
    assert [o["rows"].tolist() for o in outcomes] == [r["rows"].tolist() for r in rows]
    assert sorted(batch["rows"] for batch in batches) == [(1, 1), (1, 3), (1, 3), (2, 2)]


def test_padding_fills_with_the_first_value_as_tf_serving_does(schedule):
    config = one_at_a_time(pad_variable_length_inputs=True, is_explicit=True)
    rows = [{"rows": np.array([values], np.float32)} for values in ([0], [5, 6], [7, 8, 9])]
    outcomes, batches, _ = schedule(config, "lengths", rows)
    assert batches[1] == {"rows": (2, 3)}
    assert outcomes[1]["rows"].tolist() == [[5, 6, 5]]
    assert outcomes[2]["rows"].tolist() == [[7, 8, 9]]


def test_texts_of_like_length_go_together(schedule):
    texts = [b"a", b"b" * 400, b"c" * 5, b"d" * 380, b"e" * 9, b"f" * 2000]
    requests = [{"text": np.array([text], object)} for text in texts]
    outcomes, batches, _ = schedule(one_at_a_time(), "reverse", requests)
    assert [o["text"][0] for o in outcomes] == [text + b"|" for text in texts]
    assert [batch["text"][0] for batch in batches] == [1, 2, 2, 1]
    # In the order of arrival where a file says how, as in TF Serving.
    config = one_at_a_time(is_explicit=True, max_batch_size=3)
    outcomes, batches, _ = schedule(config, "reverse", requests)
    assert [o["text"][0] for o in outcomes] == [text + b"|" for text in texts]
    assert [batch["text"][0] for batch in batches] == [1, 3, 2]


def test_what_cannot_be_batched_is_computed_alone(schedule):
    scalars = [{"scalar": np.array(i, np.float32)} for i in range(3)]
    outcomes, batches, _ = schedule(one_at_a_time(), "scalar", scalars)
    assert [float(o["twice"]) for o in outcomes] == [0, 2, 4]
    assert len(batches) == 3
    config = one_at_a_time(is_explicit=True)
    outcomes, batches, _ = schedule(config, "scalar", scalars)
    assert all("at least one dimension" in o.message for o in outcomes) and not batches


def test_more_rows_than_a_batch(schedule):
    many = numbers(*[0, 1, 2, 1, 0] * 10)
    outcomes, batches, _ = schedule(one_at_a_time(max_batch_size=4), "picky", [many, numbers(0)])
    assert outcomes[0]["value"].tolist() == [10.0, 20.0, 30.0, 20.0, 10.0] * 10
    assert outcomes[1]["value"].tolist() == [10.0]
    sizes = [batch["index"][0] for batch in batches]
    assert max(sizes) == 4 and sum(sizes) == 51
    # The other one did not wait for all of them.
    assert sizes.index(1) == 1
    strict = one_at_a_time(max_batch_size=4, enable_large_batch_splitting=False, is_explicit=True)
    outcomes, _, _ = schedule(strict, "picky", [many, numbers(0)])
    assert outcomes[0].message == "Task size 50 is larger than maximum input batch size 4"
    assert outcomes[1]["value"].tolist() == [10.0]


def test_parts_of_a_request_are_of_texts_of_like_length(kinds):
    recorded, scheduler = Recorded(kinds), Scheduler(BatchingConfig(max_batch_size=4))
    texts = np.array([b"a" * (i * 7 % 11) for i in range(11)], object)
    signature = kinds.signatures["reverse"]
    outcome = asyncio.run(scheduler.run(recorded, signature, {"text": texts}))
    scheduler.stop(10)
    assert outcome["text"].tolist() == [text + b"|" for text in texts]
    assert sorted(recorded.longest) == [3, 7, 10]


def test_rows_without_a_fixed_size_are_not_taken_apart(schedule):
    rows = {"rows": np.arange(18, dtype=np.float32).reshape(9, 2)}
    outcomes, batches, _ = schedule(one_at_a_time(max_batch_size=4), "lengths", [rows])
    assert outcomes[0]["rows"].tolist() == rows["rows"].tolist()
    assert batches == [{"rows": (9, 2)}]


def test_what_is_wrong_with_a_part_is_told_of_the_request(schedule):
    requests = [numbers(0), numbers(*[1] * 9, 99), numbers(2)]
    outcomes, _, _ = schedule(BatchingConfig(max_batch_size=4), "picky", requests)
    assert outcomes[1].code == "INVALID_ARGUMENT"
    assert [outcomes[i]["value"].tolist() for i in (0, 2)] == [[10], [30]]


def test_a_version_that_goes_answers_what_it_has_begun(made):
    servable = Servable(str(made / "kinds" / "7"), "kinds", 7)
    signature, scheduler = servable.signatures["picky"], Scheduler(one_at_a_time(max_batch_size=1))
    retiring = threading.Thread(target=servable.retire)

    class Retired(Recorded):
        """Is retired while its first batch is computed."""

        def run(self, signature, inputs):
            if not self.batches:
                retiring.start()
                while not servable._retired:
                    time.sleep(0.001)
            return super().run(signature, inputs)

        def acquire(self):
            return servable.acquire()

        def release(self):
            servable.release()

    async def lease():
        assert servable.acquire()
        try:
            return await scheduler.run(Retired(servable), signature, numbers(0, 1, 2))
        finally:
            servable.release()

    assert asyncio.run(lease())["value"].tolist() == [10, 20, 30]
    scheduler.stop(10)
    retiring.join(10)
    assert not retiring.is_alive()
    assert not servable.acquire()


def test_a_large_request_is_not_broken_off_by_a_full_queue(schedule):
    config = BatchingConfig(max_batch_size=2, max_enqueued_batches=1)
    requests = [numbers(*[i % 3] * 11) for i in range(4)]
    outcomes, _, _ = schedule(config, "picky", requests)
    answered = [i for i, o in enumerate(outcomes) if isinstance(o, dict)]
    assert 0 in answered
    for i in answered:
        assert outcomes[i]["value"].tolist() == [10.0 * (i % 3 + 1)] * 11
    refused = [o for o in outcomes if not isinstance(o, dict)]
    assert all(o.code == "UNAVAILABLE" for o in refused)


def test_a_full_queue_says_so(schedule):
    config = one_at_a_time(max_batch_size=2, max_enqueued_batches=2)
    outcomes, _, _ = schedule(config, "picky", [numbers(0) for _ in range(8)])
    answered = [o for o in outcomes if isinstance(o, dict)]
    refused = [o for o in outcomes if isinstance(o, ServingError)]
    assert len(answered) == 5 and len(refused) == 3  # one being computed, four waiting
    assert {o.http_status for o in refused} == {503}
    assert "batch scheduling queue" in refused[0].message


def test_what_nobody_waits_for_is_not_computed(schedule):
    def cancel(futures):
        for future in futures[::2]:
            future.cancel()

    requests = [numbers(0), numbers(1), numbers(2), numbers(1), numbers(2)]
    outcomes, batches, _ = schedule(one_at_a_time(), "picky", requests, cancel)
    assert [o["value"].tolist() for o in outcomes if isinstance(o, dict)] == [[10], [30], [30]]
    assert batches == [{"index": (1,)}, {"index": (2,)}]


def test_a_batch_waits_for_more_as_long_as_it_is_told(kinds):
    recorded, signature = Recorded(kinds), kinds.signatures["picky"]
    scheduler = Scheduler(one_at_a_time(batch_timeout_micros=300_000, max_batch_size=3))

    async def some():
        calls = []
        for i in range(4):
            calls.append(asyncio.ensure_future(scheduler.run(recorded, signature, numbers(i % 3))))
            await asyncio.sleep(0.01)
        return await asyncio.gather(*calls)

    outcomes = asyncio.run(some())
    scheduler.stop(10)
    assert [o["value"].tolist() for o in outcomes] == [[10], [20], [30], [10]]
    assert [batch["index"][0] for batch in recorded.batches] == [3, 1]


def test_two_batches_are_computed_at_a_time(kinds):
    both = threading.Barrier(2, timeout=20)

    class Meeting(Recorded):
        def run(self, signature, inputs):
            both.wait()
            return super().run(signature, inputs)

    recorded, scheduler = Meeting(kinds), Scheduler()
    rows = [{"rows": np.full((1, n), n, np.float32)} for n in (2, 3)]

    async def all_of_them():
        signature = kinds.signatures["lengths"]
        return await asyncio.gather(*(scheduler.run(recorded, signature, r) for r in rows))

    outcomes = asyncio.run(all_of_them())
    scheduler.stop(10)
    assert [o["rows"].tolist() for o in outcomes] == [r["rows"].tolist() for r in rows]
    assert recorded.users == 0


# The file.

EXAMPLE = """
# as in TF Serving's documents
max_batch_size { value: 128 }
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 1000000 }
num_batch_threads { value: 8 }
allowed_batch_sizes: 1
allowed_batch_sizes: 128
pad_variable_length_inputs: true
"""


def test_the_file(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text(EXAMPLE)
    config = read_batching_config(path)
    assert config == BatchingConfig(
        max_batch_size=128,
        batch_timeout_micros=0,
        max_enqueued_batches=1000000,
        num_batch_threads=8,
        allowed_batch_sizes=(1, 128),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=False,
        is_explicit=True,
    )
    path.write_text("")
    assert read_batching_config(path).max_batch_size == 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch { value: 1 }", "is no batching config"),
        ("max_batch_size: 3", "is no batching config"),
        ("max_batch_size { value: 0 }", "max_batch_size must be 1 or more"),
        ("max_batch_size { value: 4 } allowed_batch_sizes: 2", "must match max_batch_size"),
        (
            "max_batch_size { value: 2 } allowed_batch_sizes: 3 allowed_batch_sizes: 2",
            "increasing",
        ),
    ],
)
def test_files_that_are_refused(tmp_path, text, message):
    path = tmp_path / "batching.config"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_batching_config(path)
    assert "batching.config" in str(caught.value)
