"""Keras layers with weights: embeddings, attention, the Transformer block, task heads."""

from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.beam_spans import BeamSpanHead
from keras_bert.layers.bottleneck_block import BottleneckBlock
from keras_bert.layers.checkpointing import Checkpointed
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.embeddings import BertEmbeddings
from keras_bert.layers.gated_feed_forward import GatedFeedForward
from keras_bert.layers.heads import ClassificationHead, Pooler
from keras_bert.layers.language_model import LanguageModelHead
from keras_bert.layers.linear import Linear
from keras_bert.layers.masked_lm import MaskedLMHead
from keras_bert.layers.modern_block import ModernBertBlock, ModernBertEmbeddings
from keras_bert.layers.normalization import LayerNorm, NoNorm
from keras_bert.layers.pooling import EmbeddingHead, Pooling
from keras_bert.layers.relative_attention import RelativeAttention
from keras_bert.layers.relative_block import RelativeBlock, WordEmbeddings
from keras_bert.layers.rotary_attention import RotaryAttention
from keras_bert.layers.transformer_block import TransformerBlock

__all__ = [
    "BeamSpanHead",
    "BertEmbeddings",
    "BottleneckBlock",
    "Checkpointed",
    "ClassificationHead",
    "Dropout",
    "EmbeddingHead",
    "GatedFeedForward",
    "LanguageModelHead",
    "LayerNorm",
    "Linear",
    "MaskedLMHead",
    "ModernBertBlock",
    "ModernBertEmbeddings",
    "NoNorm",
    "Pooler",
    "Pooling",
    "RelativeAttention",
    "RelativeBlock",
    "RotaryAttention",
    "SelfAttention",
    "TransformerBlock",
    "WordEmbeddings",
]
