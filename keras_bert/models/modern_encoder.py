"""ModernBertEncoder: BERT's inputs and outputs, rotary positions and local attention inside."""

import keras

from keras_bert.config import ModernBertConfig
from keras_bert.layers.modern_block import ModernBertBlock, ModernBertEmbeddings
from keras_bert.layers.normalization import LayerNorm
from keras_bert.models.encoder import Encoder

__all__ = ["ModernBertEncoder"]


@keras.saving.register_keras_serializable("keras_bert")
class ModernBertEncoder(Encoder):
    """The ModernBERT encoder: word embeddings, pre-norm blocks, a last LayerNorm; no pooler.

    Two of three blocks attend to tokens nearby alone, so that long texts cost less.

    Args:
        config: A ``ModernBertConfig``.

    Inputs: as ``BertEncoder``. ``input_type_ids`` may be there and are not looked at.

    Outputs: as ``BertEncoder``; ``pooled_output`` is None. The last of ``encoder_outputs`` is
    ``sequence_output``, behind the last LayerNorm.

    Raises:
        ValueError: On inputs without ``input_word_ids`` or with an unknown name.

    Source: Warner et al. 2024 (arXiv:2412.13663); ``ModernBertModel`` in transformers'
    ``modeling_modernbert.py``.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.ModernBertEncoder(
        ...     kb.ModernBertConfig(vocab_size=100, hidden_size=16, num_layers=3, pad_token_id=0,
        ...                         num_attention_heads=2, intermediate_size=24))
        >>> ids = keras.ops.convert_to_tensor([[2, 7, 3]])
        >>> encoder({"input_word_ids": ids})["sequence_output"].shape
        (1, 3, 16)
    """

    config_class = ModernBertConfig

    def make_parts(self, config, policy):
        """Sets the layers."""
        self.embeddings = ModernBertEmbeddings(config, name="embeddings", **policy)
        self.blocks = [
            ModernBertBlock(config, number, name=f"block_{number}", **policy)
            for number in range(config.num_layers)
        ]
        self.final_norm = LayerNorm(
            epsilon=config.layer_norm_epsilon, center=config.norm_bias, name="final_norm", **policy
        )

    def embed(self, word_ids, type_ids, training):
        """Words alone."""
        return self.embeddings(word_ids, training=training)
