"""Runs that go on where they were killed: the same weights, scores and logs, to the last bit."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.training import CheckpointWarning, Preempted, RunCheckpoints

WORDS = (
    "the a my card has not arrived good bad very what why how is it please thanks no yes".split()
)
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
_DRAW = random.Random(0)
TEXTS = [" ".join(_DRAW.choices(WORDS, k=_DRAW.randint(2, 9))) for _ in range(11)]
LABELS = ["question", "complaint", "praise"]
ROWS = [(text, LABELS[len(text) % 3]) for text in TEXTS]
#: Of a run of three epochs.
STEPS = 3 * 3


class Killed(Exception):
    """Stands for the end of a process."""


class Kill(keras.callbacks.Callback):
    """Ends the run after so many batches; or does something else then."""

    def __init__(self, after, act=None):
        super().__init__()
        self._left, self._act = after or -1, act

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if self._left == 0:
            if self._act is None:
                raise Killed
            self._act(self.model)


def parts(**options):
    config = kb.EncoderConfig(
        vocab_size=len(TOKENS),
        hidden_size=8,
        num_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
        dropout_rate=0.1,
        attention_dropout_rate=0.1,
    )
    tokenizer = kb.WordPieceTokenizer(TOKENS, lower_case=True)
    return kb.BertEncoder(config, **options), kb.Preprocessor(tokenizer, seq_length=12)


def classifier(optimizer=None, lora=False, dtype=None, **options):
    model = kb.BertClassifier(*parts(**({"dtype": dtype} if dtype else {})), labels=LABELS)
    if lora:
        model.enable_lora(2)
    options = {"metrics": ["accuracy"], "run_eagerly": True, **options}
    model.compile(optimizer=optimizer, **({} if optimizer else {"learning_rate": 1e-2}), **options)
    return model


def fit(folder, make=classifier, data=ROWS, kill=None, act=None, **options):
    """One start of a run, as the same command would make it; returns model and history."""
    keras.utils.set_random_seed(5)
    model = make()
    options = {"batch_size": 4, "epochs": 3, "save_every": 2, **options}
    # First, as what it kills has to be saved by others.
    callbacks = [Kill(kill, act), *options.pop("callbacks", lambda: [])()]
    history = None
    try:
        history = model.fit(data, verbose=0, callbacks=callbacks, checkpoints=folder, **options)
    except Killed:
        pass
    return model, history


def assert_same(found, expected):
    (model, history), (other, scores) = found, expected
    assert history.history == scores.history
    assert history.epoch == scores.epoch
    ours = [*model.weights, *model.optimizer.variables]
    theirs = [*other.weights, *other.optimizer.variables]
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


def check(tmp_path, kills=(2, 4), **options):
    """Kills a run so many batches after each start and compares with one that was not killed."""
    expected = fit(tmp_path / "whole", **options)
    for kill in kills:
        fit(tmp_path / "killed", kill=kill, **options)
    found = fit(tmp_path / "killed", **options)
    assert_same(found, expected)
    return found, expected


def stateful():
    return [
        keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=0.05),
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
    ]


@pytest.mark.slow
def test_all_at_once(tmp_path):
    """Averaged weights, LoRA, groups of batches, best epochs, callbacks of Keras, a table."""

    def make():
        optimizer = kb.AdamW(1e-2, use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=2)
        return classifier(optimizer, lora=True)

    def run(name, **options):
        callbacks = lambda: [*stateful(), keras.callbacks.CSVLogger(tmp_path / f"{name}.csv")]  # noqa: E731
        data = {"validation_data": ROWS[:8], "patience": 3, "monitor": "loss"}
        return fit(tmp_path / name, make, callbacks=callbacks, **data, **options)

    expected = run("whole")
    assert len(expected[1].epoch) == 3
    run("killed", kill=5)
    assert_same(run("killed"), expected)
    tables = [list(csv.DictReader((tmp_path / f"{n}.csv").open())) for n in ("whole", "killed")]
    assert len(tables[0]) == 3
    assert tables[0] == tables[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never killed: its folder, and what it has come to."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "model.keras").write_text("somebody's")
    return folder, fit(folder, keep=1, **VALIDATED)


VALIDATED = {"validation_data": ROWS[:4], "restore_best": True}


def test_a_finished_run_is_there_at_once(whole):
    folder, expected = whole
    found = fit(folder, kill=1, **VALIDATED)
    assert_same(found, expected)
    assert found[0].history is found[1]
    assert not found[0].head_is_fresh


def test_checkpoints_lie_beside_other_files(whole):
    folder, (_, history) = whole
    best = 3 * (1 + int(np.argmax(history.history["val_accuracy"])))
    assert sorted(os.listdir(folder)) == [
        f"best-{best:08d}",
        "lock",
        "model.keras",
        "step-00000009-epoch",
        "step-00000009-final",
    ]
    state = json.loads((folder / "step-00000009-epoch" / "state.json").read_text())
    assert (state["step"], state["epoch"], state["batch"]) == (STEPS, 3, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"make": lambda: classifier(run_eagerly=False), "validation_data": ROWS[:8]},
        {"make": lambda: classifier(run_eagerly=False, jit_compile=True)},
        {"make": lambda: classifier(run_eagerly=False, steps_per_execution=2), "save_every": 1},
        {"make": lambda: classifier(dtype="mixed_float16")},
        {"make": lambda: classifier(dtype="mixed_bfloat16"), "accumulate": 3},
        {"make": lambda: classifier("adam"), "class_weight": "balanced"},
        {"validation_data": ROWS[:8], "patience": 0, "epochs": 6},
        {"validation_data": ROWS[:8], "restore_best": True, "validation_freq": 2},
    ],
    ids=["graph", "xla", "groups", "float16", "bfloat16", "adam", "patience", "every other"],
)
def test_what_fit_takes(tmp_path, options):
    check(tmp_path, **options)


@pytest.mark.slow
@pytest.mark.parametrize("kill", range(1, STEPS + 1))
def test_killed_after_each_batch(tmp_path, kill):
    options = {"validation_data": ROWS[:4], "restore_best": True, "save_every": 3}
    check(tmp_path, kills=(kill,), **options)


def dataset(texts=True, shuffle=None, batch=None):
    ids = [{"input_word_ids": np.arange(i, i + 8) % len(TOKENS)} for i in range(len(TEXTS))]
    ids = {"input_word_ids": np.stack([row["input_word_ids"] for row in ids])}
    labels = [label for _, label in ROWS] if texts else [len(t) % 3 for t in TEXTS]
    data = tf.data.Dataset.from_tensor_slices((TEXTS if texts else ids, labels))
    if shuffle is not None:
        data = data.shuffle(len(TEXTS), **shuffle)
    return data if batch is None else data.batch(batch)


FIXED = {"seed": 3, "reshuffle_each_iteration": False}
IDS = np.random.default_rng(0).integers(0, len(TOKENS), (len(TEXTS), 8))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"data": dataset(shuffle=FIXED)},
        {"data": dataset(texts=False, shuffle=FIXED, batch=4)},
        {"data": dataset(shuffle=FIXED).repeat(), "steps_per_epoch": 4},
        {"data": dataset(shuffle=FIXED).filter(lambda *_: True)},
        {"data": {"input_word_ids": IDS}, "y": np.arange(len(TEXTS)) % 3},
        {"data": {"input_word_ids": IDS}, "y": np.arange(len(TEXTS)) % 3, "shuffle": False},
    ],
    ids=["texts", "ids", "endless", "no size", "arrays", "arrays in order"],
)
def test_kinds_of_data(tmp_path, options):
    check(tmp_path, **options)


@pytest.mark.slow
def test_tokens_of_datasets_are_hidden_alike(tmp_path):
    def make():
        model = kb.BertMaskedLM(*parts())
        model.compile(learning_rate=1e-2, metrics=[], run_eagerly=True)
        return model

    check(tmp_path / "a", make=make, data=tf.data.Dataset.from_tensor_slices(TEXTS))
    endless = tf.data.Dataset.from_tensor_slices(TEXTS).repeat()
    check(tmp_path / "b", make=make, data=endless, steps_per_epoch=5)


def test_data_of_which_the_next_batch_is_not_known(tmp_path):
    with pytest.raises(ValueError, match="another order each time.*reshuffle_each_iteration=False"):
        fit(tmp_path / "a", data=dataset(shuffle={}))
    with pytest.raises(
        ValueError, match="texts, arrays and tf.data.Dataset.*received list_iterator"
    ):
        fit(tmp_path / "b", data=iter([]))
    with pytest.raises(ValueError, match="of 3 batches here; received steps_per_epoch=2"):
        fit(tmp_path / "c", steps_per_epoch=2)
    with pytest.raises(ValueError, match="steps_per_epoch=2"):  # the folder was given free
        fit(tmp_path / "c", steps_per_epoch=2)


@pytest.mark.slow
def test_another_run_is_refused_and_told(tmp_path):
    fit(tmp_path, kill=1)
    for options, message in [
        ({"data": ROWS[:-1]}, "data.rows was 11 and is 10"),
        ({"data": [(ROWS[0][0] + " a", ROWS[0][1]), *ROWS[1:]]}, "data.texts was '.*' and is '"),
        ({"batch_size": 5, "epochs": 4}, "epochs was 3 and is 4; batch_size was 4 and is 5"),
        ({"make": lambda: classifier("sgd")}, "optimizer.class_name was 'AdamW' and is 'SGD'"),
        ({"make": lambda: classifier(lora=True)}, "partial_training.lora.rank was not given and"),
        ({"validation_data": ROWS[:4]}, "validation.rows was not given and is 4"),
    ]:
        with pytest.raises(ValueError, match=f"of another run: .*{message}"):
            fit(tmp_path, **options)


@pytest.mark.slow
def test_more_epochs_where_the_rate_does_not_depend_on_them(tmp_path):
    make = lambda: classifier(kb.AdamW(1e-2))  # noqa: E731
    expected = fit(tmp_path / "three", make)
    fit(tmp_path / "more", make, epochs=1)
    assert_same(fit(tmp_path / "more", make, epochs=3), expected)


@pytest.mark.slow
def test_damaged_checkpoints(tmp_path, whole):
    fit(tmp_path, kill=5, **VALIDATED)
    damage(tmp_path, "step-00000004")
    with pytest.warns(CheckpointWarning, match="step-00000004 is damaged"):
        fit(tmp_path, kill=1, **VALIDATED)
    for path in tmp_path.glob("step-*"):
        damage(tmp_path, path.name)
    with pytest.warns(CheckpointWarning) as warned:
        assert_same(fit(tmp_path, **VALIDATED), whole[1])
    last = [str(warning.message) for warning in warned if warning.category is CheckpointWarning][-1]
    assert f"No checkpoint in {tmp_path} is whole: the run starts from the beginning" in last


def damage(run, name):
    (run / name / "state.json").write_text("{")


def full(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::keras_bert.training.CheckpointWarning")
def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch, whole):
    seal = "keras_bert.training.runs.run_checkpoints._seal"
    with monkeypatch.context() as patch:
        patch.setattr(seal, full)
        with pytest.raises(OSError, match="the run was not started"):
            fit(tmp_path)
    # Full later on: it is trained to its end all the same.
    with monkeypatch.context() as patch:
        found = fit(tmp_path, kill=3, act=lambda _: patch.setattr(seal, full), **VALIDATED)
    assert_same(found, whole[1])
    assert sorted(os.listdir(tmp_path)) == ["lock", "step-00000000", "step-00000002"]


def send(number):
    return lambda _: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    "number, ends",
    [
        (signal.SIGTERM, Preempted),
        pytest.param(signal.SIGINT, KeyboardInterrupt, marks=pytest.mark.slow),
    ],
)
def test_asked_to_end(tmp_path, whole, number, ends):
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(ends) as stop:
        fit(tmp_path, kill=2, act=send(number), save_every=100, **VALIDATED)
    if ends is Preempted:
        assert stop.value.code == 42
    assert handlers == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    assert "step-00000002" in os.listdir(tmp_path)
    assert_same(fit(tmp_path, **VALIDATED), whole[1])


class InValidation(keras.callbacks.Callback):
    """Sends a signal while an epoch is validated."""

    def __init__(self, sent):
        super().__init__()
        self._sent = sent

    def on_test_batch_end(self, batch, logs=None):
        if self._sent:
            os.kill(os.getpid(), self._sent.pop())


@pytest.mark.slow
def test_asked_to_end_in_validation(tmp_path, whole):
    sent = [signal.SIGTERM]
    with pytest.raises(Preempted):
        callbacks = lambda: [InValidation(sent)]  # noqa: E731
        fit(tmp_path, callbacks=callbacks, save_every=100, **VALIDATED)
    assert "step-00000003" in os.listdir(tmp_path)
    assert_same(fit(tmp_path, **VALIDATED), whole[1])


def test_options_that_nothing_follows_from(tmp_path):
    with pytest.raises(ValueError, match="save_every goes with checkpoints=FOLDER"):
        fit(None, save_every=3)
    with pytest.raises(ValueError, match="save_every goes with checkpoints=FOLDER"):
        fit(RunCheckpoints(tmp_path))
    with pytest.raises(ValueError, match="keep is a whole number from 1 on; received 0"):
        fit(tmp_path, keep=0)


@pytest.mark.slow
def test_seeds_are_those_that_the_run_was_started_with(tmp_path, whole):
    """Also of a program that sets none, whose dropout and first weights are others each time."""
    fit(tmp_path, kill=3, **VALIDATED)
    keras.utils.set_random_seed(99)
    model = classifier()
    options = {"batch_size": 4, "epochs": 3, "save_every": 2, "verbose": 0, **VALIDATED}
    history = model.fit(ROWS, checkpoints=tmp_path, **options)
    assert_same((model, history), whole[1])


class Counter(keras.callbacks.Callback):
    """A user's callback that remembers something."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def get_state(self):
        return {"batches": self.batches}

    def set_state(self, state):
        self.batches = state["batches"]


@pytest.mark.slow
def test_callbacks_of_users_remember(tmp_path):
    fit(tmp_path, kill=5, callbacks=lambda: [Counter()])
    counter = Counter()
    fit(tmp_path, callbacks=lambda: [counter])
    assert counter.batches == STEPS


def killed_runs(folder, *arguments, timeout):
    script = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, str(script), str(folder), *map(str, arguments)]
    # The package that is tested, installed or not.
    environment = os.environ | {"PYTHONPATH": str(Path(kb.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for end in found["ends"]:
        assert end == found["expected"]
    return found


def test_killed_twice_by_the_system(tmp_path):
    found = killed_runs(tmp_path, "masked_lm", "eager", 12, 1, 2, 1, timeout=240)
    assert len(found["moments"][0]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("case", ["classifier", "masked_lm"])
def test_killed_at_random_moments(tmp_path, case):
    """Twenty runs of 200 steps, each killed once; five of them while a checkpoint is written."""
    found = killed_runs(tmp_path, case, "graph", 200, 20, 1, 2, timeout=3600)
    assert [len(moments) for moments in found["moments"]] == [1] * 20
