"""What every tokenizer can do, whatever its algorithm."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert.text.explanation import ExplainedPiece, Explanation
from keras_bert.text.offsets import ENDS, UNITS, in_characters
from keras_bert.text.vocabulary import check_vocabulary

__all__ = ["Tokenizer"]

_SPECIAL_TOKENS = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")


class Tokenizer:
    """Strings to ids inside the TensorFlow graph, and back.

    A tokenizer works eagerly, in `tf.function`, in `tf.data.Dataset.map` and in SavedModels
    (loading one takes `import tensorflow_text`), and has no variables or files to track. Made by
    `Tokenizer.from_pretrained`, or directly by one of the kinds: `WordPieceTokenizer`.

    Subclasses implement `_ids`, `_ids_and_spans`, `_join_tokens` and `_spelled`, and say how rows
    are laid out.

    Args:
        vocabulary: the tokens in the order of their ids.
        unk_token: stands for what the vocabulary cannot spell.
        cls_token: opens every packed row.
        sep_token: closes every segment.
        pad_token: fills rows up.
        mask_token: hides a token in pretraining; may be missing in the vocabulary.
        model_max_length: most tokens, special ones included, that the model takes; None: unknown.

    Attributes:
        vocabulary: list of str; a token's index is its id.
        vocabulary_size: number of ids.
        unk_id, cls_id, sep_id, pad_id, mask_id: ids of the special tokens (`mask_id` may be None).

    Raises:
        ValueError: the vocabulary is empty or lacks a special token.
    """

    #: How many `sep_token`s stand between two segments: one in BERT, two in RoBERTa.
    separators_between = 1
    #: Whether the model tells segments apart by type ids; if not, all are 0.
    segment_types = True

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        unk_token: str,
        cls_token: str,
        sep_token: str,
        pad_token: str,
        mask_token: str,
        model_max_length: int | None = None,
    ):
        self.vocabulary = check_vocabulary(vocabulary)
        self.vocabulary_size = len(self.vocabulary)
        self.model_max_length = model_max_length
        self.unk_token, self.cls_token, self.sep_token = unk_token, cls_token, sep_token
        self.pad_token, self.mask_token = pad_token, mask_token
        ids = {token: index for index, token in enumerate(self.vocabulary)}
        _check_special_tokens(ids, unk=unk_token, cls=cls_token, sep=sep_token, pad=pad_token)
        self.unk_id, self.cls_id = ids[unk_token], ids[cls_token]
        self.sep_id, self.pad_id = ids[sep_token], ids[pad_token]
        self.mask_id = ids.get(mask_token)
        signature = [tf.TensorSpec([None], tf.string)]
        self._compiled_ids = tf.function(self._ids, input_signature=signature)
        self._compiled_spans = {
            options: tf.function(
                functools.partial(self._spans, *options), input_signature=signature
            )
            for options in itertools.product(UNITS, ENDS)
        }

    @staticmethod
    def from_pretrained(folder: str | os.PathLike) -> Tokenizer:
        """Reads the tokenizer that a pretrained model was trained with from the model's folder.

        Hugging Face folders: options from `tokenizer_config.json` (then `tokenizer.json`), the
        vocabulary from `vocab.txt` or, without one, from `tokenizer.json`. TF1 BERT folders:
        `vocab.txt`, and `do_lower_case` of `bert_config.json` if it is there. A folder that says
        nothing about case gets the one its name says ("cased", "uncased") or else its vocabulary:
        with capitals in it, text is not lower-cased.

        Args:
            folder: the folder.

        Raises:
            FileNotFoundError: the folder, or a vocabulary in it, is missing.
            ValueError: a file cannot be read as what it should be, or asks for another kind.

        Example:
            >>> tokenizer = Tokenizer.from_pretrained("all-MiniLM-L6-v2")
            >>> tokenizer.vocabulary_size
            30522
        """
        from keras_bert.text.pretrained import load_tokenizer  # which knows every kind

        return load_tokenizer(folder)

    def tokenize(self, strings: Any) -> tf.RaggedTensor | tf.Tensor:
        """Gives the ids of the pieces of each string, without special tokens.

        Args:
            strings: a string tensor (batch,) or (), or anything `tf.convert_to_tensor` makes one.

        Returns:
            int32: ragged (batch, pieces) for a batch, a tensor (pieces,) for one string.

        Example:
            >>> tokenizer.tokenize(tf.constant("unaffable"))   # -> [14477, 20961, 3468]
        """
        return self._apply(self._ids, self._compiled_ids, strings)

    def tokenize_with_offsets(
        self, strings: Any, unit: str = "bytes", ends: str = "tight"
    ) -> tuple[tf.RaggedTensor | tf.Tensor, ...]:
        """Gives the ids and says where each piece stands in the original string.

        Offsets count in the string as given, before any normalisation. A character that becomes
        several pieces (a Korean syllable) is the span of each.

        Args:
            strings: as for `tokenize`.
            unit: "bytes", or "characters" (Unicode code points, as Python counts in a `str`). In
                bytes that are not UTF-8, characters count as in `.decode("utf-8", "ignore")`.
            ends: "tight" spans end with the last character that gave a byte to the piece, as
                Hugging Face has it; accents that normalisation drops behind it stay outside.
                "loose" spans take in what normalisation dropped behind the piece (accents, vowel
                signs, zero-width characters), up to the next character that it kept: right for cut
                out answers and names, which in Hindi or Thai would lose their last vowel sign.
                Tokenizers that drop nothing give the same for both.

        Returns:
            (ids, starts, ends), int32, each shaped as the result of `tokenize`; `ends` excluded.

        Raises:
            ValueError: `unit` or `ends` is something else.

        Example:
            >>> ids, starts, ends = tokenizer.tokenize_with_offsets(["Où?"])
            >>> starts, ends             # "ù" takes two bytes
            (<tf.RaggedTensor [[0, 3]]>, <tf.RaggedTensor [[3, 4]]>)
            >>> tokenizer.tokenize_with_offsets(["Où?"], unit="characters")[1:]
            (<tf.RaggedTensor [[0, 2]]>, <tf.RaggedTensor [[2, 3]]>)
        """
        if unit not in UNITS:
            raise ValueError(f"unit={unit!r}. Expected one of {UNITS}.")
        if ends not in ENDS:
            raise ValueError(f"ends={ends!r}. Expected one of {ENDS}.")
        function = functools.partial(self._spans, unit, ends)
        return self._apply(function, self._compiled_spans[unit, ends], strings)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values; the vocabulary as one string of lines."""
        return {
            "vocabulary": "\n".join(self.vocabulary),
            **{name: getattr(self, name) for name in _SPECIAL_TOKENS},
            "model_max_length": self.model_max_length,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        """Makes the tokenizer that `get_config` described."""
        return cls(**{**config, "vocabulary": config["vocabulary"].split("\n")})

    def __reduce__(self):
        # Compiled functions can neither be pickled nor copied; they are made anew.
        return type(self).from_config, (self.get_config(),)

    @property
    def in_graph(self) -> bool:
        """Whether the tokenizer consists of graph ops, so that an export can hold it."""
        return True

    def _ids(self, strings: tf.Tensor) -> tf.RaggedTensor:
        """Ids of a batch: string (batch,) -> ragged int32 (batch, pieces). Graph ops only."""
        raise NotImplementedError

    def _ids_and_spans(self, strings: tf.Tensor) -> tuple[tf.RaggedTensor, ...]:
        """Ids, starts and ends in bytes of a batch, each ragged int32. Graph ops only."""
        raise NotImplementedError

    def _ids_and_loose_spans(self, strings: tf.Tensor) -> tuple[tf.RaggedTensor, ...]:
        """The same with ends that take in what normalisation dropped behind a piece."""
        return self._ids_and_spans(strings)

    def _spans(self, unit: str, ends: str, strings: tf.Tensor) -> tuple[tf.RaggedTensor, ...]:
        spans_of = self._ids_and_loose_spans if ends == "loose" else self._ids_and_spans
        ids, *spans = spans_of(strings)
        return ids, *(in_characters(strings, *spans) if unit == "characters" else spans)

    def _apply(self, function, compiled, strings):
        strings = tf.convert_to_tensor(strings)
        if strings.dtype != tf.string:
            # An empty Python list becomes an empty float tensor.
            if strings.shape.num_elements() != 0:
                raise TypeError(f"Expected strings, received a tensor of {strings.dtype.name}.")
            strings = tf.zeros(strings.shape, tf.string)
        if strings.shape.rank not in (0, 1):
            raise ValueError(
                f"Expected one string or a batch of them, shape () or (batch,). Received shape "
                f"{strings.shape}."
            )
        # Outside a graph, a compiled function spares dispatching two dozen ops from Python.
        run = compiled if tf.executing_eagerly() else function
        if strings.shape.rank == 1:
            return run(strings)
        rows = run(strings[tf.newaxis])
        return tuple(row.values for row in rows) if isinstance(rows, tuple) else rows.values

    def detokenize(self, ids: Any, keep_special: bool = False) -> str | list[str]:
        """Makes text of ids again, as far as they tell.

        What a WordPiece vocabulary does not keep is gone: capitals and accents where text is
        lower-cased, and where the blanks were (each word and sign stands apart: "it ' s").

        Args:
            ids: ids of one text (a list of int, an array or tensor (pieces,)), or of several (a
                list of lists, an array or tensor (batch, pieces), a `tf.RaggedTensor`).
            keep_special: whether special tokens (`[CLS]`, `[SEP]`, `[PAD]`, `[MASK]`) are written
                too. The unknown token always is: it stands for a word.

        Returns:
            A str, or a list of str for several texts.

        Raises:
            TypeError: `ids` are no integers, or of more than two dimensions.
            ValueError: an id is not in the vocabulary.

        Example:
            >>> tokenizer.detokenize([101, 14477, 20961, 3468, 102])
            'unaffable'
        """
        rows, is_batch = _rows_of_ids(ids)
        texts = [self._detokenize_row(row, keep_special) for row in rows]
        return texts if is_batch else texts[0]

    def explain(self, text: str | bytes) -> Explanation:
        """Shows the pieces of a text: where each comes from, and what became of the text.

        Args:
            text: one text.

        Returns:
            A sequence of `ExplainedPiece` (piece, id, span in characters and bytes, the text there,
            flags) that prints as a table.

        Example:
            >>> print(tokenizer.explain("Où?"))
            piece     id  characters  bytes  text
            ou     15068         0–2    0–3  Où    changed
            ?       1029         2–3    3–4  ?
        """
        if not isinstance(text, str | bytes):
            raise TypeError(f"Expected one text, str or bytes. Received {type(text).__name__}.")
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        text = data.decode("utf-8", "ignore")
        ids, starts, ends = (x.numpy().tolist() for x in self.tokenize_with_offsets(data))
        in_text = self.tokenize_with_offsets(data, "characters")[1:]
        characters = [x.numpy().tolist() for x in in_text]
        pieces = []
        for index, first_byte, end_byte, start, end in zip(
            ids, starts, ends, *characters, strict=True
        ):
            source, token = text[start:end], self.vocabulary[index]
            flags = self._flags(index, token, source)
            span = (start, end, first_byte, end_byte)
            pieces.append(ExplainedPiece(token, index, *span, source, flags))
        return Explanation(text, tuple(pieces))

    def _join_tokens(self, tokens: list[str]) -> str:
        """The text that tokens spell, special ones among them as they are."""
        raise NotImplementedError

    def _spelled(self, token: str) -> tuple[str, bool]:
        """The characters a token stands for, and whether it continues a word."""
        raise NotImplementedError

    def _flags(self, index: int, token: str, source: str) -> tuple[str, ...]:
        if index == self.unk_id:
            return ("unknown",)
        if index in self._special_ids():
            return ("special",)
        letters, continues = self._spelled(token)
        flags = {"continuation": continues, "changed": letters != source}
        return tuple(name for name, is_set in flags.items() if is_set)

    def _special_ids(self) -> frozenset[int]:
        return frozenset([self.cls_id, self.sep_id, self.pad_id, self.mask_id]) - {None}

    def _detokenize_row(self, ids: list[int], keep_special: bool) -> str:
        dropped = frozenset() if keep_special else self._special_ids()
        tokens = []
        for index in ids:
            if not isinstance(index, int) or isinstance(index, bool):
                raise TypeError(f"Expected ids, integers. Received {index!r} among them.")
            if not 0 <= index < self.vocabulary_size:
                raise ValueError(
                    f"There is no id {index} in a vocabulary of {self.vocabulary_size} tokens."
                )
            if index not in dropped:
                tokens.append(self.vocabulary[index])
        return self._join_tokens(tokens)


def _rows_of_ids(ids: Any) -> tuple[list[list], bool]:
    """The ids of each text as Python lists, and whether they came as a batch."""
    if isinstance(ids, tf.RaggedTensor):
        return ids.to_list(), True
    if isinstance(ids, list | tuple):
        if any(isinstance(x, list | tuple) or getattr(x, "ndim", 0) for x in ids):
            return [_rows_of_ids(row)[0][0] for row in ids], True
        return [[x.item() if isinstance(x, np.generic) else x for x in ids]], False
    ids = np.asarray(ids)
    if ids.ndim not in (1, 2):
        raise TypeError(f"Expected ids of one text or of a batch. Received shape {ids.shape}.")
    return (ids.tolist(), True) if ids.ndim == 2 else ([ids.tolist()], False)


def _check_special_tokens(ids: dict[str, int], **tokens: str) -> None:
    missing = [f"{name}_token={token!r}" for name, token in tokens.items() if token not in ids]
    if missing:
        raise ValueError(
            f"The vocabulary of {len(ids)} tokens lacks {', '.join(missing)}. Is it a vocabulary "
            "of this kind? If its special tokens have other names, pass them."
        )
