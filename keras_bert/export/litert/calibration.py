"""Activations of 8 bits whose ranges are known beforehand, where that does no harm.

A whole BERT in 8 bits is lost: on MiniLM-L6 the second dense layer of a block puts out single
numbers of 195 where the others are of size 1, so that of 256 steps hardly two are left for them,
and layer normalisation then squares what is left. All other dense layers stand it. So ranges are
learnt from texts, and those layers are quantised in whose inputs and outputs rounding is less than
``MOST_NOISE`` of the size of most numbers. The others round their inputs in the run (``weights``),
and what stands between the layers computes in float32: softmax, GELU, sums and normalisation.

The ranges are put into the graph as fake quantisation, which the converter turns into integers in
every signature alike.

Source: Bondarenko et al. 2021 (arXiv:2109.12948) for the outliers; Krishnamoorthi 2018
(arXiv:1806.08342) for the scheme.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from keras import ops

from keras_bert.export.errors import ExportError
from keras_bert.layers.activations import get_activation
from keras_bert.layers.linear import Linear
from keras_bert.models import BertTokenClassifier

__all__ = ["MOST_NOISE", "Range", "quantized_layers"]

#: ``Range.noise`` up to which inputs and outputs are rounded. Measured on MiniLM-L6: the outputs
#: that lose the model have 0.26 to 1.05, all other outputs and inputs 0.18 at most.
MOST_NOISE = 0.15
_BATCH = 16


@dataclasses.dataclass
class Range:
    """What was seen of a tensor: its least and largest number, and how large its channels are.

    A layer may be asked for a part of its outputs: then there are means for each width.
    """

    least: float = 0.0
    most: float = 0.0
    rows: int = 0
    squares: dict[int, list] = dataclasses.field(default_factory=dict)

    def see(self, values) -> None:
        """Takes in values (..., channels)."""
        values = np.asarray(values, np.float64)
        if values.size:
            values = values.reshape(-1, values.shape[-1])
            self.least = min(self.least, float(values.min()))
            self.most = max(self.most, float(values.max()))
            self.squares.setdefault(values.shape[1], []).append((values**2).mean(axis=0))
            self.rows += len(values)

    @property
    def noise(self) -> float:
        """Deviation of its rounding to 256 steps, relative to the size of its median channel.

        Not to the size of all: a channel that is far larger than the others would hide what
        rounding does to them.

        Example:
            >>> seen = Range()
            >>> seen.see([[-1.0, 1.0]])
            >>> round(seen.noise, 4)
            0.0023
        """
        if not self.rows:
            return math.inf
        channels = [np.mean(squares, axis=0) for squares in self.squares.values()]
        size = math.sqrt(np.median(np.concatenate(channels)))
        return (self.most - self.least) / 255 / math.sqrt(12) / size if size else math.inf

    def rounded(self, values: tf.Tensor) -> tf.Tensor:
        """The values as 8 bits have them."""
        return tf.quantization.fake_quant_with_min_max_args(values, self.least, self.most)


@contextlib.contextmanager
def quantized_layers(copy, calibration: Sequence) -> Iterator[dict]:
    """Has the dense layers of a copy's encoder round as 8 bits do; at the end they are as before.

    Args:
        copy: The copy, which nobody else uses.
        calibration: Texts as the model takes them.

    Yields:
        What was learnt, for the metadata: which layers are left in float32, and their noise.

    Raises:
        ExportError: If there is no text, or no layer that may be quantised.
    """
    # The encoder's: what a head gives is looked at with more than 8 bits, to tell the best.
    layers = [layer for layer in copy.encoder._flatten_layers() if isinstance(layer, Linear)]
    seen = {id(layer): (Range(), Range()) for layer in layers}
    texts = copy.read_texts(calibration)
    with _products(layers, lambda layer: _Watched(layer, *seen[id(layer)])):
        for start in range(0, len(texts), _BATCH):
            _run(copy, texts[start : start + _BATCH])
    used = [layer for layer in layers if seen[id(layer)][0].rows]
    noise = {layer.path: max(part.noise for part in seen[id(layer)]) for layer in used}
    chosen = {layer.path for layer in used if noise[layer.path] <= MOST_NOISE}
    if not chosen:
        raise ExportError(
            "The export was not written: rounding would be more than "
            f"{MOST_NOISE:.0%} of the activations of every layer; the least is "
            f"{min(noise.values(), default=math.nan):.0%}. Take quantize='dynamic_int8'."
        )
    learnt = {
        "calibration_texts": len(texts),
        "quantized_layers": len(chosen),
        "float_layers": {path: round(x, 4) for path, x in noise.items() if path not in chosen},
    }

    def rounding(layer):
        return _Rounding(layer, seen[id(layer)] if layer.path in chosen else None)

    with _products(layers, rounding):
        yield learnt


def _run(copy, texts) -> None:
    """Calls the copy eagerly on the ids of texts, in windows where it reads so."""
    sides = copy.strings(texts)
    if isinstance(copy, BertTokenClassifier):  # beside texts of words, where the words are
        sides = sides[:1]
    if isinstance(sides[-1], tf.RaggedTensor):  # prompts and their choices
        first, choices = sides
        sides = [tf.gather(tf.constant(first), choices.value_rowids()), choices.values]
    sides = [tf.convert_to_tensor(side) for side in sides]
    packed = copy.preprocessor(tuple(sides) if len(sides) > 1 else sides[0])
    names = ("input_word_ids", "input_mask", "input_type_ids")
    ids = {name: packed[name] for name in names}
    if hasattr(copy, "_row_logits"):
        copy._row_logits(ids, training=False)
    else:
        copy(ids, training=False)


@contextlib.contextmanager
def _products(layers, make) -> Iterator[None]:
    """Gives layers another ``product``, and takes it back."""
    for layer in layers:
        object.__setattr__(layer, "product", make(layer))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "product")


class _Watched:
    """A ``product`` that looks at what comes and goes."""

    def __init__(self, layer, inputs: Range, outputs: Range):
        self._layer, self._inputs, self._outputs = layer, inputs, outputs

    def __call__(self, inputs, kernel, bias, training=None, change=None):
        self._inputs.see(inputs)
        outputs = _dense(inputs, kernel, bias)
        self._outputs.see(outputs)
        return _activated(self._layer, outputs)


class _Rounding:
    """A ``product`` of rounded numbers; without ranges of numbers as they are."""

    def __init__(self, layer, ranges: tuple[Range, Range] | None):
        self._layer, self._ranges = layer, ranges

    def __call__(self, inputs, kernel, bias, training=None, change=None):
        if self._ranges is None:
            return _activated(self._layer, _dense(inputs, kernel, bias))
        inputs = self._ranges[0].rounded(inputs)
        outputs = self._ranges[1].rounded(_dense(inputs, kernel, bias))
        return _activated(self._layer, outputs)


def _dense(inputs, kernel, bias):
    rows = ops.matmul(ops.reshape(inputs, (-1, inputs.shape[-1])), kernel)
    rows = rows if bias is None else ops.add(rows, bias)
    return ops.reshape(rows, (*ops.shape(inputs)[:-1], kernel.shape[-1]))


def _activated(layer, outputs):
    return outputs if layer.activation is None else get_activation(layer.activation)(outputs)
