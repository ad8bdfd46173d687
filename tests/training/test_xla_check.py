"""Training steps under XLA: those of all tasks are fit for a TPU, and what is not is told."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.training import xla_check
from keras_bert.training.xla_check import NotTpuReadyError, check_tpu_ready

# What a TPU cannot do.


def in_python(x):
    return tf.py_function(lambda y: y, [x], tf.float32)


def printed(x):
    tf.print(tf.reduce_sum(x))
    return x


def as_text(x):
    return x + tf.cast(tf.strings.length(tf.strings.as_string(x)), tf.float32)


def masked(x):
    return x + tf.reduce_sum(tf.boolean_mask(x, x > 0))


def unique(x):
    return x + tf.reduce_sum(tf.unique(tf.stop_gradient(tf.reshape(x, (-1,))))[0])


def masked_in_a_branch(x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: masked(x), lambda: x)


def without_kernel(x):
    return x + tf.cast(tf.histogram_fixed_width(tf.stop_gradient(x), [0.0, 1.0], 2), x.dtype)


def in_float64(x):
    return tf.cast(tf.cast(x, tf.float64) * 2, tf.float32)


def fine(x):
    return tf.where(x > 0, x, 0.0)


class Odd(keras.layers.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


def small(layer=fine, loss=fine):
    """A model with something in a layer, something in its loss."""
    inputs = keras.Input((3,), batch_size=4)
    outputs = Odd(layer, name="odd")(keras.layers.Dense(2, name="dense")(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.1, global_clipnorm=1.0),
        loss=lambda y, p: tf.reduce_mean(tf.square(loss(p) - y), axis=-1),
        metrics=["mae"],
    )
    return model


BATCH = (np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32))


@pytest.mark.parametrize(
    ("function", "kind", "op"),
    [
        (in_python, "host", "EagerPyFunc"),
        (printed, "host", "PrintV2"),
        (as_text, "string", "AsString"),
        (masked, "dynamic", "Where"),
        (unique, "dynamic", "Unique"),
        (masked_in_a_branch, "dynamic", "Where"),
        (without_kernel, "operation", "HistogramFixedWidth"),
    ],
)
def test_what_a_tpu_lacks_is_found_in_a_loss(function, kind, op):
    shaped = lambda x: tf.ensure_shape(function(x), (4, 2))  # noqa: E731
    report = check_tpu_ready(small(loss=shaped), BATCH)
    found = {(finding.kind, finding.op): finding for finding in report.problems}
    assert (kind, op) in found and not report.ready
    assert found[kind, op].layer.startswith("compile_loss")
    assert found[kind, op].source.startswith("test_xla_check.py:")
    with pytest.raises(NotTpuReadyError, match=rf"^Not ready for a TPU(.|\n)*{op} in compile_loss"):
        report.require()
    # Shapes that depend on values XLA compiles, with a bound; what else it lacks it says itself.
    assert report.compiled == (kind == "dynamic")


def test_the_layer_is_named():
    (finding,) = check_tpu_ready(small(layer=masked), BATCH).problems
    assert re.search(r"(^|/)odd(_\d+)?(/|$)", finding.layer), finding
    assert "multiply by a mask" in str(finding)


def test_bounds_are_found_in_what_xla_makes(monkeypatch):
    """Also of operations that nobody thought of."""
    monkeypatch.setattr(xla_check, "_SHAPED_BY_VALUES", {})
    problems = check_tpu_ready(small(layer=masked), BATCH).problems
    assert problems and {finding.kind for finding in problems} == {"dynamic"}
    assert any("[<=" in finding.why for finding in problems)


def test_float64_is_slow_but_runs():
    report = check_tpu_ready(small(layer=in_float64), BATCH)
    assert report.ready and report.require() is report
    assert {finding.kind for finding in report.slow} == {"float64"}
    assert re.search(r"Slow: \d+ operations of test_xla_check.py are in float64", str(report))


def test_what_is_fine():
    model = small()
    report = check_tpu_ready(model, BATCH)
    assert report.ready and not report.slow and report.error is None
    assert report.ops["MatMul"] == 2 and report.instructions > 50
    assert report.hlo.startswith("HloModule") and report.hlo_bytes == len(report.hlo)
    assert str(report).startswith("Ready for a TPU: ")


def test_nothing_is_changed():
    model = small()
    model.train_on_batch(*BATCH)
    before = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    scores = model.get_metrics_result()
    check_tpu_ready(model, BATCH)
    after = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert model.get_metrics_result() == scores


def test_a_step_of_ones_own():
    weight = tf.Variable(np.ones((3, 2), np.float32))

    def step(batch):
        weight.assign_sub(tf.reduce_mean(batch[0]) * weight)
        return tf.reduce_sum(weight)

    assert check_tpu_ready(None, BATCH, step).ready
    assert not check_tpu_ready(None, BATCH, lambda batch: masked(step(batch) * batch[0])).ready


def test_datasets_have_to_have_one_shape():
    x, y = BATCH
    dataset = tf.data.Dataset.from_tensor_slices(({"a": x}, y))
    report = check_tpu_ready(None, dataset.batch(4), lambda batch: batch[0]["a"])
    assert [finding.op for finding in report.problems] == ["batch/0/a", "batch/1"]
    assert "give pad_to" in str(report) and "(None, 3)" in str(report)
    whole = dataset.batch(4, drop_remainder=True)
    assert check_tpu_ready(None, whole, lambda batch: batch[0]["a"]).ready
    text = tf.data.Dataset.from_tensors((tf.constant(["a"]),))
    assert "is text" in str(check_tpu_ready(None, text, lambda batch: tf.constant(1.0)))
    with pytest.raises(ValueError, match="The dataset is empty"):
        check_tpu_ready(None, dataset.take(0), lambda batch: 0)


def test_a_model_has_to_be_compiled():
    with pytest.raises(ValueError, match="not compiled"):
        check_tpu_ready(keras.Sequential([keras.layers.Dense(1)]), BATCH)


# All tasks.


ROWS, SEQ = 4, 8
CLASSES = np.array([0, 1, 2, 0], np.int32)
NUMBERS = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
PLACES = np.eye(SEQ, dtype=np.int32)[CLASSES + 1]


def ids(*shape, positions=False):
    shape = (ROWS, *shape, SEQ)
    words = np.random.default_rng(0).integers(1, 20, shape).astype(np.int32)
    mask = np.broadcast_to(np.arange(SEQ) < SEQ - 2, shape).astype(np.int32)
    found = {"input_word_ids": words, "input_mask": mask, "input_type_ids": np.zeros_like(mask)}
    if positions:
        found["masked_lm_positions"] = np.tile(np.array([1, 2, 0], np.int32), (ROWS, 1))
    # As batches of fixed shapes have it.
    found["example_present"] = np.arange(ROWS) < ROWS - 1
    return found


def unmarked(found):
    found.pop("example_present")
    return found


def compared(loss, texts, targets):
    return (kb.DualEncoder, {}, lambda: ids(texts), targets, {"loss": loss})


HIDDEN = np.tile(np.array([3, 4, -1], np.int32), (ROWS, 1))
LABELS = {"labels": ["a", "b", "c"]}

#: Name → (class, its arguments, ids, targets, arguments of compile).
TASKS = {
    "single": (kb.BertClassifier, LABELS, ids, CLASSES, {}),
    "multi": (
        kb.BertClassifier,
        {**LABELS, "multi_label": True},
        ids,
        np.eye(3, dtype=np.float32)[CLASSES],
        {},
    ),
    "regression": (kb.BertClassifier, {"num_labels": 1}, ids, NUMBERS, {}),
    "tokens": (kb.BertTokenClassifier, LABELS, ids, PLACES - 1, {}),
    "span": (kb.BertSpanLabeler, {}, ids, {"start_logits": PLACES, "end_logits": PLACES}, {}),
    "choice": (kb.BertMultipleChoice, {}, lambda: ids(3), CLASSES, {}),
    "masked_lm": (kb.BertMaskedLM, {}, lambda: ids(positions=True), HIDDEN, {}),
    "pretraining": (
        kb.BertPretrainer,
        {},
        lambda: unmarked(ids(positions=True)),
        {"masked_lm": HIDDEN, "next_sentence": CLASSES % 2},
        {
            "loss": {
                "masked_lm": kb.training.MaskedTokens(),
                "next_sentence": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            }
        },
    ),
    "negatives": compared("multiple_negatives", 2, -CLASSES % 2 - 1),
    "margin": compared("additive_margin", 2, CLASSES * 0),
    "triplet": compared("triplet", 3, CLASSES * 0),
    "cosine": compared("cosine", 2, NUMBERS),
    "contrastive": compared("contrastive", 2, NUMBERS),
}

#: Family → a folder in fixtures.
FAMILIES = {
    "albert": "families/albert",
    "electra": "families/electra",
    "distilbert": "families/distilbert",
    "mobile_bert": "mobile_bert/model",
    "modernbert": "modernbert/model",
    "xlnet": "xlnet/two_directions",
}


def bert(**options):
    sizes = {"hidden_size": 8, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return kb.BertEncoder(
        kb.EncoderConfig(vocab_size=30, max_position_embeddings=16, **sizes), **options
    )


def report_of(task, encoder, optimizer):
    kind, arguments, inputs, targets, compiled = TASKS[task]
    model = kind(encoder, **arguments)
    model.compile(optimizer, **compiled)
    return check_tpu_ready(model, (inputs(), targets))


def test_a_whole_step_is_ready():
    report_of("single", bert(), kb.AdamW(1e-3)).require()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_all_tasks_are_ready(task):
    report = report_of(task, bert(), kb.AdamW(1e-3)).require()
    # The correlation alone, of a few numbers.
    assert {f.source.split(":")[0] for f in report.slow} <= {"regression.py"}
    assert bool(report.slow) == (task == "regression")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single", "tokens", "span", "choice", "masked_lm", "cosine"])
@pytest.mark.parametrize("family", FAMILIES)
def test_all_families_are_ready(family, task, fixtures):
    encoder = kb.BertEncoder.from_pretrained(str(fixtures / FAMILIES[family]))
    report_of(task, encoder, kb.AdamW(1e-3)).require()


@pytest.mark.slow
def test_ends_given_the_start_are_ready(fixtures):
    encoder = kb.BertEncoder.from_pretrained(str(fixtures / "xlnet" / "beam_span_labeler"))
    model = kb.BeamSpanLabeler(encoder)
    model.compile(kb.AdamW(1e-3))
    targets = {"start_logits": PLACES, "end_logits": PLACES, "cls_logits": CLASSES % 2}
    check_tpu_ready(model, (ids(), targets)).require()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single", "masked_lm"])
def test_half_precision_is_ready(task):
    report = report_of(task, bert(dtype="mixed_bfloat16"), kb.AdamW(1e-3)).require()
    assert re.search(r"bf16\[[^\]]*\]\S* dot\(", report.hlo)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_steps_that_xla_compiled_do_the_same(task):
    """The compiled step is run: its loss is that of the step that is not."""
    losses = []
    for jit in (False, True):
        keras.utils.set_random_seed(1)
        kind, arguments, inputs, targets, compiled = TASKS[task]
        model = kind(bert(), **arguments)
        model.compile(kb.AdamW(1e-3), jit_compile=jit, **compiled)
        batch = tf.nest.map_structure(tf.constant, (inputs(), targets))
        data = tf.data.Dataset.from_tensors(batch).repeat(3)
        losses.append(model.evaluate(data, verbose=0, return_dict=True)["loss"])
        model.optimizer.build(model.trainable_variables)
        history = keras.Model.fit(model, data, verbose=0)
        losses.append(history.history["loss"][0])
    np.testing.assert_allclose(losses[2:], losses[:2], rtol=2e-5)
