"""From strings to the encoder's inputs, as a Keras layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_bert.text.packing import (
    TRUNCATIONS,
    bucket_length,
    pack_segments,
    padded_length,
    special_token_count,
    truncated_lengths,
    windows_of,
)
from keras_bert.text.tokenizer import Tokenizer

__all__ = ["Preprocessor", "string_tensor"]

_DEFAULT_SEQ_LENGTH = 512
_OUTPUTS = ("input_word_ids", "input_mask", "input_type_ids")
_OFFSETS = ("starts", "ends", "input_segments")
_WINDOWS = ("window_source", "window_start")

# What a segment is once it is tokenized: ids, or ids, starts and ends.
_Pieces = tf.RaggedTensor | tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]


@keras.saving.register_keras_serializable("keras_bert")
class Preprocessor(keras.layers.Layer):
    """Turns texts, or pairs of texts, into `input_word_ids`, `input_mask` and `input_type_ids`.

    Rows are `[CLS] text [SEP]`, or `[CLS] first [SEP] second [SEP]` with type ids 0 and 1, and so
    on for more segments; between them stand as many separators as the tokenizer's family has, and
    families without type ids have all 0. XLNet's rows are `first [SEP] second [SEP] [CLS]`, padded
    on the left, with type id 2 for `[CLS]` and 3 for padding. Texts that are too long are cut at
    the end, or, with `stride`, become several rows. The layer takes Python lists, NumPy arrays and
    string tensors, and works in `tf.data.Dataset.map` (batch first: it is much quicker on batches),
    in functional models on `keras.Input(shape=(), dtype="string")`, and in exported graphs. It has
    no weights.

    Args:
        tokenizer: a `Tokenizer`.
        seq_length: most tokens of a row, special ones included. Default: the tokenizer's
            `model_max_length`, or 512.
        stride: None: one row per text. A number: a text that is too long becomes as many rows as
            it takes, windows over its last segment (over the first one with
            `truncation="only_first"`) with all of the others in each, and each window repeats the
            last `stride` ids of the one before. This is Hugging Face's meaning; the `doc_stride` of
            google-research/bert is the *step*: the room of the segment less this. Where the other
            segments leave a window not more than `stride` ids, they are cut, so that it leads on.
        pad_to: "longest" pads to the longest row of the batch, "max" to `seq_length`; a number
            is the length of all rows (and longer ones are cut to it); a list of rising lengths
            pads to the first that holds the longest row.
        pad_multiple: with "longest", round the length up to a multiple of this (at most to
            `seq_length`), where fewer different shapes pay.
        truncation: which segment is cut: "longest_first" takes one id at a time from the longest,
            and from the last of several; "only_first" and "only_last" cut one alone (Hugging Face
            calls the latter "only_second"), and the others only where nothing of it is left.

    Raises:
        ValueError: an option is out of range.
        TypeError: in a call: what is not a text is named with its position.

    Example:
        >>> preprocessor = Preprocessor(tokenizer, seq_length=128)
        >>> preprocessor(["Where is my card?"])["input_word_ids"]
        <tf.Tensor: shape=(1, 7), dtype=int32, numpy=array([[101, 2073, 2003, ..., 1029, 102]])>
        >>> preprocessor((["Is it open?"], ["Yes."]))["input_type_ids"]
        <tf.Tensor: shape=(1, 9), dtype=int32, numpy=array([[0, 0, 0, 0, 0, 0, 1, 1, 1]])>
        >>> windows = Preprocessor(tokenizer, seq_length=384, stride=128)
        >>> windows((questions, contexts))["window_source"]    # the row of each window's question
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([0, 0, 1])>
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        seq_length: int | None = None,
        stride: int | None = None,
        pad_to: str | int | Sequence[int] = "longest",
        pad_multiple: int = 1,
        truncation: str = "longest_first",
        **kwargs: Any,
    ):
        kwargs.setdefault("dtype", "int32")
        super().__init__(autocast=False, **kwargs)
        if seq_length is None:
            seq_length = tokenizer.model_max_length or _DEFAULT_SEQ_LENGTH
        if not _is_count(seq_length, least=2):
            raise ValueError(
                f"seq_length={seq_length!r}. Expected an int of 2 or more ([CLS] and [SEP] count)."
            )
        if not _is_count(pad_multiple, least=1):
            raise ValueError(f"pad_multiple={pad_multiple!r}. Expected an int of 1 or more.")
        if truncation not in TRUNCATIONS:
            raise ValueError(f"truncation={truncation!r}. Expected one of {TRUNCATIONS}.")
        if stride is not None and not _is_count(stride, least=0):
            raise ValueError(f"stride={stride!r}. Expected None, or an int of 0 or more.")
        self.tokenizer, self.truncation = tokenizer, truncation
        self.pad_to, self.pad_multiple = _checked_pad_to(pad_to, seq_length), int(pad_multiple)
        # Rows of a fixed length are cut to it.
        self.seq_length = self.pad_to if isinstance(self.pad_to, int) else int(seq_length)
        self.stride = None if stride is None else int(stride)
        self._room(segments=1)
        # Keras would cast inputs to the layer's dtype; strings stay strings.
        self._convert_input_args = False
        self.supports_masking = False
        self.built = True
        # Outside a graph, one compiled call spares dispatching dozens of ops from Python. Behind a
        # lambda, since a SavedModel of a tf.Module would export a tf.function attribute as well.
        compiled = tf.function(self._tokenize_and_pack, reduce_retracing=True, autograph=False)
        self._compiled = lambda *args: compiled(*args)
        compiled_pack = tf.function(self._pack, reduce_retracing=True, autograph=False)
        self._compiled_pack = lambda *args: compiled_pack(*args)

    def __call__(self, texts: Any, *args: Any, **kwargs: Any) -> dict[str, tf.Tensor]:
        """Makes tensors of Python strings, then does what every layer does, and `call`."""
        # Here it can be said which text is none, and Keras need not walk through each of them.
        if not any(isinstance(batch, keras.KerasTensor) for batch in _split_segments(texts)):
            segments = _as_segments(texts)
            texts = segments[0] if len(segments) == 1 else tuple(segments)
        return super().__call__(texts, *args, **kwargs)

    def call(
        self, texts: Any, return_truncated: bool = False, return_offsets: bool = False
    ) -> dict[str, tf.Tensor]:
        """Tokenizes and packs.

        Args:
            texts: a batch of texts, or a tuple of batches of equal length, one per segment (first
                texts, second texts, ...). A batch is a list of str or bytes, a NumPy array, or a
                string tensor (batch,). One text without a batch gives rows without one, or with
                `stride` the rows of its windows.
            return_truncated: add `truncated`, int32 (batch,): pieces cut from each row; with
                `stride` those that stand in none of the windows of the row's text.
            return_offsets: add `starts` and `ends`, int32 (batch, length): the bytes of the
                segment's text that each piece stands for, 0 for special tokens and padding; and
                `input_segments`, the number of that segment, -1 for special tokens and padding.

        Returns:
            A dict of int32 tensors (batch, length). With `stride` the rows are windows, and there
            are two more, (windows,): `window_source`, the row of the text that a window is of, and
            `window_start`, the number of the first of its pieces that stands in the window.
        """
        segments = _as_segments(texts)
        alone = segments[0].shape.rank == 0
        if alone:
            segments = [segment[tf.newaxis] for segment in segments]
        run = self._compiled if tf.executing_eagerly() else self._tokenize_and_pack
        outputs = run(segments, return_offsets)
        if not return_truncated:
            del outputs["truncated"]
        if alone and self.stride is None:
            return {name: value[0] for name, value in outputs.items()}
        return outputs

    def pack(
        self, *segments: _Pieces, return_truncated: bool = False, return_offsets: bool = False
    ) -> dict[str, tf.Tensor]:
        """Packs texts that are tokenized already, e.g. once for all epochs.

        Args:
            *segments: per segment `tokenizer.tokenize(texts)`, int32 ragged (batch, pieces), or all
                of `tokenizer.tokenize_with_offsets(texts)`.
            return_truncated: as for `call`.
            return_offsets: as for `call`; takes segments with offsets.

        Returns:
            As `call`: `preprocessor.pack(tokenizer.tokenize(texts))` equals `preprocessor(texts)`.

        Raises:
            ValueError: offsets are asked for and were not given.

        Example:
            >>> ids = tokenizer.tokenize(texts)                       # once
            >>> preprocessor.pack(tf.gather(ids, rows_of_this_batch))  # per batch
        """
        with_offsets = [isinstance(segment, tuple | list) for segment in segments]
        if return_offsets and not all(with_offsets):
            raise ValueError(
                "return_offsets=True takes segments with offsets. Pass what "
                "tokenizer.tokenize_with_offsets(texts) returns for each."
            )
        ids = [s[0] if has else s for s, has in zip(segments, with_offsets, strict=True)]
        offsets = [tuple(s[1:]) for s in segments] if return_offsets else None
        run = self._compiled_pack if tf.executing_eagerly() else self._pack
        outputs = run(ids, offsets)
        if not return_truncated:
            del outputs["truncated"]
        return outputs

    def special_token_count(self, segments: int) -> int:
        """How many special tokens a row of so many segments has.

        Example:
            >>> preprocessor.special_token_count(2)      # BERT: [CLS], and a [SEP] behind each
            3
        """
        return special_token_count(segments, self.tokenizer.separators_between)

    def compute_output_spec(
        self, texts: Any, return_truncated: bool = False, return_offsets: bool = False
    ) -> dict[str, keras.KerasTensor]:
        """The outputs' shapes, for functional models."""
        batch = _batch_shape(texts) if self.stride is None else (None,)
        length = self.seq_length if self.pad_to == "max" or isinstance(self.pad_to, int) else None
        rows = _OUTPUTS + (_OFFSETS if return_offsets else ())
        spec = {name: keras.KerasTensor((*batch, length), "int32") for name in rows}
        for name in () if self.stride is None else _WINDOWS:
            spec[name] = keras.KerasTensor(batch, "int32")
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
            truncation=self.truncation,
        )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Preprocessor:
        """Makes the layer that `get_config` described."""
        tokenizer = keras.saving.deserialize_keras_object(config["tokenizer"])
        return cls(**{**config, "tokenizer": tokenizer})

    def _room(self, segments: int) -> int:
        """How many ids fit beside the special tokens."""
        room = self.seq_length - self.special_token_count(segments)
        if room < 0:
            raise ValueError(
                f"seq_length={self.seq_length} leaves no room for the "
                f"{self.special_token_count(segments)} special tokens of {segments} segments."
            )
        if self.stride is not None and self.stride >= room:
            raise ValueError(
                f"stride={self.stride}, and seq_length={self.seq_length} has room for {room} ids "
                f"of {segments} segment{'s' * (segments > 1)}. A window must have more ids than it "
                "repeats: expected a smaller stride, or a larger seq_length."
            )
        return room

    @tf.autograph.experimental.do_not_convert
    def _tokenize_and_pack(
        self, segments: Sequence[tf.Tensor], with_offsets: bool
    ) -> dict[str, tf.Tensor]:
        if not with_offsets:
            return self._pack([self.tokenizer.tokenize(segment) for segment in segments])
        pieces = [self.tokenizer.tokenize_with_offsets(segment) for segment in segments]
        return self._pack([ids for ids, *_ in pieces], [spans for _, *spans in pieces])

    @tf.autograph.experimental.do_not_convert
    def _pack(
        self,
        segments: Sequence[tf.RaggedTensor],
        offsets: Sequence[Sequence[tf.RaggedTensor]] | None = None,
    ) -> dict[str, tf.Tensor]:
        room = self._room(len(segments))
        lengths = [tf.cast(segment.row_lengths(), tf.int32) for segment in segments]
        starts = [tf.cast(segment.row_splits[:-1], tf.int32) for segment in segments]
        if self.stride is None:
            kept = truncated_lengths(lengths, room, self.truncation)
            more = {"truncated": tf.add_n(lengths) - tf.add_n(kept)}
        else:
            windowed = 0 if self.truncation == "only_first" else len(segments) - 1
            windows = windows_of(lengths, room, self.stride, windowed)
            kept, starts = windows.kept, [tf.gather(start, windows.source) for start in starts]
            starts[windowed] += windows.start
            more = dict(zip(_WINDOWS, (windows.source, windows.start), strict=True))
            more["truncated"] = windows.lost
        tokenizer = self.tokenizer
        outputs = pack_segments(
            segments,
            kept,
            self._length(kept),
            tokenizer.cls_id,
            tokenizer.sep_id,
            tokenizer.pad_id,
            separators_between=tokenizer.separators_between,
            segment_types=tokenizer.segment_types,
            class_last=tokenizer.class_last,
            row_starts=starts,
            offsets=offsets and [[x.values for x in spans] for spans in offsets],
        )
        return {**outputs, **more}

    def _length(self, kept: Sequence[tf.Tensor]) -> int | tf.Tensor:
        if self.pad_to == "max" or isinstance(self.pad_to, int):
            return self.seq_length
        multiple = self.pad_multiple if self.pad_to == "longest" else 1
        longest = padded_length(kept, self.seq_length, multiple, self.tokenizer.separators_between)
        return longest if self.pad_to == "longest" else bucket_length(longest, self.pad_to)


