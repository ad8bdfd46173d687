"""What a training step keeps for its gradients, read off the graph."""

import pytest
import tensorflow as tf

from keras_bert import BertEncoder, EncoderConfig

BATCH, TOKENS, HIDDEN = 2, 64, 32


def before(ops):
    """All operations that some depend on, and those."""
    found, todo = set(), list(ops)
    while todo:
        op = todo.pop()
        if op not in found:
            found.add(op)
            todo += [x.op for x in op.inputs] + list(op.control_inputs)
    return found


def holder(tensor):
    """The tensor whose memory another one shares."""
    while tensor.op.type in ("Identity", "IdentityN", "Reshape"):
        index = tensor.value_index if tensor.op.type == "IdentityN" else 0
        tensor = tensor.op.inputs[index]
    return tensor


def kept(layers, activation):
    """Floats per token, in multiples of the hidden size, that wait for the way back."""
    encoder = BertEncoder(
        EncoderConfig(
            vocab_size=50,
            hidden_size=HIDDEN,
            num_layers=layers,
            num_attention_heads=2,
            intermediate_size=4 * HIDDEN,
            hidden_activation=activation,
        )
    )
    losses = []

    @tf.function
    def step(ids):
        with tf.GradientTape() as tape:
            output = encoder({"input_word_ids": ids}, training=True)["sequence_output"]
            losses.append(tf.reduce_sum(output**2))
        return tape.gradient(losses[-1], [v.value for v in encoder.trainable_variables])

    spec = tf.TensorSpec((BATCH, TOKENS), tf.int32)
    graph = step.get_concrete_function(spec).graph
    forward = before([losses[-1].op])
    # A derivative that is made on the way forward stands in a control dependency of it.
    backward = before([x.op for x in graph.outputs]) - forward
    tensors = {
        holder(x).ref()
        for op in backward
        if op.type not in ("Identity", "IdentityN", "Reshape")
        for x in op.inputs
    }
    tensors = [x.deref() for x in tensors if x.deref().op in forward]
    tensors = [
        x
        for x in tensors
        if x.dtype != tf.resource
        and x.op.type != "ReadVariableOp"
        and (x.shape.num_elements() or 0) >= BATCH * TOKENS * HIDDEN
    ]
    size = sum(x.shape.num_elements() * x.dtype.size for x in tensors)
    return size / (BATCH * TOKENS * HIDDEN * 4)


@pytest.mark.parametrize(("activation", "most"), [("gelu", 22), ("gelu_tanh", 22), ("relu", 18)])
def test_a_block_keeps_no_more_than_its_gradients_need(activation, most):
    # Per token: query, key, value, context; two LayerNorms' inputs and outputs; 4 + 4 of the
    # feed-forward part; and attention's 2 x 64 probabilities (4 of the hidden size) with a byte
    # for each that tells whether it was dropped: 21.5, and 17.5 with ReLU, whose derivative is its
    # output's sign. Automatic differentiation keeps 35.5 (GELU), 39.5 (its tanh form), 23.5.
    per_block = kept(3, activation) - kept(2, activation)
    assert 15 < per_block < most
