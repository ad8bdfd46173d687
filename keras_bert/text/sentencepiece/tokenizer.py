"""SentencePiece (unigram) inside the TensorFlow graph: ALBERT's and XLM-RoBERTa's tokenizers.

    strings --well-formed?--> FastSentencepieceTokenize (model, character map) --> ids
               |
               no: bytes that are no part of a character are dropped first

`FastSentencepieceTokenizer` is tf.text's. It gives the ids of today's `sentencepiece`, twice as
fast as tf.text's `SentencepieceTokenizer`, which breaks ties between equally likely pieces as an
older version did; but it has no offsets. So these come from the ordinary op, with a model that
splits the same normalised text into its characters: however the text was cut into pieces, a piece's
span is that of its first character to its last, and never contradicts the ids. That costs ten times
what the ids do.

The fast op also takes tabs, line ends and U+2581 for blanks; models that let these through, which
ALBERT's and XLM-RoBERTa's do not, are for the ordinary op altogether.

What differs from Hugging Face's `tokenizers` (the ids here are then those of `sentencepiece`, with
which the models were trained):

* Rust's character map looks at short grapheme clusters, not at the longest match: it drops a second
  accent (`ế` spelled with three code points), leaves Korean letters and Japanese voiced marks
  apart, drops what follows a compatibility character (`ﬁ` and an accent). Text in the composed form
  (NFC), as nearly all is, has none of these. ALBERT drops accents before, so is not concerned.
* U+0085 ends words there, and for ALBERT here; for SentencePiece it is an unknown character.
* Of two ways to cut a word that are equally likely (`1 11`, `11 1`), rounding decides: sums are of
  32 bits over the text here and in `sentencepiece`, of 64 bits over the word there.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_bert.text.added_tokens import AddedToken, as_added_tokens
from keras_bert.text.sentencepiece.charsmap import (
    albert_charsmap,
    deleted_characters,
    read_charsmap,
)
from keras_bert.text.sentencepiece.model import (
    BYTE,
    CHAR,
    CONTROL,
    NORMAL,
    UNIGRAM,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    model_proto,
    parse_model,
    read_model,
)
from keras_bert.text.tokenizer import SPECIAL_TOKENS, Tokenizer
from keras_bert.text.utf8 import (
    byte_counts,
    drop_ill_formed,
    is_well_formed,
    spans_before_dropping,
)

__all__ = ["SentencePieceTokenizer", "with_camembert_ids", "with_fairseq_ids"]
__all__ += ["without_camembert_ids", "without_fairseq_ids"]

_SPACE = "\u2581"  # stands for a blank in pieces
_UNKNOWN_CHARACTER = 0  # id in `_characters_model`
_UNKNOWN_PENALTY = 10.0  # sentencepiece `unigram_model.cc`, kUnkPenalty


@keras.saving.register_keras_serializable("keras_bert")
class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece unigram model as TensorFlow ops.

    Ids are those of the `sentencepiece` package on every well-formed string, ALBERT's with what its
    tokenizer does to text before; bytes that are not UTF-8 are dropped first. Text that looks like
    a special token (`"<mask>"`) is text, unless the model itself has it as a user-defined symbol.
    Made by `Tokenizer.from_pretrained`, which knows the options of ALBERT, XLM-RoBERTa and XLNet.

    Args:
        model: path of a model file (`spiece.model`, `sentencepiece.bpe.model`), or its content as
            bytes, or a `ModelProto` message. Pieces are in the order of the ids.
        fairseq_ids: give ids as XLM-RoBERTa does (`with_fairseq_ids`).
        lower_case: lower-case the text.
        strip_accents: decompose compatibility characters (NFKD) and drop accents and other marks.
        straight_quotes: make a straight quote of `` and of ''.
        unk_token: stands for what no piece spells; None: as the model calls it.
        cls_token: opens every packed row; None: `<s>` with `fairseq_ids`, else `[CLS]`.
        sep_token: closes every segment; None: `</s>` or `[SEP]`.
        pad_token: fills rows up.
        mask_token: hides a token in pretraining; may be missing in the model; None: `<mask>` or
            `[MASK]`.
        separators_between: how many `sep_token`s stand between two segments; None: two with
            `fairseq_ids`, else one.
        segment_types: whether the model tells segments apart; None: not with `fairseq_ids`.
        class_last: whether rows end in `cls_token` and are padded on the left, as in XLNet.
        model_max_length: most tokens, special ones included, that the model takes; None: unknown.
        added_tokens: tokens that are searched in text, see `Tokenizer`.
        guards: False leaves out of the graph what LiteRT has no op for: the search for bytes that
            are not UTF-8. They are then unknown characters, and not dropped; nothing else changes,
            and nothing at all where offsets are asked for, which LiteRT cannot give.
        **kwargs: `special_tokens_in_text`, see `Tokenizer`.

    Raises:
        FileNotFoundError: no such model file.
        ValueError: the model cannot be read, is not a unigram model, or lacks a special token.

    Example:
        >>> tokenizer = SentencePieceTokenizer("sentencepiece.bpe.model", fairseq_ids=True)
        >>> tokenizer.tokenize(["Hello world"])
        <tf.RaggedTensor [[35378, 8999]]>
    """

    #: Hugging Face's `<mask>` and ALBERT's `[MASK]` take the blank before them.
    mask_token_strips = True

    _shown = ("lower_case", "strip_accents", "straight_quotes")

    def __init__(
        self,
        model: str | os.PathLike | bytes | Any,
        *,
        fairseq_ids: bool = False,
        lower_case: bool = False,
        strip_accents: bool = False,
        straight_quotes: bool = False,
        unk_token: str | None = None,
        cls_token: str | None = None,
        sep_token: str | None = None,
        pad_token: str = "<pad>",
        mask_token: str | None = None,
        separators_between: int | None = None,
        segment_types: bool | None = None,
        class_last: bool = False,
        model_max_length: int | None = None,
        added_tokens: Iterable[AddedToken | dict[str, Any] | str] = (),
        guards: bool = True,
        **kwargs: Any,
    ):
        model = _as_model(model)
        if fairseq_ids:
            model = with_fairseq_ids(model)
        _check_model(model)
        added_tokens = as_added_tokens(added_tokens)
        model = _with_added(model, [token.content for token in added_tokens])
        pieces = [piece.piece for piece in model.pieces]
        unknown = next(piece.piece for piece in model.pieces if piece.type == UNKNOWN)
        if unk_token not in (None, unknown):
            raise ValueError(
                f"unk_token={unk_token!r}, but the model's unknown piece is {unknown!r}. Leave "
                "unk_token out."
            )
        super().__init__(
            # The base class takes no line feeds, which it would store vocabularies by.
            [piece.replace("\n", "\u2424") for piece in pieces],
            unk_token=unknown,
            cls_token=cls_token or ("<s>" if fairseq_ids else "[CLS]"),
            sep_token=sep_token or ("</s>" if fairseq_ids else "[SEP]"),
            pad_token=pad_token,
            mask_token=mask_token or ("<mask>" if fairseq_ids else "[MASK]"),
            model_max_length=model_max_length,
            added_tokens=added_tokens,
            **kwargs,
        )
        self.vocabulary = pieces
        self.separators_between = (
            1 + bool(fairseq_ids) if separators_between is None else int(separators_between)
        )
        self.segment_types = not fairseq_ids if segment_types is None else bool(segment_types)
        self.class_last = bool(class_last)
        self.lower_case, self.strip_accents = bool(lower_case), bool(strip_accents)
        self.straight_quotes = bool(straight_quotes)
        self.guards = bool(guards)
        self._model = model.SerializeToString(deterministic=True)
        self._ops = _make_ops(
            self._model, self.lower_case, self.strip_accents, self.straight_quotes
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values; the model in base64."""
        config = super().get_config()
        del config["vocabulary"]
        return {
            "model": base64.b64encode(self._model).decode("ascii"),
            "lower_case": self.lower_case,
            "strip_accents": self.strip_accents,
            "straight_quotes": self.straight_quotes,
            "separators_between": self.separators_between,
            "segment_types": self.segment_types,
            "class_last": self.class_last,
            "guards": self.guards,
            **config,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SentencePieceTokenizer:
        """Makes the tokenizer that `get_config` described."""
        return cls(**{**config, "model": base64.b64decode(config["model"])})

    def own_model(self):
        """The model as a `ModelProto`, without the pieces that are there for added tokens' ids."""
        model = parse_model(self._model)
        added = {token.content for token in self.added_tokens}
        added -= {getattr(self, name) for name in SPECIAL_TOKENS}
        while model.pieces[-1].piece in added and model.pieces[-1].type == CONTROL:
            del model.pieces[-1]
        return model

    def _texts_of(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """As the `sentencepiece` package: unknown pieces are shown as `⁇`."""
        surfaces = ids.with_values(tf.gather(self._surfaces, ids.values))
        text = tf.strings.reduce_join(surfaces, axis=1)
        text = tf.strings.regex_replace(text, self._ops.leading_blanks, "")
        return tf.strings.regex_replace(text, _SPACE, " ")

    @functools.cached_property
    def _surfaces(self) -> tf.Tensor:
        """What each piece is shown as; special and added tokens, which the model hides, by name."""
        names = self._names - {self.unk_token}
        shown = list(self._ops.surfaces)
        for index, token in enumerate(self.vocabulary):
            if token in names:
                shown[index] = token.encode("utf-8")
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(shown)

    def _spelled(self, token: str) -> tuple[str | None, bool]:
        return token.lstrip(_SPACE).replace(_SPACE, " "), not token.startswith(_SPACE)

    def _ids(self, strings: tf.Tensor) -> tf.RaggedTensor:
        if self.guards:
            strings = _well_formed(strings, is_well_formed(strings))
        ids = self._pieces(strings)
        return _join_unknowns(ids, self.unk_id, self.vocabulary_size)[0] if self._made_up() else ids

    def _ids_and_spans(
        self, strings: tf.Tensor, loose: bool = False
    ) -> tuple[tf.RaggedTensor, ...]:
        well_formed = is_well_formed(strings)
        text = _well_formed(strings, well_formed)
        ids = self._pieces(text)
        starts, ends = self._spans(text, ids)
        if self._made_up():
            ids, starts, ends = _join_unknowns(ids, self.unk_id, self.vocabulary_size, starts, ends)
        starts, ends = tf.cond(
            well_formed,
            lambda: (starts, ends),
            lambda: spans_before_dropping(strings, text, starts, ends),
        )
        return ids, starts, ends

    def _made_up(self) -> bool:
        return len(self._ops.characters_of) > self.vocabulary_size

    def _pieces(self, text: tf.Tensor) -> tf.RaggedTensor:
        if self._ops.fast:
            return self._ops.fast.tokenize(text).with_row_splits_dtype(tf.int64)
        ids = _ordinary_op(self._ops.model).tokenize(text)
        return _join_unknowns(ids, self.unk_id, len(self._ops.characters_of))[0]

    def _spans(self, text: tf.Tensor, ids: tf.RaggedTensor) -> tuple[tf.RaggedTensor, ...]:
        """Spans in well-formed text: of the characters that the pieces are made of."""
        splitter = _ordinary_op(self._ops.characters)
        characters, starts, ends = splitter.tokenize_with_offsets(text)
        # All rows in one line, a byte apart, so that one sorted search serves them all.
        row_base = tf.cumsum(tf.strings.length(text) + 1, exclusive=True)
        base = tf.gather(row_base, characters.value_rowids())
        starts, ends = (tf.cast(x.values, tf.int32) + base for x in (starts, ends))
        kept_ends, all_ends = self._character_ends(text, row_base)
        # Of what one character became, the op gives the end to the last part only.
        ends = tf.where(ends == starts, _first_above(all_ends, starts), ends)
        # The op counts to a span what is deleted behind it.
        ends = tf.maximum(_last_up_to(kept_ends, ends), starts)
        characters, starts, ends = _join_unknowns(
            characters,
            _UNKNOWN_CHARACTER,
            self._ops.characters_known,
            characters.with_values(starts),
            characters.with_values(ends),
        )
        starts, ends = starts.values, ends.values

        first, last = self._character_range(ids, characters)
        opens_word = tf.gather(self._ops.opens_word, ids.values)
        row_last = tf.gather(characters.row_limits(), ids.value_rowids()) - 1
        # A blank is not part of the word; alone, it stands where its word begins (Hugging Face).
        alone = opens_word & (first == last)
        begins = tf.minimum(first + tf.cast(opens_word, first.dtype), row_last)
        piece_starts = tf.gather(starts, begins)
        piece_ends = tf.where(alone, _first_above(all_ends, piece_starts), tf.gather(ends, last))
        piece_base = tf.gather(row_base, ids.value_rowids())
        return (
            ids.with_values(piece_starts - piece_base),
            ids.with_values(piece_ends - piece_base),
        )

    def _character_range(
        self, ids: tf.RaggedTensor, characters: tf.RaggedTensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Each piece's first and last character, as indices into `characters.values`."""
        counts = tf.gather(self._ops.characters_of, ids.values)
        before = tf.concat([[0], tf.cumsum(tf.cast(counts, tf.int64))], axis=0)
        rows = ids.value_rowids()
        row_start = tf.gather(tf.gather(before, ids.row_starts()), rows)
        first = before[:-1] - row_start + tf.gather(characters.row_starts(), rows)
        return first, first + tf.cast(counts, tf.int64) - 1

    def _character_ends(self, text: tf.Tensor, row_base: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where the characters of the text end: those that normalisation keeps, and all."""
        codes, offsets = tf.strings.unicode_decode_with_offsets(text, "UTF-8")
        codes, rows = codes.values, offsets.value_rowids()
        ends = tf.cast(offsets.values, tf.int32) + tf.gather(row_base, rows) + byte_counts(codes)
        deleted = self._ops.deleted
        place = tf.minimum(tf.searchsorted(deleted, codes), len(deleted) - 1)
        return tf.boolean_mask(ends, tf.gather(deleted, place) != codes), ends


@dataclasses.dataclass(frozen=True)
class _Ops:
    """What a model becomes.

    Pieces behind the vocabulary are made up: characters that only occur inside longer pieces. As
    pieces, at the price of the unknown, they are told apart from their neighbours.

    Attributes:
        model: the model, completed.
        fast: tf.text's quick tokenizer; None where the model is not one for it (`_is_for_fast`).
        characters: the model for the ordinary op that splits text into characters.
        characters_known: how many pieces that model has, but for its 256 bytes.
        characters_of: int32 (pieces,): how many of these a piece is made of.
        opens_word: bool (pieces,): the piece begins with a blank.
        surfaces: what `detokenize` shows of each piece, by id.
        leading_blanks: what `detokenize` drops before the text, a regular expression.
        deleted: int32: the code points that normalisation deletes, sorted; never empty.
    """

    model: bytes
    fast: Any | None
    characters: bytes
    characters_known: int
    characters_of: np.ndarray
    opens_word: np.ndarray
    surfaces: Sequence[bytes]
    leading_blanks: str
    deleted: np.ndarray


@functools.lru_cache(maxsize=4)
def _make_ops(content: bytes, lower_case: bool, strip_accents: bool, straight_quotes: bool) -> _Ops:
    model = parse_model(content)
    charsmap = model.normalizer_spec.precompiled_charsmap
    if lower_case or strip_accents or straight_quotes:
        charsmap = albert_charsmap(charsmap, lower_case, strip_accents, straight_quotes)
        model.normalizer_spec.precompiled_charsmap = charsmap
    surfaces = [_surface(piece, model) for piece in model.pieces]
    characters = _complete(model)
    characters_of = np.array([_characters_of(piece) for piece in model.pieces], np.int32)
    opens_word = np.array([piece.piece.startswith(_SPACE) for piece in model.pieces])
    splitter = _characters_model(model, characters)
    fast = None
    # Eager constants, also when a graph is being built, and on the CPU, where the op is.
    with tf.init_scope(), tf.device("CPU:0"):
        if _is_for_fast(model):
            fast = _fast_op(model.SerializeToString(deterministic=True))
    if not fast:
        _add_bytes(model)
    return _Ops(
        model.SerializeToString(deterministic=True),
        fast,
        splitter,
        len(parse_model(splitter).pieces) - 256,
        characters_of,
        opens_word,
        surfaces,
        f"^{_SPACE}+" if model.normalizer_spec.remove_extra_whitespaces else f"^{_SPACE}",
        # The last, which no text has, spares asking whether there are any.
        np.append(deleted_characters(charsmap), np.int32(0x110000)),
    )


def _fast_op(model: bytes):
    """tf.text's `FastSentencepieceTokenizer`, made several times as fast.

    Its constructor turns the model into a Python list of bytes on the way to a tensor, and does so
    twice, for it converts the model for detokenising as well: seconds for XLM-RoBERTa's.
    """
    import tensorflow_text as tf_text
    from tensorflow_text.core.pybinds import pywrap_model_converter

    op = tf_text.FastSentencepieceTokenizer.__new__(tf_text.FastSentencepieceTokenizer)
    converted = pywrap_model_converter.convert_sentencepiece_model(model)
    op._converted_model = tf.constant(np.frombuffer(converted, np.uint8))
    op._reverse = op._add_bos = op._add_eos = False
    return op


def _ordinary_op(model: bytes):
    """Tf.text's other tokenizer, for the graph that is being built.

    Made there, it is a part of the graph, without a resource for a SavedModel to track.
    """
    import tensorflow_text as tf_text

    return tf_text.SentencepieceTokenizer(model)


# What the fast op takes for blanks, whatever the model does.
_BLANKS = frozenset("\t\n\x0b\x0c\r" + _SPACE)


def _is_for_fast(model) -> bool:
    """Whether normalisation leaves no blank for the fast op to misread, as ALBERT's and XLM-R's."""
    charsmap = read_charsmap(model.normalizer_spec.precompiled_charsmap, single=True)
    symbols = (piece.piece for piece in model.pieces if piece.type == USER_DEFINED)
    return all(_BLANKS.isdisjoint(charsmap.get(blank, blank)) for blank in _BLANKS) and not any(
        set(symbol) & {*_BLANKS, " "} for symbol in symbols
    )


def _complete(model) -> list[str]:
    """Adds pieces for characters that have none of their own; returns all characters."""
    normal = [piece for piece in model.pieces if piece.type == NORMAL]
    characters = sorted({c for piece in normal for c in piece.piece})
    known = {piece.piece for piece in normal}
    price = min((piece.score for piece in normal), default=0.0) - _UNKNOWN_PENALTY
    for index, piece in enumerate(model.pieces):
        if piece.type == UNUSED:  # the fast op refuses these
            piece.type = CONTROL
        elif piece.type == UNKNOWN:  # and believes the training options
            model.trainer_spec.unk_id = index
    for character in characters:
        if character not in known:
            model.pieces.add(piece=character, score=price, type=NORMAL)
    return characters


def _characters_model(model, characters: list[str]) -> bytes:
    """A model that normalises as `model` does and splits the text into characters."""
    splits = model_proto()
    splits.trainer_spec.model_type = CHAR
    splits.normalizer_spec.CopyFrom(model.normalizer_spec)
    symbols = {piece.piece for piece in model.pieces if piece.type == USER_DEFINED}
    splits.pieces.add(piece="<unk>" if "<unk>" not in symbols else "<unknown>", type=UNKNOWN)
    for symbol in sorted(symbols):
        splits.pieces.add(piece=symbol, type=USER_DEFINED)
    for character in characters:
        if character not in symbols:
            splits.pieces.add(piece=character, type=NORMAL)
    _add_bytes(splits)
    return splits.SerializeToString(deterministic=True)


def _add_bytes(model) -> None:
    """Lets the ordinary op spell unknown characters in bytes.

    It would put a run of unknown ones together one by one, copying all of them each time; here
    `_join_unknowns` does that.
    """
    model.trainer_spec.byte_fallback = True
    for byte in range(256):
        model.pieces.add(piece=f"<0x{byte:02X}>", type=BYTE)


def _characters_of(piece) -> int:
    # A run of unknown characters is joined to one in either op's result.
    return len(piece.piece) if piece.type == NORMAL else 1


def _surface(piece, model) -> bytes:
    if piece.type == UNKNOWN:
        return model.trainer_spec.unk_surface.encode("utf-8")
    return b"" if piece.type == CONTROL else piece.piece.encode("utf-8")


_CAMEMBERT_FIRST = "<s>NOTUSED <pad> </s>NOTUSED <unk> <unk>NOTUSED <s> </s>".split()


def with_fairseq_ids(model):
    """XLM-RoBERTa's order of pieces: `<s> <pad> </s> <unk>`, the model's own, `<mask>`.

    Args:
        model: a `ModelProto` as trained: `<unk> <s> </s>` first.

    Returns:
        A new `ModelProto`. Each of the model's own pieces stands one place further on.

    Raises:
        ValueError: the model does not begin so, or has `<pad>` or `<mask>` already.

    Source: fairseq's dictionary for XLM-R; Hugging Face's `XLMRobertaConverter`.
    """
    first = [piece.piece for piece in model.pieces[:3]]
    if first != ["<unk>", "<s>", "</s>"]:
        raise ValueError(
            f"The model's first pieces are {first}. Expected ['<unk>', '<s>', '</s>'], as the "
            "models of XLM-RoBERTa begin. Use fairseq_ids=False."
        )
    first = ("<s>", "<pad>", "</s>", "<unk>")
    result = _reordered(model, first, model.pieces[3:], last=("<mask>",))
    spec = result.trainer_spec
    spec.bos_id, spec.pad_id, spec.eos_id, spec.unk_id = 0, 1, 2, 3
    return result


def _reordered(model, first, own, last=()):
    """A model with pieces of its own between special ones, which are named: a new `ModelProto`."""
    result = model_proto()
    result.CopyFrom(model)
    del result.pieces[:]
    for names in (first, last):
        for name in names:
            kind, score = (UNKNOWN, 0.0) if name == "<unk>" else (CONTROL, 0.0)
            if name == "<unk>NOTUSED":
                kind, score = NORMAL, -100.0  # At this price it is never chosen.
            result.pieces.add(piece=name, score=score, type=kind)
        if names is first:
            result.pieces.extend(own)
    result.trainer_spec.vocab_size = len(result.pieces)
    return result


def with_camembert_ids(model):
    """CamemBERT's order of pieces: as `with_fairseq_ids`, but `<s>` and `</s>` stay in the model.

    Their places at the front have other names: `<s>NOTUSED <pad> </s>NOTUSED <unk> <unk>NOTUSED`.

    Source: Hugging Face's `CamembertConverter`.
    """
    ordered = with_fairseq_ids(model)
    result = _reordered(ordered, _CAMEMBERT_FIRST, ordered.pieces[4:])
    result.trainer_spec.bos_id, result.trainer_spec.eos_id = 5, 6
    return result


def without_camembert_ids(model):
    """The model as it was before `with_camembert_ids`; None where its pieces are not so ordered."""
    names = [piece.piece for piece in model.pieces]
    if names[:7] != _CAMEMBERT_FIRST or names[-1] != "<mask>":
        return None
    return without_fairseq_ids(
        _reordered(model, ("<s>", "<pad>", "</s>", "<unk>"), model.pieces[7:])
    )


def without_fairseq_ids(model):
    """The model as it was before `with_fairseq_ids`; None where its pieces are not in that order.

    Args:
        model: a `ModelProto` in XLM-RoBERTa's order of pieces.

    Returns:
        A new `ModelProto`: `<unk> <s> </s>` and the model's own pieces.
    """
    names = [piece.piece for piece in model.pieces]
    if names[:4] != ["<s>", "<pad>", "</s>", "<unk>"] or names[-1] != "<mask>":
        return None
    result = _reordered(model, ("<unk>", "<s>", "</s>"), model.pieces[4:-1])
    spec = result.trainer_spec
    spec.unk_id, spec.bos_id, spec.eos_id, spec.pad_id = 0, 1, 2, -1
    return result


def _with_added(model, tokens: Sequence[str]):
    """The model with these tokens behind its pieces, which no text gives: ids for them."""
    known = {piece.piece for piece in model.pieces}
    missing = [token for token in tokens if token not in known]
    if not missing:
        return model
    result = model_proto()
    result.CopyFrom(model)
    for token in missing:
        result.pieces.add(piece=token, type=CONTROL)
    return result


def _as_model(model):
    if isinstance(model, bytes):
        return parse_model(model)
    return read_model(model) if isinstance(model, str | os.PathLike) else model


def _check_model(model) -> None:
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    kinds = [piece.type for piece in model.pieces]
    wrong = {
        f"is of the kind {trainer.model_type}, not unigram ({UNIGRAM})": (
            trainer.model_type != UNIGRAM
        ),
        "spells unknown characters in bytes (byte_fallback)": (
            trainer.byte_fallback or BYTE in kinds
        ),
        "puts blanks behind words (treat_whitespace_as_suffix)": (
            trainer.treat_whitespace_as_suffix
        ),
        "puts no blank before the text (add_dummy_prefix is false)": (
            not normalizer.add_dummy_prefix
        ),
        "keeps blanks as they are (escape_whitespaces is false)": (
            not normalizer.escape_whitespaces
        ),
        f"has {kinds.count(UNKNOWN)} unknown pieces, not 1": kinds.count(UNKNOWN) != 1,
    }
    for what, is_so in wrong.items():
        if is_so:
            raise ValueError(
                f"The SentencePiece model {what}. Expected a model as ALBERT and XLM-RoBERTa have."
            )
    seen = set()
    for index, piece in enumerate(model.pieces):
        if not piece.piece or piece.piece in seen:
            raise ValueError(
                f"Piece {index} of the SentencePiece model, {piece.piece!r}, is empty or stands "
                "twice."
            )
        seen.add(piece.piece)


def _well_formed(strings: tf.Tensor, are_so: tf.Tensor) -> tf.Tensor:
    return tf.cond(are_so, lambda: strings, lambda: drop_ill_formed(strings))


# --- searching -----------------------------------------------------------------------------------


def _first_above(values: tf.Tensor, limits: tf.Tensor) -> tf.Tensor:
    """Of sorted values the first above each limit; the last one where there is none."""
    index = tf.searchsorted(values, limits, side="right")
    return tf.gather(values, tf.minimum(index, tf.size(values) - 1))


def _last_up_to(values: tf.Tensor, limits: tf.Tensor) -> tf.Tensor:
    """Of sorted values the last that is not above each limit; 0 where there is none."""
    return tf.gather(tf.concat([[0], values], 0), tf.searchsorted(values, limits, side="right"))


def _join_unknowns(
    ids: tf.RaggedTensor, unk_id: int, vocabulary_size: int, *spans: tf.RaggedTensor
) -> tuple[tf.RaggedTensor, ...]:
    """Makes pieces behind the vocabulary unknown, and one of unknown ones in a row.

    Args:
        ids: ragged (batch, pieces).
        unk_id: id of the unknown piece.
        vocabulary_size: ids from here on are unknown.
        *spans: starts and ends, if wanted.
    """
    values = tf.where(ids.values < vocabulary_size, ids.values, unk_id)
    rows = ids.value_rowids()
    unknown = values == unk_id
    joins = unknown[1:] & unknown[:-1] & (rows[1:] == rows[:-1])
    ends_here = tf.concat([~joins, tf.ones_like(unknown[:1])], axis=0)
    begins_here = tf.concat([tf.ones_like(unknown[:1]), ~joins], axis=0)

    def pick(values: tf.Tensor, mask: tf.Tensor) -> tf.RaggedTensor:
        return tf.ragged.boolean_mask(ids.with_values(values), ids.with_values(mask))

    joined = (pick(values, begins_here),)
    if spans:
        starts, ends = spans
        joined += (pick(starts.values, begins_here), pick(ends.values, ends_here))
    return joined
