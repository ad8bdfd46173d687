"""The file of a batch that a run was stopped by."""

import types

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batch_plan import BatchPlan
from keras_bert.data.packed_rows import PackedRows
from keras_bert.models.seen_steps import LastStep
from keras_bert.training.runs.bad_batch import save_bad_batch
from keras_bert.training.runs.pace import Pace

TEXTS = ["good", "very bad", "the card is late and lost", "where is the food?"]


@pytest.fixture
def rows(tiny_checkpoint):
    tokenizer = kb.Tokenizer.from_pretrained(str(tiny_checkpoint))
    rows = PackedRows(kb.Preprocessor(tokenizer, seq_length=16), [TEXTS])
    rows.targets = tf.ragged.range(rows.lengths)
    return rows


def stopped(plan=None, **last):
    """A model and a pace after the second of two steps."""
    model = types.SimpleNamespace(last_step=LastStep(), distribute_strategy=None)
    model.last_step.note(**last)
    pace = Pace(plan)
    pace.set_model(model)
    pace.set_params({"epochs": 1, "steps": 2})
    pace.on_train_begin()
    pace.on_epoch_begin(0)
    for step in range(2):
        pace.on_train_batch_begin(step)
        pace.on_train_batch_end(step)
    return model, pace


def test_a_batch_that_is_not_known_is_made_anew(rows, tmp_path):
    batches = [np.array([0, 1]), np.array([3, 2])]
    model, pace = stopped(BatchPlan(rows, lambda number: batches, TEXTS))
    file = save_bad_batch(tmp_path / "new", {"step": 2, "loss": np.nan}, model, pace)
    saved = np.load(file)
    expected = rows.batch([3, 2])
    for name, value in expected.items():
        np.testing.assert_array_equal(saved[name], value)
    np.testing.assert_array_equal(saved["targets"], rows.targets_of([3, 2]))
    assert saved["rows"].tolist() == [3, 2]
    assert saved["texts"].tolist() == [TEXTS[3], TEXTS[2]]
    assert file.stat().st_mode & 0o777 == 0o600


def test_rows_that_hide_tokens_by_chance(tmp_path):
    class Rows:
        lengths = np.array([3, 4])

    model, pace = stopped(BatchPlan(Rows, lambda number: [np.array([0]), np.array([1])]))
    assert set(np.load(save_bad_batch(tmp_path, {"step": 2}, model, pace))) == {"step", "rows"}


def test_examples_of_any_form(rows, tmp_path):
    forms = {
        "choices": ([("a", ["b", "c"]), ("d", ["e"])], ['["a", ["b", "c"]]', '["d", ["e"]]']),
        "threes": ([("a", "b", "ä"), ("d", "e", "f")], [["a", "b", "ä"], ["d", "e", "f"]]),
        "uneven": ([("a", "b"), "c"], ['["a", "b"]', '"c"']),
    }
    for name, (texts, expected) in forms.items():
        plan = BatchPlan(rows, lambda number: [np.array([0]), np.array([0, 1])], texts)
        model, pace = stopped(plan)
        saved = np.load(save_bad_batch(tmp_path, {"step": 2}, model, pace))
        assert saved["texts"].tolist() == expected, name


def test_parts_of_several_replicas(tmp_path):
    parts = (tf.constant([1, 2]), tf.constant([3]))
    model, pace = stopped(batch={"input_word_ids": parts})
    saved = np.load(save_bad_batch(tmp_path, {"step": 1, "learning_rate": None}, model, pace))
    assert set(saved) == {"step", "input_word_ids/replica_0", "input_word_ids/replica_1"}
    model.distribute_strategy = types.SimpleNamespace(
        cluster_resolver=types.SimpleNamespace(task_type="worker", task_id=1)
    )
    assert save_bad_batch(tmp_path, {"step": 1}, model, pace).name == (
        "bad-batch-step-1-worker-1.npz"
    )


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        save_bad_batch(tmp_path, {"step": 1}, *stopped())
    assert list(tmp_path.iterdir()) == []
