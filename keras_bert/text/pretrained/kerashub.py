"""Tokenizers in the preset folders of KerasHub: `tokenizer.json` and `assets/tokenizer/`.

Ids are KerasHub's, with these known exceptions, none of which plain text meets. WordPiece: control
and format characters separate words there and are dropped here; blanks other than ASCII's do not
separate words there; lower-casing there is Unicode's case folding with compatibility (`ß` to `ss`,
`ﬁ` to `fi`, full-width letters to plain ones); a word longer than 100 bytes is unknown there. A
byte-pair tokenizer there always takes `"<mask>"` in a text for the token, as here with
`special_tokens_in_text="special"`.

Source: `keras_hub/src/tokenizers/` and `keras_hub/src/models/*/*_tokenizer.py` of keras-hub 0.32.
"""

from __future__ import annotations

from typing import Any

from keras_bert.text.byte_pair.tokenizer import BytePairTokenizer
from keras_bert.text.pretrained.folder import TokenizerFolder, read_json
from keras_bert.text.sentencepiece.tokenizer import SentencePieceTokenizer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.wordpiece import WordPieceTokenizer

__all__ = ["load", "recognises"]

# What objects are registered under, today and when the package was called KerasNLP.
_PACKAGES = ("keras_hub>", "keras_nlp>")
# Options that change ids, and the values that are ours.
_OPTIONS = {
    "sequence_length": (None,),
    "split": (None, True),
    "suffix_indicator": (None, "##"),
    "special_tokens": (None, []),
    "special_tokens_in_strings": (None, False),
    "add_bos": (None, False),
    "add_eos": (None, False),
}


def recognises(folder: TokenizerFolder) -> bool:
    """Whether `tokenizer.json` is one of KerasHub's."""
    return str(folder.fast.get("registered_name")).startswith(_PACKAGES)


def load(folder: TokenizerFolder, **options: Any) -> Tokenizer:
    """Reads the tokenizer.

    Args:
        folder: the files.
        **options: arguments of the tokenizer that are not the folder's to say.

    Raises:
        FileNotFoundError: there is no vocabulary.
        ValueError: a file cannot be read as what it should be, or asks for another kind.
    """
    name, config = folder.fast.get("class_name"), folder.section("config")
    if name not in _CLASSES:
        raise ValueError(
            f"tokenizer.json in {str(folder.path)!r} describes a {name}. Supported are "
            f"{', '.join(_CLASSES)}."
        )
    for option, ours in _OPTIONS.items():
        if config.get(option) not in ours:
            raise ValueError(
                f"tokenizer.json in {str(folder.path)!r} has {option}={config[option]!r}, which is "
                f"not supported. Expected {ours[-1]!r}."
            )
    return _CLASSES[name](folder, config, model_max_length=_sequence_length(folder), **options)


def _sequence_length(folder: TokenizerFolder) -> int | None:
    """What the preset's preprocessor fills rows up to."""
    said = read_json(folder.path / "preprocessor.json").get("config")
    length = said.get("sequence_length") if isinstance(said, dict) else None
    return length if type(length) is int and length > 0 else None


def _asset(folder: TokenizerFolder, name: str) -> str:
    path = folder.path / "assets" / "tokenizer" / name
    if not path.is_file():
        raise FileNotFoundError(f"No {name} in {str(path.parent)!r}, where KerasHub has it.")
    return str(path)


def _word_piece(folder: TokenizerFolder, config: dict[str, Any], **options: Any) -> Tokenizer:
    return WordPieceTokenizer(
        _asset(folder, "vocabulary.txt"),
        lower_case=bool(config.get("lowercase")),
        strip_accents=bool(config.get("strip_accents")),
        unk_token=config.get("oov_token") or "[UNK]",
        **options,
    )


def _byte_pair(folder: TokenizerFolder, config: dict[str, Any], **options: Any) -> Tokenizer:
    return BytePairTokenizer(
        _asset(folder, "vocabulary.json"),
        _asset(folder, "merges.txt"),
        add_prefix_space=bool(config.get("add_prefix_space")),
        **options,
    )


def _pieces(folder: TokenizerFolder, config: dict[str, Any], **options: Any) -> Tokenizer:
    return SentencePieceTokenizer(_asset(folder, "vocabulary.spm"), **options)


def _fairseq_pieces(folder: TokenizerFolder, config: dict[str, Any], **options: Any) -> Tokenizer:
    return SentencePieceTokenizer(_asset(folder, "vocabulary.spm"), fairseq_ids=True, **options)


_CLASSES = {
    "BertTokenizer": _word_piece,
    "DistilBertTokenizer": _word_piece,
    "ElectraTokenizer": _word_piece,
    "RobertaTokenizer": _byte_pair,
    "AlbertTokenizer": _pieces,
    "XLMRobertaTokenizer": _fairseq_pieces,
}
