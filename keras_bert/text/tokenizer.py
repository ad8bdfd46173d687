"""Finding the tokenizer of a pretrained model in the files that came with it."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

from keras_bert.text.vocabulary import looks_cased, read_vocabulary
from keras_bert.text.wordpiece import WordPieceTokenizer

__all__ = ["Tokenizer"]

# Hugging Face's tokenizer classes that are BERT's WordPiece, "Fast" left off. Others with a
# vocab.txt split words differently first (Japanese, Vietnamese, tweets).
_WORDPIECE_CLASSES = frozenset(
    f"{name}Tokenizer"
    for name in (
        "Bert ConvBert DPRContextEncoder DPRQuestionEncoder DPRReader DistilBert Electra Funnel "
        "LayoutLM LayoutLMv2 Lxmert MPNet MobileBert Realm RetriBert Splinter SqueezeBert"
    ).split()
)
# Say nothing: the class that reads whatever tokenizer.json says.
_NEUTRAL_CLASSES = frozenset(["PreTrainedTokenizer", "TokenizersBackend", "AutoTokenizer"])

_SPECIAL_TOKENS = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
# Hugging Face writes int(1e30) where there is no limit.
_NO_LIMIT = 1_000_000


class Tokenizer:
    """Loads the tokenizer that a pretrained model was trained with."""

    @staticmethod
    def from_pretrained(folder: str | os.PathLike) -> WordPieceTokenizer:
        """Reads a tokenizer from a model's folder.

        Hugging Face folders: options from `tokenizer_config.json` (then `tokenizer.json`), the
        vocabulary from `vocab.txt` or, without one, from `tokenizer.json`. TF1 BERT folders:
        `vocab.txt`, and `do_lower_case` of `bert_config.json` if it is there. A folder that says
        nothing about case gets the one its name says ("cased", "uncased") or else its vocabulary:
        with capitals in it, text is not lower-cased.

        Args:
            folder: the folder.

        Returns:
            A `WordPieceTokenizer`; other kinds of tokenizer are not supported yet.

        Raises:
            FileNotFoundError: the folder, or a vocabulary in it, is missing.
            ValueError: a file cannot be read as what it should be, or asks for another kind.

        Example:
            >>> tokenizer = Tokenizer.from_pretrained("all-MiniLM-L6-v2")
            >>> tokenizer.vocabulary_size
            30522
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"No folder at {str(folder)!r}. Expected a model's folder with vocab.txt or "
                "tokenizer.json in it."
            )
        config = _read_json(folder / "tokenizer_config.json")
        fast = _read_json(folder / "tokenizer.json")
        _check_kind(folder, config, fast)
        vocabulary = _vocabulary(folder, fast)
        return WordPieceTokenizer(
            vocabulary,
            lower_case=_lower_case(folder, config, fast, vocabulary),
            strip_accents=_option("strip_accents", "strip_accents", config, fast, None),
            tokenize_chinese_chars=_option(
                "tokenize_chinese_chars", "handle_chinese_chars", config, fast, True
            ),
            model_max_length=_max_length(config),
            **_special_tokens(folder, config, fast),
        )


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is no file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError alike
        raise ValueError(f"{str(path)!r} is not JSON: {error}. Get the file again.") from None
    if not isinstance(content, dict):
        raise ValueError(
            f"{str(path)!r} holds a JSON {type(content).__name__}. Expected an object."
        )
    return content


def _check_kind(folder: Path, config: dict, fast: dict) -> None:
    kind = _section(fast, "model").get("type")
    if kind not in (None, "WordPiece"):
        raise ValueError(
            f"The tokenizer in {str(folder)!r} is of the kind {kind!r} (tokenizer.json). Only "
            "WordPiece is supported so far."
        )
    steps = _section(fast, "normalizer").get("type"), _section(fast, "pre_tokenizer").get("type")
    if kind and steps != ("BertNormalizer", "BertPreTokenizer"):
        raise ValueError(
            f"tokenizer.json in {str(folder)!r} prepares text with {steps[0]} and {steps[1]}. "
            "Expected BERT's own, BertNormalizer and BertPreTokenizer."
        )
    name = str(config.get("tokenizer_class") or "").removesuffix("Fast")
    if name and name not in _WORDPIECE_CLASSES | _NEUTRAL_CLASSES:
        raise ValueError(
            f"The tokenizer in {str(folder)!r} is a {config['tokenizer_class']} "
            "(tokenizer_config.json). Only BERT's WordPiece is supported so far."
        )


