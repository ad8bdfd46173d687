"""Byte-level byte-pair tokenizers: `tokenizer.json`, or `vocab.json` and `merges.txt`."""

from __future__ import annotations

import json
from typing import Any

from keras_bert.text.byte_pair.model import absent_bytes, read_merges
from keras_bert.text.byte_pair.tokenizer import BytePairTokenizer, read_token_ids
from keras_bert.text.pretrained.folder import Contents, TokenizerFolder, ids_of

__all__ = ["FILES", "KIND", "contents", "load", "recognises"]

#: What is read and written here.
KIND = BytePairTokenizer
_VOCABULARY, _MERGES = FILES = ("vocab.json", "merges.txt")
# Options of the model in tokenizer.json, and the values that change nothing here: what is written,
# what else is read.
_MODEL_OPTIONS = {
    "dropout": (None, 0, 0.0),
    "continuing_subword_prefix": ("", None),
    "end_of_word_suffix": ("", None),
    "byte_fallback": (False, None),
    "ignore_merges": (False, None),
}
# Classes with one separator between segments, where no tokenizer.json says it.
_ONE_SEPARATOR = frozenset(["DebertaTokenizer"])


def recognises(folder: TokenizerFolder) -> bool:
    """Whether the folder holds merges."""
    if folder.fast:
        # Old files do not name the model's type.
        return folder.model_type == "BPE" or "merges" in folder.section("model")
    return all(map(folder.has, FILES))


def load(folder: TokenizerFolder, **options: Any) -> BytePairTokenizer:
    """Reads the tokenizer.

    Args:
        folder: the files.
        **options: arguments of the tokenizer that are not the folder's to say.

    Raises:
        ValueError: a file cannot be read as what it should be, or asks for what is not supported.
    """
    ids, merges = _model(folder)
    steps = folder.steps("pre_tokenizer")
    _check_pre_tokenizer(folder, steps)
    one_separator = folder.class_name in _ONE_SEPARATOR
    separators, _ = folder.layout_of_pairs() or (1 if one_separator else 2, one_separator)
    config = folder.config
    vocabulary = _in_order(folder, ids)
    return BytePairTokenizer(
        vocabulary,
        merges,
        # tokenizer_config.json wins over tokenizer.json, as in `transformers`.
        add_prefix_space=bool(
            config.get("add_prefix_space", bool(steps) and steps[0].get("add_prefix_space", False))
        ),
        trim_offsets=_trims_offsets(folder),
        normalization=_normalization(folder),
        model_max_length=folder.model_max_length,
        separators_between=separators,
        segment_types="token_type_ids" in config.get("model_input_names", ()) or one_separator,
        added_tokens=folder.added_tokens(vocabulary),
        **folder.special_tokens(),
        **options,
    )


def contents(tokenizer: BytePairTokenizer) -> Contents:
    """What the tokenizer's files hold.

    Raises:
        ValueError: bytes are unknown, and the unknown token is only an added one.
    """
    ids = ids_of(tokenizer.model_vocabulary)
    absent = absent_bytes(ids)
    if absent and tokenizer.unk_token not in ids:
        raise ValueError(
            f"unk_token={tokenizer.unk_token!r} is only an added token, and {len(absent)} bytes "
            "are unknown. Hugging Face's tokenizers need it in the vocabulary."
        )
    spaces = {"add_prefix_space": tokenizer.add_prefix_space}
    trims = {"trim_offsets": tokenizer.trim_offsets}
    byte_level = {"type": "ByteLevel", **spaces, **trims, "use_regex": True}
    sections = {
        "normalizer": {"type": tokenizer.normalization} if tokenizer.normalization else None,
        "pre_tokenizer": byte_level,
        # Alone it only trims spans; rows are laid out by what follows it.
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            **{name: values[0] for name, values in _MODEL_OPTIONS.items()},
            "unk_token": tokenizer.unk_token if absent else None,
            "fuse_unk": False,
            "vocab": ids,
            "merges": tokenizer.merges,
        },
    }
    names = {"bos_token": tokenizer.cls_token, "eos_token": tokenizer.sep_token}
    files = {
        _VOCABULARY: json.dumps(ids, ensure_ascii=False).encode("utf-8"),
        _MERGES: "\n".join(["#version: 0.2", *tokenizer.merges, ""]).encode("utf-8"),
    }
    return Contents(sections, {**spaces, **trims, **names}, files)


