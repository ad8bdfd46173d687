"""AdamW. That it is PyTorch's, step for step: tests/parity/test_adamw_parity.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import LAMB, AdamW, WarmupLinearDecay


def variables():
    shapes = {
        "kernel": (3, 2),
        "bias": (2,),
        "gamma": (2,),
        "beta": (2,),
        "word_embeddings": (5, 2),
    }
    return [keras.Variable(np.ones(shape), name=name) for name, shape in shapes.items()]


def test_decay_excludes_bias_and_layer_norm():
    weights = variables()
    optimizer = AdamW(0.1, weight_decay=0.5)
    optimizer.apply([tf.zeros(v.shape) for v in weights], weights)
    after = {v.name: float(np.ravel(v)[0]) for v in weights}
    assert after == pytest.approx(
        {"kernel": 0.95, "bias": 1, "gamma": 1, "beta": 1, "word_embeddings": 0.95}
    )


def reference(w, grads, rate, wd, b1=0.9, b2=0.999, eps=1e-6, correct=True):
    """Loshchilov & Hutter 2019, algorithm 2, in float64."""
    w, m, v = w.astype(np.float64), 0.0, 0.0
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        mh, vh = (m / (1 - b1**t), v / (1 - b2**t)) if correct else (m, v)
        w = w - rate * (mh / (np.sqrt(vh) + eps) + wd * w)
    return w


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("eps", [1e-6, 1e-2])
def test_equals_the_formula(correct, eps):
    random = np.random.default_rng(0)
    start, grads = random.normal(size=(4, 3)), random.normal(size=(6, 4, 3)) * 1e-2
    weight = keras.Variable(start, name="kernel")
    optimizer = AdamW(
        1e-2, weight_decay=0.1, epsilon=eps, bias_correction=correct, global_clipnorm=None
    )
    for grad in grads:
        optimizer.apply([tf.constant(grad, tf.float32)], [weight])
    expected = reference(start, grads, 1e-2, 0.1, eps=eps, correct=correct)
    np.testing.assert_allclose(weight, expected, rtol=2e-5, atol=1e-7)


def test_rows_used_twice_are_summed_before_they_are_squared():
    tables = [keras.Variable(np.ones((5, 2)), name="word_embeddings") for _ in range(2)]
    values = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], np.float32)
    sparse = tf.IndexedSlices(values, tf.constant([1, 1, 4]), dense_shape=(5, 2))
    dense = np.zeros((5, 2), np.float32)
    np.add.at(dense, [1, 1, 4], values)
    for table, grad in zip(tables, (sparse, tf.constant(dense)), strict=True):
        optimizer = AdamW(0.1, global_clipnorm=1.0)
        for _ in range(3):
            optimizer.apply([grad], [table])
    np.testing.assert_array_equal(*tables)


def test_clips_by_the_norm_of_all_gradients_together():
    first = [keras.Variable(np.zeros(2), name=n) for n in ("a", "b")]
    second = [keras.Variable(np.zeros(2), name=n) for n in ("a", "b")]
    grads = [tf.constant([3.0, 0.0]), tf.constant([0.0, 4.0])]
    clipped = AdamW(0.1, global_clipnorm=1.0, epsilon=1.0, weight_decay=0)
    clipped.apply(grads, first)
    AdamW(0.1, global_clipnorm=None, epsilon=1.0, weight_decay=0).apply(
        [g / 5.0 for g in grads], second
    )
    np.testing.assert_allclose(np.stack(first), np.stack(second), rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_works_in_a_graph_and_under_xla(jit):
    weight, expected = (keras.Variable(np.ones((5, 2)), name="kernel") for _ in range(2))
    optimizer = AdamW(0.1)
    optimizer.build([weight])

    @tf.function(jit_compile=jit)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(weight.value, [1, 1, 3]) ** 2)
        optimizer.apply([tape.gradient(loss, weight.value)], [weight])

    step()
    grad = np.array([[0, 0], [4, 4], [0, 0], [2, 2], [0, 0]], np.float32)
    AdamW(0.1).apply([tf.constant(grad)], [expected])
    np.testing.assert_allclose(weight, expected, rtol=1e-6)


def test_round_trips():
    optimizer = AdamW(
        WarmupLinearDecay(1e-3, 50), beta_1=0.8, bias_correction=False, layer_decay=0.9
    )
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert copy.get_config() == optimizer.get_config()
    assert isinstance(copy._learning_rate, WarmupLinearDecay)


# Rates per layer, and gradients of several batches.


def rates_of(optimizer, weights):
    """How far each weight goes in a first step, which is the learning rate."""
    optimizer.apply([tf.ones(v.shape) for v in weights], weights)
    return [round(float(1 - np.ravel(v)[0]), 4) for v in weights]


def test_rates_fall_with_the_layers_above():
    weights = [keras.Variable(np.ones(2), name="kernel") for _ in range(4)]
    for weight, above in zip(weights, (3, 1, 0), strict=False):
        weight.layers_above = above  # the last one has none: it belongs to a head
    optimizer = AdamW(0.1, weight_decay=0, layer_decay=0.5)
    assert rates_of(optimizer, weights) == [0.0125, 0.05, 0.1, 0.1]
    weights = [keras.Variable(np.ones(2), name="kernel") for _ in range(2)]
    weights[0].layers_above = 3
    assert rates_of(AdamW(0.1, weight_decay=0), weights) == [0.1, 0.1]


def test_weight_decay_goes_by_the_layers_rate():
    weights = [keras.Variable(np.ones(2), name=name) for name in ("kernel", "bias")]
    for weight in weights:
        weight.layers_above = 1
    AdamW(0.1, weight_decay=0.5, layer_decay=0.5).apply([tf.zeros(2)] * 2, weights)
    assert [float(v[0]) for v in weights] == pytest.approx([0.975, 1.0])


@pytest.mark.parametrize("wrong", [0, -0.5, 1.5])
def test_layer_decay_is_a_share(wrong):
    with pytest.raises(ValueError, match="layer_decay is a factor .* received"):
        AdamW(layer_decay=wrong)


@pytest.mark.parametrize("jit", [False, True])
def test_accumulated_batches_are_one_batch(jit):
    """Rows of a table, clipping, weight decay and a schedule; the last group has two of three."""
    random = np.random.default_rng(0)
    rows = random.integers(0, 5, size=(8, 4))
    aims = random.normal(size=(8, 4, 3), scale=3).astype(np.float32)
    start = [random.normal(size=shape) for shape in ((5, 2), (2, 3))]

    def make(**kwargs):
        weights = [
            keras.Variable(array, name=name, dtype="float32")
            for array, name in zip(start, ("word_embeddings", "kernel"), strict=True)
        ]
        optimizer = AdamW(WarmupLinearDecay(1e-2, 3, warmup=0.6), weight_decay=0.1, **kwargs)
        optimizer.build(weights)

        @tf.function(jit_compile=jit, reduce_retracing=True)
        def step(rows, aims):
            with tf.GradientTape() as tape:
                found = tf.gather(weights[0].value, rows) @ weights[1].value
                loss = tf.reduce_mean(tf.square(found - aims))
            optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)

        return weights, optimizer, step

    weights, optimizer, step = make(gradient_accumulation_steps=3)
    expected, _, large_step = make()
    for first in (0, 3, 6):
        group = slice(first, first + 3)
        for batch in zip(rows[group], aims[group], strict=True):
            step(*map(tf.constant, batch))
        large_step(*(tf.constant(np.concatenate(part[group])) for part in (rows, aims)))
        if first == 6:
            optimizer.finish_accumulation()
        for ours, theirs in zip(weights, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert int(optimizer.iterations) == 3
    optimizer.finish_accumulation()  # nothing is left
    assert int(optimizer.iterations) == 3


def test_finishing_leaves_weights_without_gradients_alone():
    weights = [keras.Variable(np.ones(2), name="kernel", dtype="float32") for _ in range(2)]
    optimizer = AdamW(0.1, weight_decay=0.5, gradient_accumulation_steps=3)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([tf.ones(2), None], weights)
    optimizer.finish_accumulation()
    assert float(weights[0][0]) < 0.9 and float(weights[1][0]) == 1


def test_averages_of_weights_count_steps_not_batches():
    """With three batches to a step the average is that of large batches, as is what it replaces."""
    random = np.random.default_rng(3)
    start, gradients = random.normal(size=(4,)), random.normal(size=(12, 4))
    options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3}

    def trained(gradients, **kwargs):
        weight = keras.Variable(start, name="kernel", dtype="float32")
        optimizer = AdamW(0.1, **options, **kwargs)
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient, tf.float32)], [weight])
        return weight, optimizer._model_variables_moving_average[0]

    ours = trained(gradients, gradient_accumulation_steps=3)
    expected = trained(gradients.reshape(4, 3, 4).mean(axis=1))
    np.testing.assert_allclose(np.stack(ours), np.stack(expected), rtol=0, atol=1e-6)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3


@pytest.mark.parametrize("kind", [AdamW, LAMB])
def test_fixed_loss_scales_go_with_rows_of_tables(kind):
    rows = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 1]), tf.constant([5, 2]))
    tables = [keras.Variable(np.ones((5, 2)), name="table", dtype="float32") for _ in range(2)]
    kind(0.1).apply([rows], tables[:1])
    scaled = tf.IndexedSlices(rows.values * 64, rows.indices, rows.dense_shape)
    kind(0.1, loss_scale_factor=64.0).apply([scaled], tables[1:])
    np.testing.assert_array_equal(*tables)


@pytest.mark.parametrize("kind", [AdamW, LAMB])
def test_all_shapes_are_known_under_xla(kind):
    """TPUs have no tf.unique, whose number of rows is known only once it has run."""
    weights = [
        keras.Variable(np.ones((5, 2)), name=name, dtype="float32")
        for name in ("word_embeddings", "kernel")
    ]
    optimizer = kind(0.1)
    optimizer.build(weights)

    def step():
        rows = tf.IndexedSlices(tf.ones((3, 2)), tf.constant([1, 1, 3]), tf.constant([5, 2]))
        optimizer.apply([rows, tf.ones((5, 2))], weights)

    def operations(jit):
        return tf.function(step, jit_compile=jit).get_concrete_function().graph.get_operations()

    found = operations(jit=True)
    assert not {op.type for op in found} & {"Unique", "UniqueV2"}
    shapes = [tensor.shape for op in found for tensor in op.outputs]
    assert all(shape.is_fully_defined() for shape in shapes)
    assert "Unique" in {op.type for op in operations(jit=False)}
