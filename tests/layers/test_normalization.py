import numpy as np
import pytest
import tensorflow as tf

from keras_bert.layers import LayerNorm


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_training_gives_what_inference_gives(policy, compiled):
    layer = LayerNorm(epsilon=1e-12, dtype=policy)
    layer.build((None, None, 32))
    layer.gamma.assign(np.linspace(0.5, 2.0, 32))
    layer.beta.assign(np.linspace(-1.0, 1.0, 32))

    def run(x, training):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        return y, *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])

    if compiled:
        run = tf.function(run)
    x = tf.cast(tf.random.stateless_normal((3, 5, 32), [1, 2]) * 4.0 + 1.0, layer.compute_dtype)
    tolerance = 1e-5 if policy == "float32" else 2e-2
    for one, other in zip(run(x, True), run(x, False), strict=True):
        assert one.dtype == other.dtype
        one, other = (tf.cast(t, tf.float32) for t in (one, other))
        assert np.max(np.abs(one - other)) <= tolerance * np.max(np.abs(other))
