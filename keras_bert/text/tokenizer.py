"""What every tokenizer can do, whatever its algorithm."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert.text.added_tokens import AddedToken, Parts, TokenSearch, as_added_tokens
from keras_bert.text.explanation import ExplainedPiece, Explanation
from keras_bert.text.offsets import ENDS, UNITS, in_characters
from keras_bert.text.token_batches import token_batches
from keras_bert.text.vocabulary import check_vocabulary

__all__ = ["SPECIAL_TOKENS", "Tokenizer"]

#: Names of the arguments and attributes that name the special tokens.
SPECIAL_TOKENS = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")


class Tokenizer:
    """Strings to ids inside the TensorFlow graph, and back.

    A tokenizer works eagerly, in `tf.function`, in `tf.data.Dataset.map` and in SavedModels
    (loading one takes `import tensorflow_text`), and has no variables or files to track. Made by
    `Tokenizer.from_pretrained`, or directly by one of the kinds: `WordPieceTokenizer`,
    `BytePairTokenizer`, `SentencePieceTokenizer`.

    Subclasses implement `_ids` and `_ids_and_spans`, and say how rows are laid out.

    Text that looks like a special token (`"[MASK]"`) is text, as in google-research/bert, unless
    `special_tokens_in_text="special"`: then it is that token wherever it stands, as in Hugging
    Face's tokenizers. Added tokens that are not special are always found.

    Args:
        vocabulary: the tokens in the order of their ids, without those that are only added.
        unk_token: stands for what the vocabulary cannot spell.
        cls_token: opens every packed row.
        sep_token: closes every segment.
        pad_token: fills rows up.
        mask_token: hides a token in pretraining; may be missing in the vocabulary.
        model_max_length: most tokens, special ones included, that the model takes; None: unknown.
        special_tokens_in_text: "text" or "special".
        added_tokens: tokens that are searched in text before it is split (`AddedToken`s, dicts of
            its arguments, or strings). Those that are not in `vocabulary` get the next ids. Special
            tokens need not be among them, unless they have other options than usual.

    Attributes:
        vocabulary: list of str, with the added tokens; a token's index is its id.
        model_vocabulary: the `vocabulary` that was given: what pieces can be.
        vocabulary_size: number of ids.
        unk_id, cls_id, sep_id, pad_id, mask_id: ids of the special tokens (`mask_id` may be None).

    Raises:
        ValueError: the vocabulary is empty or lacks a special token; an option is unknown; a token
            is added twice.
    """

    #: How many `sep_token`s stand between two segments: one in BERT, two in RoBERTa.
    separators_between = 1
    #: Whether the model tells segments apart by type ids; if not, all are 0.
    segment_types = True
    #: Whether rows end in the class token and are padded on the left, as in XLNet.
    class_last = False
    #: Whether the mask token takes the blanks before it, where `added_tokens` do not say.
    mask_token_strips = False
    #: Characters, as in a class of a regular expression, which Hugging Face's normaliser puts
    #: blanks around where `_normalize` leaves that to the split into words.
    _set_apart = ""
    #: Options of its own that `repr` shows.
    _shown: tuple[str, ...] = ()

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
        special_tokens_in_text: str = "text",
        added_tokens: Iterable[AddedToken | dict[str, Any] | str] = (),
    ):
        if special_tokens_in_text not in ("text", "special"):
            raise ValueError(
                f'special_tokens_in_text={special_tokens_in_text!r}. Expected "text" or "special".'
            )
        self.special_tokens_in_text = special_tokens_in_text
        self.model_vocabulary = check_vocabulary(vocabulary)
        self.unk_token, self.cls_token, self.sep_token = unk_token, cls_token, sep_token
        self.pad_token, self.mask_token = pad_token, mask_token
        known, implied = set(self.model_vocabulary), self.implied_tokens()
        self.added_tokens = [
            token
            for token in as_added_tokens(added_tokens)
            if token.content not in known or token not in implied
        ]
        added = [token.content for token in self.added_tokens]
        self.vocabulary = [*self.model_vocabulary, *(t for t in added if t not in known)]
        self.vocabulary_size = len(self.vocabulary)
        self.model_max_length = model_max_length
        ids = {token: index for index, token in enumerate(self.vocabulary)}
        _check_special_tokens(ids, unk=unk_token, cls=cls_token, sep=sep_token, pad=pad_token)
        self.unk_id, self.cls_id = ids[unk_token], ids[cls_token]
        self.sep_id, self.pad_id = ids[sep_token], ids[pad_token]
        self.mask_id = ids.get(mask_token)
        signature = [tf.TensorSpec([None], tf.string)]
        self._compiled_ids = tf.function(self._find_ids, signature, autograph=False)
        self._compiled_spans = {
            options: tf.function(
                functools.partial(self._find_ids_and_spans, *options), signature, autograph=False
            )
            for options in itertools.product(UNITS, ENDS)
        }

    @staticmethod
    def from_pretrained(
        folder: str | os.PathLike, special_tokens_in_text: str = "text"
    ) -> Tokenizer:
        """Reads the tokenizer that a pretrained model was trained with from the model's folder.

        Hugging Face folders: options from `tokenizer_config.json` (then `tokenizer.json`).
        WordPiece: the vocabulary from `vocab.txt` or, without one, from `tokenizer.json`. BPE at
        the level of bytes: `tokenizer.json`, or `vocab.json` and `merges.txt`. SentencePiece:
        `tokenizer.json`, or `spiece.model` (ALBERT), `sentencepiece.bpe.model` (XLM-RoBERTa,
        CamemBERT).

        KerasHub's preset folders: `tokenizer.json` of theirs and `assets/tokenizer/`.

        TF1 BERT folders: `vocab.txt`, and `do_lower_case` of `bert_config.json` if it is there. A
        WordPiece folder that says nothing about case gets the one its name says ("cased",
        "uncased") or else its vocabulary: with capitals in it, text is not lower-cased.

        Args:
            folder: the folder.
            special_tokens_in_text: "text": `"[MASK]"` in a text is text, and so is every token that
                the folder adds as a special one; "special": each is its id, as in `transformers`.

        Raises:
            FileNotFoundError: the folder, or a vocabulary in it, is missing.
            ValueError: a file cannot be read as what it should be, or asks for another kind.

        Example:
            >>> tokenizer = Tokenizer.from_pretrained("all-MiniLM-L6-v2")
            >>> tokenizer.vocabulary_size
            30522
        """
        from keras_bert.text.pretrained import load_tokenizer  # which knows every kind

        return load_tokenizer(folder, special_tokens_in_text)

    def save_pretrained(
        self,
        folder: str | os.PathLike,
        *,
        model_max_length: int | None = None,
        segment_types: bool = True,
    ) -> None:
        """Writes the tokenizer as Hugging Face's files; `from_pretrained` reads it back the same.

        The files are `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, and the
        kind's classic ones: `vocab.txt`; `vocab.json` and `merges.txt`; `spiece.model` or
        `sentencepiece.bpe.model`. `AutoTokenizer.from_pretrained(folder)` of `transformers` takes
        `tokenizer.json` as it is, with any model's `config.json` beside it or with none. Another
        tokenizer's files in the folder are replaced, when all is written.

        What it gives there differs from this tokenizer in a few places. Measured: none, none, none
        and one of 4,319 lines of English with WordPiece, BPE, XLM-RoBERTa's and ALBERT's pieces; of
        4,000 strings made to find trouble some 2 to 10 in a hundred with WordPiece and
        SentencePiece, none with BPE.

        * Special tokens in text are always these tokens there (`special_tokens_in_text`).
        * WordPiece: Hugging Face's normaliser deletes private-use characters, knows no final sigma
          of capitals (`ΟΔΟΣ`), and has older tables of Unicode.
        * SentencePiece: see `keras_bert.text.sentencepiece.tokenizer`. Pieces that a model has
          marked as unused are used.
        * BPE: with `normalization="NFC"`, the order of two rare accents on one character.

        How a tokenizer runs is not written: `guards`, `backend`, `special_tokens_in_text`. Added
        tokens come back in the order of their ids.

        Args:
            folder: where to; made if there is none.
            model_max_length: most tokens that the model takes; None: this tokenizer's.
            segment_types: whether the model tells segments apart by type ids. With False, as for
                DistilBERT, `transformers` gives it none; a tokenizer that gives none itself, as
                RoBERTa's, is written so in any case.

        Raises:
            OSError: the files cannot be written; those in the folder are as they were.
            TypeError: the tokenizer is none of the three kinds.
            ValueError: `tokenizer.json` has no way to say what this tokenizer does.

        Example:
            >>> tokenizer = WordPieceTokenizer("uncased_L-12_H-768_A-12/vocab.txt")
            >>> tokenizer.save_pretrained("my-model", model_max_length=512)
            >>> transformers.AutoTokenizer.from_pretrained("my-model")("Where is my card?")
        """
        from keras_bert.text.pretrained import save_tokenizer  # which knows every kind

        save_tokenizer(self, folder, model_max_length, segment_types)

    def tokenize(self, strings: Any) -> tf.RaggedTensor | tf.Tensor:
        """Gives the ids of the pieces of each string, without special tokens.

        Args:
            strings: a string tensor (batch,) or (), or anything `tf.convert_to_tensor` makes one.

        Returns:
            int32: ragged (batch, pieces) for a batch, a tensor (pieces,) for one string.

        Example:
            >>> tokenizer.tokenize(tf.constant("unaffable"))   # -> [14477, 20961, 3468]
        """
        return self._apply(self._find_ids, self._compiled_ids, strings)

    def token_batches(
        self,
        texts: Any,
        batch_size: int,
        at_a_time: int = 256,
        num_parallel_calls: int | None = None,
    ) -> tf.data.Dataset:
        """Batches of ids of a dataset's texts: quick where batches are small.

        What `texts.batch(batch_size).map(tokenizer.tokenize)` gives. But many texts are tokenized
        at a time and then cut into batches, so that the call of a graph and the hand-over between
        threads, which for 32 tweets take as long as the tweets, are paid once for all of these.
        `benchmarks/tokenizer.py` measures it.

        Args:
            texts: a `tf.data.Dataset` of strings (); of vectors of strings, of which each is
                tokenized at a time and cut by itself; or a list of texts.
            batch_size: texts of a batch.
            at_a_time: texts that are tokenized together, which takes memory for all of them: fewer
                where they are books.
            num_parallel_calls: as `tf.data.Dataset.map` takes it; default: tuned by tf.data.

        Returns:
            A dataset of ragged int32 (batch, pieces), in the texts' order. The last batch has what
            is left; of vectors each one's last. For rows as models take them, map
            `preprocessor.pack` over it.

        Raises:
            TypeError: the dataset's elements are something else.
            ValueError: `batch_size` or `at_a_time` is no number of texts.

        Example:
            >>> batches = tokenizer.token_batches(tf.data.TextLineDataset("corpus.txt"), 32)
            >>> rows = batches.map(preprocessor.pack).prefetch(2)
        """
        return token_batches(self, texts, batch_size, at_a_time, num_parallel_calls)

    def tokenize_with_offsets(
        self, strings: Any, unit: str = "bytes", ends: str = "tight"
    ) -> tuple[tf.RaggedTensor | tf.Tensor, ...]:
        """Gives the ids and says where each piece stands in the original string.

        Offsets count in the string as given, before any normalisation. A character that becomes
        several pieces (a Korean syllable) is the span of each. The span of an added token has the
        blanks in it that the token takes.

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
        function = functools.partial(self._find_ids_and_spans, unit, ends)
        return self._apply(function, self._compiled_spans[unit, ends], strings)

    def detokenize(self, ids: Any, skip_special_tokens: bool = True) -> tf.Tensor:
        """Makes text of ids again, as far as they tell; in a graph too.

        What a vocabulary does not keep is gone: with WordPiece capitals and accents where text is
        lower-cased, and where the blanks were (each word and sign stands apart: "it ' s").

        Args:
            ids: int (batch, pieces), dense or ragged, or (pieces,), or what makes such a tensor.
            skip_special_tokens: leave out the class, separator, padding and mask tokens. The
                unknown token always comes: it stands for something.

        Returns:
            Strings (batch,) or ().

        Raises:
            tf.errors.InvalidArgumentError: an id is not in the vocabulary.

        Example:
            >>> tokenizer.detokenize([101, 14477, 20961, 3468, 102]).numpy()
            b'unaffable'
        """
        ids = _as_ids(ids)
        if ids.shape.rank == 1:
            return self.detokenize(ids[tf.newaxis], skip_special_tokens)[0]
        if isinstance(ids, tf.Tensor):
            ids = tf.RaggedTensor.from_tensor(ids)
        if skip_special_tokens:
            special = tf.constant(sorted(self._special_ids()), ids.dtype)
            is_special = tf.reduce_any(ids.values[:, tf.newaxis] == special, axis=1)
            ids = tf.ragged.boolean_mask(ids, ids.with_values(~is_special))
        return self._texts_of(ids)

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
        pieces, previous_end = [], None
        for index, first_byte, end_byte, start, end in zip(
            ids, starts, ends, *characters, strict=True
        ):
            source, token = text[start:end], self.vocabulary[index]
            flags = self._flags(index, token, source, follows=first_byte == previous_end)
            span = (start, end, first_byte, end_byte)
            pieces.append(ExplainedPiece(token, index, *span, source, flags))
            previous_end = end_byte
        return Explanation(text, tuple(pieces))

    def implied_tokens(self) -> list[AddedToken]:
        """How special tokens are looked for where `added_tokens` do not say."""
        return [
            AddedToken(
                getattr(self, name),
                lstrip=name == "mask_token" and self.mask_token_strips,
                special=True,
            )
            for name in SPECIAL_TOKENS
        ]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values; the vocabulary as one string of lines."""
        return {
            "vocabulary": "\n".join(self.model_vocabulary),
            **{name: getattr(self, name) for name in SPECIAL_TOKENS},
            "model_max_length": self.model_max_length,
            "special_tokens_in_text": self.special_tokens_in_text,
            "added_tokens": [dataclasses.asdict(token) for token in self.added_tokens],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        """Makes the tokenizer that `get_config` described."""
        return cls(**{**config, "vocabulary": config["vocabulary"].split("\n")})

    def __repr__(self) -> str:
        shown = ("vocabulary_size", *self._shown, "model_max_length")
        options = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({options})"

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

    def _ids_and_spans(
        self, strings: tf.Tensor, loose: bool = False
    ) -> tuple[tf.RaggedTensor, ...]:
        """Ids, starts and ends in bytes of a batch, each ragged int32. Graph ops only.

        `loose`: ends take in what normalisation dropped behind a piece, where it drops anything.
        """
        raise NotImplementedError

    def _texts_of(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """What ids spell: ragged (batch, pieces) -> string (batch,). Graph ops only."""
        raise NotImplementedError

    def _spelled(self, token: str) -> tuple[str | None, bool]:
        """The characters a token stands for (None: parts of one), and whether it may continue a
        word.
        """
        raise NotImplementedError

    # --- for tokenizers whose added tokens see a normalised text, or whose pieces see their place

    def _normalize(self, strings: tf.Tensor) -> tf.Tensor:
        """What `normalized` added tokens are compared with: string (batch,) -> string (batch,).

        Overridden, with `_normalize_with_spans`, where text is normalised before it is split.
        """
        return strings

    def _normalize_with_spans(self, strings: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        """As `_normalize`, and a function from ragged (starts, ends) in it to the strings'."""
        return strings, lambda starts, ends: (starts, ends)

    def _ids_of_parts(self, parts: tf.Tensor, opens: tf.Tensor) -> tf.RaggedTensor:
        """As `_ids`, for what lies between added tokens.

        Args:
            parts: string (parts,).
            opens: bool (parts,): the part stands at the very start of its text. Overridden, with
                `_ids_and_spans_of_parts`, where only such a part is given a blank to begin with.
        """
        return self._ids(parts)

    def _ids_and_spans_of_parts(
        self, parts: tf.Tensor, opens: tf.Tensor, loose: bool = False
    ) -> tuple[tf.RaggedTensor, ...]:
        """As `_ids_and_spans`, for what lies between added tokens; see `_ids_of_parts`."""
        return self._ids_and_spans(parts, loose)

    @functools.cached_property
    def _token_texts(self) -> tf.Tensor:
        """The tokens' texts by id: an eager constant, also when a graph is being built."""
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.vocabulary)

    @property
    def _names(self) -> frozenset[str]:
        """Tokens that are names and spell no text: the special and the added ones."""
        special = (getattr(self, name) for name in SPECIAL_TOKENS)
        return frozenset([*special, *(added.content for added in self.added_tokens)])

    def _special_ids(self) -> frozenset[int]:
        return frozenset([self.cls_id, self.sep_id, self.pad_id, self.mask_id]) - {None}

    def _flags(self, index: int, token: str, source: str, follows: bool) -> tuple[str, ...]:
        if index == self.unk_id:
            return ("unknown",)
        if index in self._special_ids():
            return ("special",)
        if any(added.content == token for added in self.added_tokens):
            return ("added",)
        letters, continues = self._spelled(token)
        changed = letters is not None and letters != source
        flags = {"continuation": continues and follows, "changed": changed}
        return tuple(name for name, is_set in flags.items() if is_set)

    # --- added tokens ----------------------------------------------------------------------------

    @functools.cached_property
    def _search(self) -> TokenSearch | None:
        """The search for what is found in text before it is split; None: nothing is."""
        wanted = {token.content: token for token in self.added_tokens}
        for token in self.implied_tokens():
            wanted.setdefault(token.content, token)
        if self.special_tokens_in_text == "text":
            wanted = {content: token for content, token in wanted.items() if not token.special}
        ids = {token: index for index, token in enumerate(self.vocabulary)}
        wanted = [token for token in wanted.values() if token.content in ids]
        if not wanted:
            return None
        return TokenSearch(
            # Special ones first: of those that normalisation makes equal, the first is found.
            sorted(wanted, key=lambda token: not token.special),
            ids,
            self._normalize,
            self._normalize_with_spans,
            self._set_apart,
        )

    def _find_ids(self, strings: tf.Tensor) -> tf.RaggedTensor:
        if self._search is None:
            return self._ids(strings)
        parts, found = self._search.cut(strings)
        ids = self._ids_of_parts(parts.texts.values, _opens(parts))
        return tf.cond(found, lambda: parts.join_ids(ids), lambda: ids)

    def _find_ids_and_spans(
        self, unit: str, ends: str, strings: tf.Tensor
    ) -> tuple[tf.RaggedTensor, ...]:
        ids, *spans = self._find_spans(strings, loose=ends == "loose")
        return ids, *(in_characters(strings, *spans) if unit == "characters" else spans)

    def _find_spans(self, strings: tf.Tensor, loose: bool) -> tuple[tf.RaggedTensor, ...]:
        if self._search is None:
            return self._ids_and_spans(strings, loose)
        parts, found = self._search.cut(strings)
        ids, *spans = self._ids_and_spans_of_parts(parts.texts.values, _opens(parts), loose)
        return tf.cond(
            found,
            lambda: (parts.join_ids(ids), *parts.join_spans(*spans)),
            lambda: (ids, *spans),
        )

    # Nothing here is control flow for AutoGraph to convert, which takes ten times the tracing.
    @tf.autograph.experimental.do_not_convert
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


def _as_ids(ids: Any) -> tf.Tensor | tf.RaggedTensor:
    if isinstance(ids, list | tuple) and any(np.ndim(row) for row in ids):
        ids = tf.ragged.constant([np.asarray(row).tolist() for row in ids], ragged_rank=1)
    elif not isinstance(ids, tf.RaggedTensor):
        ids = tf.convert_to_tensor(ids)
    # Nothing becomes a float tensor.
    values = ids.values if isinstance(ids, tf.RaggedTensor) else ids
    if values.shape.num_elements() == 0:
        ids = tf.cast(ids, tf.int32)
    if not ids.dtype.is_integer or ids.shape.rank not in (1, 2):
        raise TypeError(
            f"Expected ids of one text or of a batch, int (pieces,) or (batch, pieces). Received "
            f"{ids.dtype.name} of shape {ids.shape}."
        )
    return ids


def _opens(parts: Parts) -> tf.Tensor:
    return parts.starts.values == 0


def _check_special_tokens(ids: dict[str, int], **tokens: str) -> None:
    missing = [f"{name}_token={token!r}" for name, token in tokens.items() if token not in ids]
    if missing:
        raise ValueError(
            f"The vocabulary of {len(ids)} tokens lacks {', '.join(missing)}. Is it a vocabulary "
            "of this kind? If its special tokens have other names, pass them."
        )
