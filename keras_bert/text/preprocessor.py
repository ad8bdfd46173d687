"""From strings to the encoder's inputs, as a Keras layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_bert.text.packing import longest_first, pack_segments, padded_length
from keras_bert.text.tokenizer import Tokenizer

__all__ = ["Preprocessor", "string_tensor"]

_DEFAULT_SEQ_LENGTH = 512
_OUTPUTS = ("input_word_ids", "input_mask", "input_type_ids")


@keras.saving.register_keras_serializable("keras_bert")
class Preprocessor(keras.layers.Layer):
    """Turns texts, or pairs of texts, into `input_word_ids`, `input_mask` and `input_type_ids`.

    Rows are `[CLS] text [SEP]`, or `[CLS] first [SEP] second [SEP]` with type ids 0 and 1. Texts
    that are too long are cut at the end, pairs the longer one first. The layer takes Python lists,
    NumPy arrays and string tensors, and works in `tf.data.Dataset.map` (batch first: it is much
    quicker on batches), in functional models on `keras.Input(shape=(), dtype="string")`, and in
    exported graphs. It has no weights.

    Args:
        tokenizer: a `Tokenizer`.
        seq_length: most tokens of a row, special ones included. Default: the tokenizer's
            `model_max_length`, or 512.
        stride: reserved for windows over long texts; only None so far.
        pad_to: "longest" pads to the longest row of the batch, "max" to `seq_length`.
        pad_multiple: with "longest", round the length up to a multiple of this (at most to
            `seq_length`), where fewer different shapes pay.

    Raises:
        ValueError: an option is out of range.
        TypeError: in a call: what is not a text is named with its position.

    Example:
        >>> preprocessor = Preprocessor(tokenizer, seq_length=128)
        >>> preprocessor(["Where is my card?"])["input_word_ids"]
        <tf.Tensor: shape=(1, 7), dtype=int32, numpy=array([[101, 2073, 2003, ..., 1029, 102]])>
        >>> preprocessor((["Is it open?"], ["Yes."]))["input_type_ids"]
        <tf.Tensor: shape=(1, 9), dtype=int32, numpy=array([[0, 0, 0, 0, 0, 0, 1, 1, 1]])>
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        seq_length: int | None = None,
        stride: int | None = None,
        pad_to: str = "longest",
        pad_multiple: int = 1,
        **kwargs: Any,
    ):
        kwargs.setdefault("dtype", "int32")
        super().__init__(autocast=False, **kwargs)
        if stride is not None:
            raise ValueError(f"stride={stride!r}: windows are not supported yet. Use stride=None.")
        if seq_length is None:
            seq_length = tokenizer.model_max_length or _DEFAULT_SEQ_LENGTH
        if not _is_count(seq_length, least=2):
            raise ValueError(
                f"seq_length={seq_length!r}. Expected an int of 2 or more ([CLS] and [SEP] count)."
            )
        if pad_to not in ("longest", "max"):
            raise ValueError(f'pad_to={pad_to!r}. Expected "longest" or "max".')
        if not _is_count(pad_multiple, least=1):
            raise ValueError(f"pad_multiple={pad_multiple!r}. Expected an int of 1 or more.")
        self.tokenizer = tokenizer
        self.seq_length, self.stride = int(seq_length), stride
        self.pad_to, self.pad_multiple = pad_to, int(pad_multiple)
        # Keras would cast inputs to the layer's dtype; strings stay strings.
        self._convert_input_args = False
        self.supports_masking = False
        self.built = True
        # Outside a graph, one compiled call spares dispatching dozens of ops from Python. Behind a
        # lambda, since a SavedModel of a tf.Module would export a tf.function attribute as well.
        compiled = tf.function(self._tokenize_and_pack, reduce_retracing=True)
        self._compiled = lambda texts: compiled(texts)
        compiled_pack = tf.function(self._pack, reduce_retracing=True)
        self._compiled_pack = lambda segments: compiled_pack(segments)

    def __call__(self, texts: Any, *args: Any, **kwargs: Any) -> dict[str, tf.Tensor]:
        """Makes tensors of Python strings, then does what every layer does, and `call`."""
        # Here it can be said which text is none, and Keras need not walk through each of them.
        if not any(isinstance(batch, keras.KerasTensor) for batch in _split_pair(texts)):
            segments = _as_segments(texts)
            texts = segments[0] if len(segments) == 1 else tuple(segments)
        return super().__call__(texts, *args, **kwargs)

    def call(self, texts: Any, return_truncated: bool = False) -> dict[str, tf.Tensor]:
        """Tokenizes and packs.

        Args:
            texts: a batch of texts, or a tuple of two batches of equal length (first texts, second
                texts). A batch is a list of str or bytes, a NumPy array, or a string tensor
                (batch,). One text without a batch gives rows without one.
            return_truncated: add `truncated`, int32 (batch,): pieces cut from each row.

        Returns:
            A dict of int32 tensors (batch, length).
        """
        segments = _as_segments(texts)
        alone = segments[0].shape.rank == 0
        if alone:
            segments = [segment[tf.newaxis] for segment in segments]
        run = self._compiled if tf.executing_eagerly() else self._tokenize_and_pack
        outputs = run(segments)
        if not return_truncated:
            del outputs["truncated"]
        return {name: value[0] for name, value in outputs.items()} if alone else outputs

    def pack(
        self,
        ids: tf.RaggedTensor,
        ids_b: tf.RaggedTensor | None = None,
        return_truncated: bool = False,
    ) -> dict[str, tf.Tensor]:
        """Packs texts that are tokenized already, e.g. once for all epochs.

        Args:
            ids: `tokenizer.tokenize(texts)`, int32 ragged (batch, pieces).
            ids_b: the same of the second texts.
            return_truncated: as for `call`.

        Returns:
            As `call`: `preprocessor.pack(tokenizer.tokenize(texts))` equals `preprocessor(texts)`.

        Example:
            >>> ids = tokenizer.tokenize(texts)                       # once
            >>> preprocessor.pack(tf.gather(ids, rows_of_this_batch))  # per batch
        """
        run = self._compiled_pack if tf.executing_eagerly() else self._pack
        outputs = run([ids] if ids_b is None else [ids, ids_b])
        if not return_truncated:
            del outputs["truncated"]
        return outputs

    def compute_output_spec(
        self, texts: Any, return_truncated: bool = False
    ) -> dict[str, keras.KerasTensor]:
        """The outputs' shapes, for functional models."""
        batch = _batch_shape(texts)
        length = self.seq_length if self.pad_to == "max" else None
        spec = {name: keras.KerasTensor((*batch, length), "int32") for name in _OUTPUTS}
        if return_truncated:
            spec["truncated"] = keras.KerasTensor(batch, "int32")
        return spec

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, the tokenizer with its vocabulary among them."""
        config = super().get_config()
        config.update(
            tokenizer=keras.saving.serialize_keras_object(self.tokenizer),
            seq_length=self.seq_length,
            stride=self.stride,
            pad_to=self.pad_to,
            pad_multiple=self.pad_multiple,
        )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Preprocessor:
        """Makes the layer that `get_config` described."""
        tokenizer = keras.saving.deserialize_keras_object(config["tokenizer"])
        return cls(**{**config, "tokenizer": tokenizer})

    def _tokenize_and_pack(self, segments: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._pack([self.tokenizer.tokenize(segment) for segment in segments])

    def _pack(self, segments: Sequence[tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        room = self.seq_length - 1 - len(segments)
        if room < 0:
            raise ValueError(
                f"seq_length={self.seq_length} leaves no room for the {1 + len(segments)} special "
                f"tokens of {len(segments)} segments."
            )
        lengths = [tf.cast(segment.row_lengths(), tf.int32) for segment in segments]
        kept = longest_first(lengths, room)
        length = self.seq_length
        if self.pad_to == "longest":
            length = padded_length(kept, self.seq_length, self.pad_multiple)
        tokenizer = self.tokenizer
        outputs = pack_segments(
            segments, kept, length, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id
        )
        outputs["truncated"] = tf.add_n(lengths) - tf.add_n(kept)
        return outputs


def _is_count(value: Any, least: int) -> bool:
    is_int = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_int and value >= least


# --- texts as they come --------------------------------------------------------------------------


def _is_tensor(value: Any) -> bool:
    return isinstance(value, tf.Tensor | tf.Variable | keras.KerasTensor)


def _split_pair(texts: Any) -> list[Any]:
    """The batches in `texts`: a tuple of two is a pair, and so is a list of two tensors."""
    is_pair = isinstance(texts, tuple) or (
        isinstance(texts, list) and len(texts) == 2 and all(_is_tensor(t) for t in texts)
    )
    if not is_pair:
        return [texts]
    if len(texts) != 2:
        raise TypeError(
            f"Received a tuple of {len(texts)}. A tuple is a pair of batches, (first_texts, "
            "second_texts); pass a batch of texts as a list."
        )
    return list(texts)


def _as_segments(texts: Any) -> list[tf.Tensor]:
    batches = _split_pair(texts)
    if len(batches) == 1:
        return [string_tensor(batches[0], "texts")]
    segments = [string_tensor(batch, f"texts[{i}]") for i, batch in enumerate(batches)]
    shapes = [segment.shape for segment in segments]
    if not shapes[0].is_compatible_with(shapes[1]):
        raise ValueError(
            f"The two batches of a pair must be of one length. Received shapes {shapes[0]} and "
            f"{shapes[1]}."
        )
    return segments


def string_tensor(texts: Any, name: str = "texts") -> tf.Tensor:
    """A string tensor () or (batch,), or a TypeError that names what is not a text.

    Args:
        texts: a text, or a batch of them as `Preprocessor` takes it.
        name: what errors call it.
    """
    if not _is_tensor(texts):
        return _python_strings(texts, name)
    if texts.dtype != tf.string:
        raise TypeError(
            f"{name} is a tensor of {texts.dtype.name}, shape {texts.shape}. Expected strings."
        )
    if texts.shape.rank not in (0, 1):
        raise TypeError(
            f"{name} is a string tensor of shape {texts.shape}. Expected shape (batch,) or (); "
            'for a functional model keras.Input(shape=(), dtype="string").'
        )
    return tf.convert_to_tensor(texts)


def _python_strings(texts: Any, name: str) -> tf.Tensor:
    if isinstance(texts, str | bytes):
        return tf.constant(_encoded(texts))
    if not isinstance(texts, list) and hasattr(texts, "__array__"):
        texts = np.asarray(texts)
        if texts.ndim == 0:
            return _python_strings(texts.item(), name)
        if texts.ndim != 1:
            raise TypeError(
                f"{name} is an array of shape {texts.shape}. Expected shape (batch,), one text per "
                "row."
            )
        texts = texts.tolist()
    if not isinstance(texts, list):
        raise TypeError(
            f"{name} is {_described(texts)}. Expected a list of str or bytes, a NumPy array or a "
            "string tensor."
        )
    for position, text in enumerate(texts):
        if not isinstance(text, str | bytes):
            hint = ""
            if isinstance(text, list | tuple):
                hint = " Pass pairs of texts as a tuple of two lists, (first_texts, second_texts)."
            raise TypeError(
                f"{name}[{position}] is {_described(text)}. Expected str or bytes.{hint}"
            )
    return tf.constant([_encoded(text) for text in texts], tf.string, shape=(len(texts),))


def _encoded(text: str | bytes) -> bytes:
    # Halves of surrogate pairs are no characters; as ill-formed bytes the tokenizer drops them.
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _described(value: Any) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{shown} ({type(value).__name__})"


def _batch_shape(texts: Any) -> tuple[int | None, ...]:
    first = _split_pair(texts)[0]
    shape = getattr(first, "shape", None)
    if shape is None:
        return (None,) if isinstance(first, list) else ()
    shape = tuple(shape)
    if len(shape) > 1:
        raise TypeError(
            f"Received a symbolic input of shape {shape}. Expected (batch,): "
            'keras.Input(shape=(), dtype="string").'
        )
    return shape