def _model(folder: TokenizerFolder) -> tuple[dict[str, int], list]:
    model, path = folder.section("model"), str(folder.path)
    if folder.fast:
        ids, merges = model.get("vocab"), model.get("merges")
        if not isinstance(ids, dict) or not ids or not isinstance(merges, list):
            raise ValueError(
                f"tokenizer.json in {path!r} has no model.vocab or no model.merges. Expected a "
                "dict of tokens and a list of merges."
            )
    else:
        ids = read_token_ids(folder.path / _VOCABULARY)
        merges = read_merges(folder.path / _MERGES)
    for option, harmless in _MODEL_OPTIONS.items():
        if model.get(option) not in harmless:
            raise ValueError(
                f"The byte-pair model in {path!r}/tokenizer.json has {option}={model[option]!r}, "
                f"which is not supported. Expected {harmless[0]!r}."
            )
    absent = absent_bytes(ids)
    if absent and (model.get("unk_token") is None or model.get("fuse_unk")):
        raise ValueError(
            f"The vocabulary in {path!r} has no token for {len(absent)} of the 256 bytes, such as "
            f"{bytes(absent[:1])!r}. Expected a byte-level vocabulary, as GPT-2 and RoBERTa have "
            "it, with every byte."
        )
    return ids, merges


def _in_order(folder: TokenizerFolder, ids: dict[str, int]) -> list[str]:
    """The model's tokens in the order of their ids, with added ones where these are between."""
    tokens = {index: entry["content"] for index, entry in folder.added_entries().items()}
    tokens |= {index: token for token, index in ids.items()}
    if sorted(tokens) != list(range(len(tokens))):
        missing = next(index for index in range(len(tokens)) if index not in tokens)
        raise ValueError(
            f"No token in {str(folder.path)!r} has the id {missing}, although ids go up to "
            f"{max(tokens)}. Expected ids from 0 on without gaps."
        )
    return [tokens[index] for index in range(max(ids.values()) + 1)]


def _check_pre_tokenizer(folder: TokenizerFolder, steps: list[dict[str, Any]]) -> None:
    if not folder.fast:
        return
    if len(steps) == 1 and steps[0].get("type") == "ByteLevel" and steps[0].get("use_regex", True):
        return
    patterns = [step["pattern"] for step in steps if "pattern" in step]
    splitting = f" with the pattern {patterns[0]!r}" if patterns else ""
    names = [step.get("type") for step in steps]
    raise ValueError(
        f"tokenizer.json in {str(folder.path)!r} splits text by {names}{splitting}. Supported is "
        "ByteLevel alone with use_regex=true, which is GPT-2's and RoBERTa's pattern."
    )


def _normalization(folder: TokenizerFolder) -> str | None:
    names = [step.get("type") for step in folder.steps("normalizer")]
    if names not in ([], ["NFC"]):
        raise ValueError(
            f"tokenizer.json in {str(folder.path)!r} normalises text by {names}. Supported are "
            "NFC and nothing."
        )
    return "NFC" if names else None


def _trims_offsets(folder: TokenizerFolder) -> bool:
    """Whether spans leave out the space before a word; only a post-processor sees to that."""
    steps = folder.steps("post_processor")
    said = [step["trim_offsets"] for step in steps if "trim_offsets" in step]
    # RoBERTa's does if it does not say; so does the class that puts one where there is none.
    return bool(said[-1]) if said else not steps or steps[0].get("type") == "RobertaProcessing"
