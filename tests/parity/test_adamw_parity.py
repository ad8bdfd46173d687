"""Training steps against PyTorch: loss, gradients, weights; see fixtures/make/adamw.py.

PyTorch's gradients and weights are stored as checkpoints. Reading one like any other checkpoint
puts it into the layout of our variables (joined, transposed), for which the readers' own tests
answer; then every variable is compared with its counterpart.
"""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "adamw"
CASES = ("clipped", "small_rate", "unclipped")
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
#: Of the largest value of a tensor: loss, gradients, weights.
TOLERANCE = 1e-4
#: Of the largest change of a tensor. Adam's first step is rate * g / (|g| + epsilon): it passes
#: on a gradient's error, divided by epsilon where |g| is small. PyTorch's own float32 differs from
#: its float64 by up to 1.1e-3 here (case.json); the usual mistakes differ by at least 8e-3.
CHANGE_TOLERANCE = 5e-3
#: Key biases have no gradient: softmax does not see what is added to all scores of a query. What
#: is computed for them is rounding, which Adam blows up to steps of any size up to its rate.
NO_GRADIENT = 1e-5


@pytest.fixture(scope="module")
def batches():
    return np.load(FOLDER / "batches.npz")


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Reads one of the safetensors files into {variable path: array}."""
    read_files = {}

    def read_file(file):
        if file not in read_files:
            folder = tmp_path_factory.mktemp("tensors") / "checkpoint"
            shutil.copytree(FOLDER / "start", folder)
            shutil.copyfile(file, folder / "model.safetensors")
            read_files[file] = arrays_of(kb.BertClassifier.from_pretrained(str(folder)))
        return read_files[file]

    return read_file


@pytest.fixture(scope="module")
def is_key_bias(read):
    """{variable path: mask of the elements that are key biases}."""
    marks = {path: x == 1 for path, x in read(FOLDER / "key_biases.safetensors").items()}
    assert sum(int(mask.sum()) for mask in marks.values()) == 2 * 16
    return marks


def arrays_of(model):
    """{variable path: array} of the trainable variables."""
    variables = model.trainable_variables
    return dict(zip(paths_of(model), (v.value.numpy() for v in variables), strict=True))


def paths_of(model):
    """Variable paths without their first part: it is numbered through all models of a process."""
    paths = [variable.path.partition("/")[2] for variable in model.trainable_variables]
    assert len(set(paths)) == len(paths)
    return paths


def share(ours, theirs):
    """Largest difference as a share of the largest value."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def start_training(settings):
    model = kb.BertClassifier.from_pretrained(str(FOLDER / "start"))
    return model, kb.training.AdamW(
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        beta_1=settings["beta_1"],
        beta_2=settings["beta_2"],
        epsilon=settings["epsilon"],
        global_clipnorm=settings["global_clipnorm"],
    )


def batch_of(batches, settings, step):
    batch = "ab"[step % 2]
    inputs = {name: tf.constant(batches[f"{batch}/{name}"]) for name in INPUTS}
    return inputs, tf.constant(batches[f"{batch}/{settings['labels'][batch]}_labels"])


def loss_and_gradients(model, inputs, labels):
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(
            labels, model(inputs, training=True), from_logits=True
        )
        loss = tf.reduce_mean(losses)
    variables = [variable.value for variable in model.trainable_variables]
    return loss, tape.gradient(loss, variables)


@pytest.fixture(scope="module", params=CASES)
def trained(request, batches):
    """One case: its settings, first gradients, losses, norms and weights after each step."""
    settings = json.loads((FOLDER / request.param / "case.json").read_text())
    model, optimizer = start_training(settings)
    record = {"folder": FOLDER / request.param, "settings": settings}
    record |= {"losses": [], "norms": [], "weights": []}
    for step in range(len(settings["losses"])):
        loss, gradients = loss_and_gradients(model, *batch_of(batches, settings, step))
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if step == 0:
            arrays = (gradient.numpy() for gradient in dense)
            record["gradients"] = dict(zip(paths_of(model), arrays, strict=True))
        optimizer.apply(gradients, model.trainable_variables)
        record["losses"].append(float(loss))
        record["norms"].append(float(tf.linalg.global_norm(dense)))
        record["weights"].append(arrays_of(model))
    return record


def test_losses(trained):
    settings = trained["settings"]
    np.testing.assert_allclose(trained["losses"], settings["losses"], rtol=TOLERANCE)