def _checked_pad_to(pad_to: Any, seq_length: int) -> str | int | list[int]:
    if isinstance(pad_to, str) and pad_to in ("longest", "max"):
        return pad_to
    if _is_count(pad_to, least=2):
        if pad_to > seq_length:
            raise ValueError(
                f"pad_to={pad_to} is more than seq_length={seq_length}. Expected at most that."
            )
        return int(pad_to)
    is_list = isinstance(pad_to, list | tuple) and len(pad_to) > 0
    if not is_list or not all(_is_count(bucket, least=2) for bucket in pad_to):
        raise ValueError(
            f'pad_to={pad_to!r}. Expected "longest", "max", an int of 2 or more, or a list of them.'
        )
    if pad_to[-1] < seq_length or sorted(set(pad_to)) != list(pad_to):
        raise ValueError(
            f"pad_to={pad_to!r}. Expected lengths that rise, the last of them at least "
            f"seq_length={seq_length}, so that every row fits."
        )
    return sorted({min(int(bucket), int(seq_length)) for bucket in pad_to})


def _is_count(value: Any, least: int) -> bool:
    is_int = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_int and value >= least


# --- texts as they come --------------------------------------------------------------------------


def _is_tensor(value: Any) -> bool:
    return isinstance(value, tf.Tensor | tf.Variable | keras.KerasTensor)


def _split_segments(texts: Any) -> list[Any]:
    """The batches in `texts`: those of a tuple, or of a list of two tensors or more."""
    is_list = isinstance(texts, list) and len(texts) > 1 and all(_is_tensor(t) for t in texts)
    if not isinstance(texts, tuple) and not is_list:
        return [texts]
    if not texts:
        raise TypeError(
            "Received an empty tuple. A tuple holds one batch per segment, (first_texts, "
            "second_texts); pass a batch of texts as a list."
        )
    return list(texts)


def _as_segments(texts: Any) -> list[tf.Tensor]:
    batches = _split_segments(texts)
    if len(batches) == 1:
        return [string_tensor(batches[0], "texts")]
    segments = [string_tensor(batch, f"texts[{i}]") for i, batch in enumerate(batches)]
    shapes = [segment.shape for segment in segments]
    if not all(shapes[0].is_compatible_with(shape) for shape in shapes):
        *others, last = map(str, shapes)
        raise ValueError(
            f"The batches of a pair must be of one length. Received shapes {', '.join(others)} and "
            f"{last}."
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
    first = _split_segments(texts)[0]
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