def _vocabulary(folder: Path, fast: dict) -> list[str]:
    if (folder / "vocab.txt").is_file():
        tokens = read_vocabulary(folder / "vocab.txt")
    elif fast:
        tokens = _vocabulary_of_model(folder, _section(fast, "model"))
    else:
        hint = ""
        if (folder / "vocab.json").is_file() or list(folder.glob("*.model")):
            hint = (
                " There is a vocab.json or *.model: byte-pair and SentencePiece tokenizers are not "
                "supported yet."
            )
        found = sorted(path.name for path in folder.iterdir())[:20]
        raise FileNotFoundError(
            f"No vocab.txt and no tokenizer.json in {str(folder)!r}.{hint} Found: {found}."
        )
    return tokens + _added_tokens(folder, fast, tokens)


def _vocabulary_of_model(folder: Path, model: dict) -> list[str]:
    ids = model.get("vocab")
    if not isinstance(ids, dict) or not ids:
        raise ValueError(
            f"tokenizer.json in {str(folder)!r} has no model.vocab. Expected a dict of tokens."
        )
    if model.get("continuing_subword_prefix", "##") != "##":
        raise ValueError(
            f"tokenizer.json in {str(folder)!r} marks continuations with "
            f"{model['continuing_subword_prefix']!r}. Expected '##'."
        )
    if sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(
            f"The {len(ids)} ids of model.vocab in {str(folder)!r}/tokenizer.json are not "
            f"0 to {len(ids) - 1}, each once."
        )
    return sorted(ids, key=ids.get)


def _added_tokens(folder: Path, fast: dict, tokens: list[str]) -> list[str]:
    """Tokens that were added behind the vocabulary, so that its size is the embedding table's."""
    added = {t["id"]: t["content"] for t in fast.get("added_tokens", []) if t["id"] >= len(tokens)}
    for token, index in _read_json(folder / "added_tokens.json").items():
        if index >= len(tokens):
            added[index] = token
    if not added:
        return []
    expected = list(range(len(tokens), len(tokens) + len(added)))
    if sorted(added) != expected:
        raise ValueError(
            f"The ids of the added tokens in {str(folder)!r} are {sorted(added)}. Expected "
            f"{expected[0]} to {expected[-1]}, behind the vocabulary of {len(tokens)}."
        )
    names = [added[index] for index in expected]
    warnings.warn(
        f"{str(folder)!r} adds {len(names)} tokens to its vocabulary ({', '.join(names[:5])}"
        f"{', ...' if len(names) > 5 else ''}). They have ids here, but text is not searched for "
        "them before it is split into words.",
        stacklevel=4,
    )
    return names


def _option(name: str, fast_name: str, config: dict, fast: dict, default: Any) -> Any:
    """tokenizer_config.json wins over tokenizer.json, as in `transformers`."""
    return config.get(name, _section(fast, "normalizer").get(fast_name, default))


def _lower_case(folder: Path, config: dict, fast: dict, vocabulary: list[str]) -> bool:
    said = _option("do_lower_case", "lowercase", config, fast, None)
    if said is None:
        said = _read_json(folder / "bert_config.json").get("do_lower_case")
    if said is not None:
        return bool(said)
    words = re.split(r"[^a-z]+", folder.resolve().name.lower())
    if "uncased" in words or "cased" in words:
        return "uncased" in words
    return not looks_cased(vocabulary)


def _max_length(config: dict) -> int | None:
    length = config.get("model_max_length")
    return int(length) if isinstance(length, int | float) and 0 < length < _NO_LIMIT else None


def _special_tokens(folder: Path, config: dict, fast: dict) -> dict[str, str]:
    """Names of special tokens where they differ from BERT's; a name may be {"content": name}."""
    specials = {**_read_json(folder / "special_tokens_map.json"), **config}
    names = {"unk_token": _section(fast, "model").get("unk_token")}
    for key in _SPECIAL_TOKENS:
        name = specials.get(key)
        names[key] = name["content"] if isinstance(name, dict) else name or names.get(key)
    return {key: name for key, name in names.items() if name}


def _section(content: dict, name: str) -> dict:
    section = content.get(name)
    return section if isinstance(section, dict) else {}