def test_gradients(trained, read, is_key_bias):
    theirs = read(trained["folder"] / "gradients.safetensors")
    assert trained["gradients"].keys() == theirs.keys()
    for path, ours in trained["gradients"].items():
        assert share(ours, theirs[path]) <= TOLERANCE, path
        assert np.abs(ours[is_key_bias[path]]).max(initial=0) <= NO_GRADIENT
        assert np.abs(theirs[path][is_key_bias[path]]).max(initial=0) <= NO_GRADIENT


def test_global_norms(trained):
    """Before clipping. On one side of the limit of 1 in "unclipped", on the other elsewhere."""
    settings = trained["settings"]
    np.testing.assert_allclose(trained["norms"], settings["global_norms"], rtol=TOLERANCE)
    unclipped = max(trained["norms"]) < settings["global_clipnorm"]
    assert unclipped == (trained["folder"].name == "unclipped")


@pytest.mark.parametrize("steps", [1, 5])
def test_weights(trained, read, is_key_bias, steps):
    theirs = read(trained["folder"] / f"after_{steps}.safetensors")
    ours = trained["weights"][steps - 1]
    assert ours.keys() == theirs.keys()
    for path, mask in is_key_bias.items():
        off = np.abs(ours[path] - theirs[path])
        assert off[~mask].max() <= TOLERANCE * np.abs(theirs[path]).max(), path
        # Adam's bound on a step, both ways.
        bound = 2 * steps * trained["settings"]["learning_rate"] * 1.01
        assert off[mask].max(initial=0) <= bound, path


@pytest.mark.parametrize("steps", [1, 5])
def test_changes(trained, read, is_key_bias, steps):
    """Weights are large, changes small: only here does a wrong optimiser show."""
    start = read(FOLDER / "start" / "model.safetensors")
    theirs = read(trained["folder"] / f"after_{steps}.safetensors")
    for path, ours in trained["weights"][steps - 1].items():
        # Both round twice per step, each time by half a unit in the weight's last place.
        rounding = 2 * steps * np.spacing(np.abs(theirs[path]))
        off = np.clip(np.abs(ours - theirs[path]) - rounding, 0, None)
        changes = np.abs(theirs[path] - start[path])
        kept = ~is_key_bias[path]
        assert off[kept].max() <= CHANGE_TOLERANCE * changes[kept].max(), path


def check_weights(model, theirs, is_key_bias):
    for path, ours in arrays_of(model).items():
        off = np.abs(ours - theirs[path])[~is_key_bias[path]].max()
        assert off <= TOLERANCE * np.abs(theirs[path]).max(), path


@pytest.mark.parametrize(
    "jit_compile, count",
    [
        pytest.param(False, 5, id="graph"),
        pytest.param(True, 1, id="xla", marks=pytest.mark.slow),
    ],
)
def test_fit_takes_the_same_steps(batches, read, is_key_bias, jit_compile, count):
    """``fit`` on batches of ids: the mean of the losses, and the weights."""
    settings = json.loads((FOLDER / "clipped" / "case.json").read_text())
    model, optimizer = start_training(settings)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    steps = [batch_of(batches, settings, step) for step in range(count)]
    signature = tf.nest.map_structure(
        lambda tensor: tf.TensorSpec([None] * tensor.shape.rank, tensor.dtype), steps[0]
    )
    data = tf.data.Dataset.from_generator(lambda: steps, output_signature=signature)
    data = data.apply(tf.data.experimental.assert_cardinality(count))
    history = model.fit(data, epochs=1, shuffle=False, verbose=0)
    rows = [len(labels) for _, labels in steps]
    expected = np.average(settings["losses"][:count], weights=rows)
    np.testing.assert_allclose(history.history["loss"], expected, rtol=TOLERANCE)
    check_weights(model, read(FOLDER / "clipped" / f"after_{count}.safetensors"), is_key_bias)


def test_train_on_batch_takes_the_same_step(batches, read, is_key_bias):
    settings = json.loads((FOLDER / "clipped" / "case.json").read_text())
    model, optimizer = start_training(settings)
    model.compile(optimizer=optimizer, jit_compile=False)
    scores = model.train_on_batch(*batch_of(batches, settings, 0), return_dict=True)
    np.testing.assert_allclose(scores["loss"], settings["losses"][0], rtol=TOLERANCE)
    check_weights(model, read(FOLDER / "clipped" / "after_1.safetensors"), is_key_bias)
