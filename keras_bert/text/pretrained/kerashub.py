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

import base64
import json
from pathlib import Path
from typing import Any

from keras_bert.text.byte_pair.tokenizer import BytePairTokenizer
from keras_bert.text.pretrained.folder import TokenizerFolder, read_json
from keras_bert.text.sentencepiece.model import parse_model
from keras_bert.text.sentencepiece.tokenizer import SentencePieceTokenizer, without_fairseq_ids
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.wordpiece import WordPieceTokenizer

__all__ = ["load", "recognises", "save_assets"]

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


# --- writing -------------------------------------------------------------------------------------


def save_assets(tokenizer: Tokenizer, folder: str, class_name: str) -> dict[str, Any]:
    """Writes the vocabulary into `assets/tokenizer/` of a preset.

    Args:
        tokenizer: the tokenizer.
        folder: the preset's folder.
        class_name: the class of KerasHub that will read it.

    Returns:
        The options that stand in its `tokenizer.json`.

    Raises:
        ValueError: that class does not give the tokenizer's ids.
    """
    write, kind, specials = _WRITERS[class_name]
    if type(tokenizer).__name__ != kind:
        raise ValueError(
            f"KerasHub's {class_name} is no {type(tokenizer).__name__}, as this model has it; "
            f"expected a {kind}."
        )
    names = ("cls_token", "sep_token", "pad_token", "mask_token")
    other = [getattr(tokenizer, name) for name in names if getattr(tokenizer, name) not in specials]
    other += [special for special in specials if special not in tokenizer.vocabulary]
    if other:
        raise ValueError(
            f"KerasHub's {class_name} takes {', '.join(specials)} for its special tokens; this "
            f"tokenizer differs in {', '.join(dict.fromkeys(other))}."
        )
    found = [token.content for token in tokenizer.added_tokens if not token.special]
    if found:
        raise ValueError(
            f"KerasHub's {class_name} has no added tokens; this tokenizer has {', '.join(found)}."
        )
    target = Path(folder) / "assets" / "tokenizer"
    target.mkdir(parents=True)
    return write(tokenizer, target)


def _refuse(tokenizer: Tokenizer, **expected: Any) -> None:
    """Raises ValueError for an option that is not the only one that KerasHub computes."""
    for option, only in expected.items():
        if getattr(tokenizer, option) != only:
            raise ValueError(
                f"KerasHub's tokenizer has no {option}={getattr(tokenizer, option)!r}; expected "
                f"{only!r}."
            )


def _write_word_piece(tokenizer: Tokenizer, target: Path) -> dict[str, Any]:
    _refuse(tokenizer, tokenize_chinese_chars=True)
    text = "".join(f"{token}\n" for token in tokenizer.vocabulary)
    (target / "vocabulary.txt").write_text(text, encoding="utf-8", newline="\n")
    strips = tokenizer.strip_accents
    return {
        "vocabulary": None,
        "lowercase": tokenizer.lower_case,
        "strip_accents": tokenizer.lower_case if strips is None else bool(strips),
        "oov_token": tokenizer.unk_token,
    }


def _write_byte_pair(tokenizer: Tokenizer, target: Path) -> dict[str, Any]:
    _refuse(tokenizer, normalization=None)
    ids = {token: index for index, token in enumerate(tokenizer.vocabulary)}
    (target / "vocabulary.json").write_text(json.dumps(ids), encoding="utf-8")
    merges = tokenizer.get_config()["merges"]
    (target / "merges.txt").write_text(f"{merges}\n", encoding="utf-8", newline="\n")
    return {"vocabulary": None, "merges": None, "add_prefix_space": tokenizer.add_prefix_space}


def _write_pieces(tokenizer: Tokenizer, target: Path) -> dict[str, Any]:
    _refuse(tokenizer, lower_case=False, strip_accents=False, straight_quotes=False)
    model = base64.b64decode(tokenizer.get_config()["model"])
    (target / "vocabulary.spm").write_bytes(model)
    return {"proto": None}


def _write_fairseq_pieces(tokenizer: Tokenizer, target: Path) -> dict[str, Any]:
    _refuse(tokenizer, lower_case=False, strip_accents=False, straight_quotes=False)
    model = without_fairseq_ids(parse_model(base64.b64decode(tokenizer.get_config()["model"])))
    if model is None:
        raise ValueError("This tokenizer has other ids than KerasHub's XLMRobertaTokenizer.")
    (target / "vocabulary.spm").write_bytes(model.SerializeToString(deterministic=True))
    return {"proto": None}


_CLASSES = {
    "BertTokenizer": _word_piece,
    "DistilBertTokenizer": _word_piece,
    "ElectraTokenizer": _word_piece,
    "RobertaTokenizer": _byte_pair,
    "AlbertTokenizer": _pieces,
    "XLMRobertaTokenizer": _fairseq_pieces,
}

_BERT = ("[CLS]", "[SEP]", "[PAD]", "[MASK]")
_FAIRSEQ = ("<s>", "</s>", "<pad>", "<mask>")
# Class -> what writes its files, the kind of tokenizer that it is here, its special tokens.
_WRITERS = {
    "BertTokenizer": (_write_word_piece, "WordPieceTokenizer", _BERT),
    "DistilBertTokenizer": (_write_word_piece, "WordPieceTokenizer", _BERT),
    "ElectraTokenizer": (_write_word_piece, "WordPieceTokenizer", _BERT),
    "RobertaTokenizer": (_write_byte_pair, "BytePairTokenizer", _FAIRSEQ),
    "AlbertTokenizer": (
        _write_pieces,
        "SentencePieceTokenizer",
        ("[CLS]", "[SEP]", "<pad>", "[MASK]"),
    ),
    "XLMRobertaTokenizer": (_write_fairseq_pieces, "SentencePieceTokenizer", _FAIRSEQ),
}
