"""XLNetEncoder: token ids to contextual vectors, by distances instead of positions."""

from typing import NamedTuple

import keras
from keras import ops

from keras_bert.config import XLNetConfig
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.relative_attention import distance_waves
from keras_bert.layers.relative_block import RelativeBlock, WordEmbeddings
from keras_bert.models.encoder import Encoder

__all__ = ["XLNetEncoder"]

INPUTS = (
    "input_word_ids",
    "input_mask",
    "input_type_ids",
    "permutation_mask",
    "target_mapping",
    "memory",
)


class _View(NamedTuple):
    """What the tokens of a batch see of each other; see ``RelativeBlock.call``."""

    waves: object
    blocked: object
    other_segment: object
    query_blocked: object


@keras.saving.register_keras_serializable("keras_bert")
class XLNetEncoder(Encoder):
    """The XLNet encoder: word embeddings and Transformer blocks over relative attention.

    Experimental: names of the optional inputs and outputs may still change.

    Rows are laid out as ``A <sep> B <sep> <cls>`` and padded on the left, where padding is out of
    the way of the class token at the end. Padding on the right gives each token the same vector.

    Args:
        config: An ``XLNetConfig``.

    Inputs: a dict of int32 tensors (batch, seq), as ``BertEncoder`` takes: ``input_word_ids``;
    ``input_mask``, 1 for a token and 0 for padding (default: all tokens); ``input_type_ids``, of
    which it counts whether they are the same (default: no scores by segment at all, which is not
    the same as all of one segment). And, all of them optional:

    - ``permutation_mask`` (batch, seq, seq): 1 where the first token may not attend to the second.
      A token always attends to itself.
    - ``target_mapping`` (batch, predictions, seq): 1 where a prediction is of a token. There is
      then a second stream of vectors, which know the places of the tokens but not the tokens.
    - ``memory`` (layers, batch, memory, hidden), floating: what ``return_memory=True`` gave for the
      tokens that come before these.

    Outputs: a dict in the compute dtype:

    - ``sequence_output`` (batch, seq, hidden): the last block's output.
    - ``pooled_output``: None, for there is no pooler.
    - ``encoder_outputs``: a list, one (batch, seq, hidden) per block.
    - ``query_output`` (batch, predictions, hidden) and ``query_outputs``, only with a
      ``target_mapping``: the same of the query stream.
    - ``attention_scores``, and ``query_attention_scores`` of a query stream, only on
      ``return_attention_scores=True``: a list, one (batch, heads, seq, memory + seq) float32 per
      block, the probabilities before dropout.
    - ``memory`` (layers, batch, tokens, hidden), only on ``return_memory=True``.

    With ``first_token_only=True`` the last block computes its output only for what a classifier
    reads: seq is 1 in ``sequence_output``, in the last of ``encoder_outputs`` and in the queries of
    the last of ``attention_scores``. That is the class token, which stands last here
    (``classifier_pooling="last"``), or the first token, or the mean over all places.

    Raises:
        ValueError: On inputs without ``input_word_ids`` or with an unknown name, on an odd batch
            where the config has ``two_directions``, and on ``first_token_only`` with a
            ``target_mapping``.

    Source: Yang et al. 2019 (arXiv:1906.08237); zihangdai/xlnet ``modeling.py``.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.XLNetEncoder(kb.XLNetConfig(vocab_size=100, hidden_size=16, num_layers=2,
        ...                                          num_attention_heads=2, intermediate_size=32))
        >>> ids = keras.ops.convert_to_tensor([[7, 4, 3]])
        >>> encoder({"input_word_ids": ids})["sequence_output"].shape
        (1, 3, 16)
    """

    config_class = XLNetConfig

    def make_parts(self, config, policy):
        """Sets the layers."""
        self.embeddings = WordEmbeddings(config, name="embeddings", **policy)
        self.blocks = [
            RelativeBlock(config, name=f"block_{i}", **policy) for i in range(config.num_layers)
        ]
        self.dropout = Dropout(config.dropout_rate, **policy)

    def call(
        self,
        inputs,
        training=None,
        first_token_only=False,
        return_attention_scores=False,
        return_memory=False,
    ):
        """Encodes a batch; see the class for names and shapes."""
        inputs = self._read_inputs(inputs)
        mapping, memory = inputs.get("target_mapping"), inputs.get("memory")
        if first_token_only and mapping is not None:
            raise ValueError(
                "first_token_only=True is for classifiers, target_mapping for language models; "
                "received both."
            )
        hidden, query = self.embeddings(inputs["input_word_ids"], training=training), None
        if mapping is not None:
            query = self.embeddings.queries(*ops.shape(mapping)[:2], training=training)
        view, layers, kept = self._view(inputs, training), [], []
        for number, block in enumerate(self.blocks):
            remembered = None if memory is None else memory[number]
            context = _joined(remembered, hidden)
            kept.append(self._kept(remembered, hidden))
            if first_token_only and number == len(self.blocks) - 1:
                hidden, view = self._for_classifiers(hidden, view)
            outputs = self.run_block(
                block,
                hidden,
                context,
                *view[:3],
                query,
                view.query_blocked,
                mapping,
                training=training,
                return_attention_scores=return_attention_scores,
            )
            layers.append(outputs)
            hidden, query = outputs["content"], outputs.get("query")
        if first_token_only and self.config.classifier_pooling == "mean_with_padding":
            layers[-1]["content"] = ops.mean(hidden, axis=1, keepdims=True)
        outputs = self._outputs(layers, training)
        return {**outputs, "memory": ops.stack(kept)} if return_memory else outputs

    def _outputs(self, layers, training):
        """What the blocks gave, by the encoder's names."""
        columns = {name: [layer[name] for layer in layers] for name in layers[0]}
        outputs = {
            "sequence_output": self.dropout(columns["content"][-1], training=training),
            "pooled_output": None,
            "encoder_outputs": columns["content"],
        }
        if "query" in columns:
            outputs["query_output"] = self.dropout(columns["query"][-1], training=training)
            outputs["query_outputs"] = columns["query"]
        for ours, name in (
            ("attention_scores", "content_scores"),
            ("query_attention_scores", "query_scores"),
        ):
            if name in columns:
                outputs[ours] = columns[name]
        return outputs

    def _view(self, inputs, training):
        """What the tokens see of each other in every block."""
        word_ids, memory = inputs["input_word_ids"], inputs.get("memory")
        batch, length = ops.shape(word_ids)
        remembered = 0 if memory is None else ops.shape(memory)[2]
        place = ops.arange(length)
        # How far a key (column) lies before a query (row).
        distances = ops.expand_dims(place + remembered, 1) - ops.arange(remembered + length)
        blocked = self._blocked(inputs, distances, remembered)
        content_blocked = None
        if blocked is not None:
            content_blocked = ops.logical_and(blocked, ops.not_equal(distances, 0))
        return _View(
            self._waves(batch, remembered + length, length, training),
            content_blocked,
            _other_segment(inputs.get("input_type_ids"), remembered),
            blocked,
        )

    def _blocked(self, inputs, distances, remembered):
        """Which keys a query may not attend to: (1 or batch, queries, keys) bool, or None."""
        blocks = []
        if self.config.attention_type == "uni":
            blocks.append(ops.expand_dims(distances < 0, 0))
            if self.config.same_length:
                blocks.append(ops.expand_dims(distances > remembered, 0))
        mask, permutation = inputs.get("input_mask"), inputs.get("permutation_mask")
        if mask is not None:
            blocks.append(ops.expand_dims(_padded(ops.equal(mask, 0), remembered), 1))
        if permutation is not None:
            blocks.append(_padded(ops.not_equal(permutation, 0), remembered))
        blocked = None
        for block in blocks:
            blocked = block if blocked is None else ops.logical_or(blocked, block)
        return blocked

    def _waves(self, batch, keys, queries, training):
        """The waves of all distances, as ``RelativeAttention.keys`` takes them."""
        config = self.config
        distances = ops.expand_dims(keys - ops.arange(keys + queries), 0)
        if config.two_directions:
            if isinstance(batch, int) and batch % 2:
                raise ValueError(
                    f"The batch has {batch} rows; with two_directions=True its second half is read "
                    "backwards, so that it must be even."
                )
            distances = ops.concatenate([distances, -distances])
        if config.max_distance is not None:
            distances = ops.clip(distances, -config.max_distance, config.max_distance)
        waves = ops.cast(distance_waves(distances, config.hidden_size), self.compute_dtype)
        waves = self.dropout(waves, training=training)
        return ops.repeat(waves, batch // 2, axis=0) if config.two_directions else waves

    def _for_classifiers(self, hidden, view):
        """The tokens that a classifier reads, and what these see."""
        pooling = self.config.classifier_pooling
        if pooling == "mean_with_padding":
            return hidden, view
        length = ops.shape(hidden)[1]
        keys = ops.shape(view.waves)[1] - length
        row, begin = (slice(-1, None), 0) if pooling == "last" else (slice(0, 1), length - 1)
        # Of one query there are keys + 1 distances, which begin the later the earlier it stands.
        waves = view.waves[:, begin : begin + keys + 1]
        tables = (t if t is None else t[:, row] for t in (view.blocked, view.other_segment))
        return hidden[:, row], _View(waves, *tables, None)

    def _kept(self, remembered, hidden):
        """What the memory of the next batch holds of a block's input."""
        config = self.config
        if config.memory_per_batch is not None:
            hidden = hidden[:, : config.memory_per_batch]
        hidden = _joined(remembered, hidden)
        if config.memory_length is not None:
            hidden = hidden[:, -config.memory_length :]
        return ops.stop_gradient(hidden)

    def _read_inputs(self, inputs):
        inputs = self._checked_inputs(inputs, INPUTS)
        if "memory" in inputs:
            inputs["memory"] = ops.cast(inputs["memory"], self.compute_dtype)
        return inputs


def _joined(remembered, hidden):
    """Memory in front of tokens: (batch, memory + seq, hidden)."""
    return hidden if remembered is None else ops.concatenate([remembered, hidden], axis=1)


def _padded(table, remembered):
    """A table of keys with columns in front for the memory, which nothing hides."""
    if isinstance(remembered, int) and not remembered:
        return table
    return ops.pad(table, [(0, 0)] * (len(table.shape) - 1) + [(remembered, 0)])


def _other_segment(type_ids, remembered):
    """Whether a query and a key are of different segments: (batch, seq, memory + seq) bool."""
    if type_ids is None:
        return None
    # The memory counts as of segment 0, as in their code.
    keys = _padded(type_ids, remembered)
    return ops.not_equal(ops.expand_dims(type_ids, 2), ops.expand_dims(keys, 1))
