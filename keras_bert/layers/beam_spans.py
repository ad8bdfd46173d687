"""XLNet's head for questions: where an answer ends depends on where it begins."""

import keras
from keras import ops

from keras_bert.layers.activations import get_activation
from keras_bert.layers.heads import token_vectors
from keras_bert.layers.linear import Linear
from keras_bert.layers.normalization import LayerNorm

__all__ = ["BeamSpanHead"]

#: What a place gets that cannot be in an answer; unlike -inf it is a number when added to one.
EXCLUDED = -1e30


@keras.saving.register_keras_serializable("keras_bert")
class BeamSpanHead(keras.layers.Layer):
    """Starts of answers, ends given each of the best starts, and whether there is no answer.

    With ``h`` the vectors of the tokens and ``s`` that of a start, logits are ``w h + b`` of a
    start, ``v LayerNorm(tanh(W [h; s] + c)) + d`` of an end given that start, and
    ``u tanh(V [s; h_last] + e)`` of no answer. Where the start is not given, the last one takes
    the mean of ``h`` under the probabilities of the starts for ``s``.

    Args:
        start_n_top: Most starts that ends are computed for, the likeliest.
        end_n_top: Most ends that are told of each start, the likeliest.
        layer_norm_epsilon: Added to the variance in LayerNorm.
        initializer_range: Standard deviation of new kernels.

    Inputs: ``hidden`` (batch, seq, width) floating; ``answer_mask`` (batch, seq), 1 for a token
    that may be in an answer and 0 for others, among them padding (default: all may, padding too);
    ``start_positions`` (batch,), integers, the starts where they are known.

    Outputs: a dict, with n starts and m ends, ``start_n_top`` and ``end_n_top`` or ``seq`` where
    that is less:

    - ``start_logits`` (batch, seq) float32.
    - ``start_top_log_probs`` (batch, n) float32 and ``start_top_index`` (batch, n) int32: the
      likeliest starts. Probabilities in spite of the name, which is that of transformers.
    - ``end_top_log_probs`` (batch, m * n) float32 and ``end_top_index`` (batch, m * n) int32: the
      likeliest end of each start, then the second of each, and so on; probabilities too.
    - ``cls_logits`` (batch,) float32: how much there seems to be no answer.

    With ``start_positions``: ``start_logits``, ``end_logits`` (batch, seq) float32 of ends given
    that start, and ``cls_logits``.

    Source: ``get_qa_outputs`` in zihangdai/xlnet ``function_builder.py``; ``XLNetPooler*`` and
    ``XLNetForQuestionAnswering`` in transformers' ``modeling_xlnet.py``, whose order of ends it is.

    Example:
        >>> outputs = BeamSpanHead(start_n_top=3, end_n_top=4)(keras.ops.ones((2, 9, 8)))
        >>> tuple(outputs["start_top_index"].shape), tuple(outputs["end_top_index"].shape)
        ((2, 3), (2, 12))
    """

    def __init__(
        self,
        start_n_top=5,
        end_n_top=5,
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.start_n_top = start_n_top
        self.end_n_top = end_n_top
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        # Logits in float32, as those of all heads: see ClassificationHead.
        self.start_logits = self._linear(1, "start_logits", dtype="float32")
        self.end_norm = LayerNorm(
            epsilon=layer_norm_epsilon, name="end_norm", dtype=self.dtype_policy
        )
        self.end_logits = self._linear(1, "end_logits", dtype="float32")
        self.answer_logits = self._linear(1, "answer_logits", use_bias=False, dtype="float32")
        self.end_dense = self.answer_dense = None

    def _linear(self, units, name, **options):
        options = {"dtype": self.dtype_policy, **options}
        return Linear(units, initializer_range=self.initializer_range, name=name, **options)

    def build(self, hidden_shape, *_):
        """Creates the weights: of starts, of ends and of answers, for vectors of this width."""
        width = hidden_shape[-1]
        self.end_dense = self._linear(width, "end_dense")
        self.answer_dense = self._linear(width, "answer_dense", activation="tanh")
        for layer in (self.start_logits, self.end_norm, self.end_logits, self.answer_logits):
            layer.build((None, width))
        for layer in (self.end_dense, self.answer_dense):
            layer.build((None, 2 * width))

    def call(self, hidden, answer_mask=None, start_positions=None, training=None):
        """Returns the likeliest starts and ends, or the logits given the starts; see the class."""
        logits = _masked(self.start_logits(hidden, training=training)[..., 0], answer_mask)
        if start_positions is not None:
            starts = token_vectors(hidden, ops.expand_dims(start_positions, 1))
            ends = self._end_logits(hidden, starts, answer_mask, training)
            return {
                "start_logits": logits,
                "end_logits": ends[:, 0],
                "cls_logits": self._cls_logits(hidden, starts[:, 0], training),
            }
        shares = ops.softmax(logits)
        mean = ops.matmul(ops.expand_dims(shares, 1), ops.cast(hidden, "float32"))[:, 0]
        return {
            "start_logits": logits,
            **self._beams(hidden, shares, answer_mask, training),
            "cls_logits": self._cls_logits(hidden, ops.cast(mean, hidden.dtype), training),
        }

    def _beams(self, hidden, shares, answer_mask, training):
        """The likeliest starts, and the likeliest ends of each."""
        length = ops.shape(shares)[1]
        starts, ends = (_at_most(n, length) for n in (self.start_n_top, self.end_n_top))
        start_shares, start_places = ops.top_k(shares, starts)
        logits = self._end_logits(
            hidden, token_vectors(hidden, start_places), answer_mask, training
        )
        found = (ops.transpose(x, (0, 2, 1)) for x in ops.top_k(ops.softmax(logits), ends))
        end_shares, end_places = (ops.reshape(x, (-1, starts * ends)) for x in found)
        return {
            "start_top_log_probs": start_shares,
            "start_top_index": start_places,
            "end_top_log_probs": end_shares,
            "end_top_index": end_places,
        }

    def _end_logits(self, hidden, starts, answer_mask, training):
        """(batch, seq, width) and vectors of starts (batch, n, width) → (batch, n, seq)."""
        # W [h; s] is W₁ h + W₂ s: n starts ask for one product with the tokens, not n.
        dense, width = self.end_dense, hidden.shape[-1]
        of_tokens = dense.product(hidden, dense.kernel[:width], dense.bias, training)
        of_starts = dense.product(starts, dense.kernel[width:], None, training)
        both = ops.expand_dims(of_tokens, 1) + ops.expand_dims(of_starts, 2)
        both = self.end_norm(get_activation("tanh", training)(both), training=training)
        logits = self.end_logits(both, training=training)[..., 0]
        return _masked(logits, None if answer_mask is None else ops.expand_dims(answer_mask, 1))

    def _cls_logits(self, hidden, start, training):
        """Vectors of a start and of the last token, which is the class token: (batch,)."""
        both = ops.concatenate([start, hidden[:, -1]], axis=-1)
        both = self.answer_dense(both, training=training)
        return self.answer_logits(both, training=training)[:, 0]

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "start_n_top": self.start_n_top,
            "end_n_top": self.end_n_top,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
        }


def _masked(logits, answer_mask):
    """Logits, those of excluded places as low as theirs."""
    if answer_mask is None:
        return logits
    return ops.where(ops.not_equal(answer_mask, 0), logits, EXCLUDED)


def _at_most(count, length):
    """A number of places, or all where there are not so many."""
    return min(count, length) if isinstance(length, int) else ops.minimum(count, length)
