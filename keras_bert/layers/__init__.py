"""Keras layers with weights: embeddings, attention, the Transformer block, task heads."""

from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.bottleneck_block import BottleneckBlock
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.embeddings import BertEmbeddings
from keras_bert.layers.heads import ClassificationHead, Pooler
from keras_bert.layers.linear import Linear
from keras_bert.layers.masked_lm import MaskedLMHead
from keras_bert.layers.normalization import LayerNorm, NoNorm
from keras_bert.layers.transformer_block import TransformerBlock

__all__ = [
    "BertEmbeddings",
    "BottleneckBlock",
    "ClassificationHead",
    "Dropout",
    "LayerNorm",
    "Linear",
    "MaskedLMHead",
    "NoNorm",
    "Pooler",
    "SelfAttention",
    "TransformerBlock",
]
