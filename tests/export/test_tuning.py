"""What a server is told about batches, from measurements with a clock that tests can set."""

import pytest
from google.protobuf import text_format

import keras_bert as kb
from keras_bert.export.tuning import BATCHING, MODELS, Batching, measure, write_beside


class Clock:
    """A clock that goes on while something is answered."""

    def __init__(self, seconds_of):
        self.now, self.seconds_of, self.sizes = 0.0, seconds_of, []

    def __call__(self):
        return self.now

    def answer(self, rows):
        self.sizes.append(len(rows))
        self.now += self.seconds_of(len(rows))


def test_a_batch_grows_as_long_as_it_pays():
    clock = Clock(lambda rows: 0.010 + 0.001 * rows if rows <= 8 else 0.003 * rows)
    batching = measure(clock.answer, ["a", "b", "c"], clock)
    assert batching.sizes == [1, 2, 4, 8]
    assert batching.seconds[8] == pytest.approx(0.018)
    assert batching.timeout_micros == 5500
    assert max(clock.sizes) == 16


def test_where_batches_do_not_pay_nobody_waits():
    clock = Clock(lambda rows: 0.5 * rows)
    batching = measure(clock.answer, ["a"], clock)
    assert batching.sizes == [1] and batching.timeout_micros == 0
    assert batching.most_waiting >= batching.threads


def test_a_batch_of_more_than_a_second_is_too_large():
    clock = Clock(lambda rows: 0.8 + 0.1 * rows)
    assert measure(clock.answer, ["a"], clock).sizes == [1, 2]


def test_it_is_written_as_the_server_reads_it(tmp_path):
    batching = Batching({1: 0.01, 2: 0.012, 4: 0.02}, threads=2)
    write_beside(tmp_path, batching)
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    servers = text_format.Parse((tmp_path / MODELS).read_text(), config.ModelServerConfig())
    (model,) = servers.model_config_list.config
    assert (model.name, model.base_path) == (tmp_path.name, f"/models/{tmp_path.name}")
    assert model.model_version_policy.latest.num_versions == 1
    lines = (tmp_path / BATCHING).read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "max_batch_size { value: 4 }",
        "batch_timeout_micros { value: 5000 }",
        "max_enqueued_batches { value: 200 }",
        "num_batch_threads { value: 2 }",
        "allowed_batch_sizes: 1",
        "allowed_batch_sizes: 2",
        "allowed_batch_sizes: 4",
    ]


def test_an_export_is_tuned_and_keeps_so_many_versions(model, tmp_path):
    target = tmp_path / "reviews"
    kb.export.saved_model(model, target, verify=False)
    path = kb.export.saved_model(model, target, verify=False, tune=True, keep=1)
    assert {entry.name for entry in target.iterdir()} == {"2", BATCHING, MODELS}
    text = (target / BATCHING).read_text()
    assert "texts/s" in text and (target / "2" / "batching_params.pbtxt").read_text() == text
    assert path == str(target / "2")
    with pytest.raises(ValueError, match="would be removed at once"):
        kb.export.saved_model(model, target, version=1, keep=1)
    with pytest.raises(ValueError, match="keep must be"):
        kb.export.saved_model(model, target, keep=0)
