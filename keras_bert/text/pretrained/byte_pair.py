"""Byte-level byte-pair tokenizers: `tokenizer.json`, or `vocab.json` and `merges.txt`."""

from __future__ import annotations

from typing import Any

from keras_bert.text.byte_pair.model import absent_bytes, read_merges
from keras_bert.text.byte_pair.tokenizer import BytePairTokenizer, read_token_ids
from keras_bert.text.pretrained.folder import TokenizerFolder

__all__ = ["load", "recognises"]

# Options of the model in tokenizer.json, and the values that change nothing here.
_MODEL_OPTIONS = {
    "dropout": (None, 0, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
    "ignore_merges": (None, False),
}
# What the steps of a sequence are called.
_PARTS = ("normalizers", "pretokenizers", "processors")
# Classes with one separator between segments, where no tokenizer.json says it.
_ONE_SEPARATOR = frozenset(["DebertaTokenizer"])


def recognises(folder: TokenizerFolder) -> bool:
    """Whether the folder holds merges."""
    if folder.fast:
        # Old files do not name the model's type.
        return folder.model_type == "BPE" or "merges" in folder.section("model")
    return folder.has("vocab.json") and folder.has("merges.txt")


def load(folder: TokenizerFolder, **options: Any) -> BytePairTokenizer:
    """Reads the tokenizer.

    Args:
        folder: the files.
        **options: arguments of the tokenizer that are not the folder's to say.

    Raises:
        ValueError: a file cannot be read as what it should be, or asks for what is not supported.
    """
    ids, merges = _model(folder)
    steps = _steps(folder.section("pre_tokenizer"))
    _check_pre_tokenizer(folder, steps)
    separators, trim_offsets = _post_processor(folder)
    config = folder.config
    vocabulary = _with_added_tokens(folder, ids)
    return BytePairTokenizer(
        vocabulary,
        merges,
        # tokenizer_config.json wins over tokenizer.json, as in `transformers`.
        add_prefix_space=bool(
            config.get("add_prefix_space", bool(steps) and steps[0].get("add_prefix_space", False))
        ),
        trim_offsets=trim_offsets,
        normalization=_normalization(folder),
        model_max_length=folder.model_max_length,
        separators_between=separators,
        segment_types="token_type_ids" in config.get("model_input_names", ())
        or folder.class_name in _ONE_SEPARATOR,
        added_tokens=folder.added_tokens(vocabulary),
        **folder.special_tokens(),
        **options,
    )


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
        ids = read_token_ids(folder.path / "vocab.json")
        merges = read_merges(folder.path / "merges.txt")
    for option, harmless in _MODEL_OPTIONS.items():
        if model.get(option) not in harmless:
            raise ValueError(
                f"The byte-pair model in {path!r}/tokenizer.json has {option}={model[option]!r}, "
                f"which is not supported. Expected {harmless[-1]!r}."
            )
    absent = absent_bytes(ids)
    if absent and (model.get("unk_token") is None or model.get("fuse_unk")):
        raise ValueError(
            f"The vocabulary in {path!r} has no token for {len(absent)} of the 256 bytes, such as "
            f"{bytes(absent[:1])!r}. Expected a byte-level vocabulary, as GPT-2 and RoBERTa have "
            "it, with every byte."
        )
    return ids, merges


def _with_added_tokens(folder: TokenizerFolder, ids: dict[str, int]) -> list[str]:
    """The tokens in the order of their ids, those that were added behind the vocabulary too."""
    tokens = {index: entry["content"] for index, entry in folder.added_entries().items()}
    tokens |= {index: token for token, index in ids.items()}
    if sorted(tokens) != list(range(len(tokens))):
        missing = next(index for index in range(len(tokens)) if index not in tokens)
        raise ValueError(
            f"No token in {str(folder.path)!r} has the id {missing}, although ids go up to "
            f"{max(tokens)}. Expected ids from 0 on without gaps."
        )
    return [tokens[index] for index in range(len(tokens))]


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
    names = [step.get("type") for step in _steps(folder.section("normalizer"))]
    if names not in ([], ["NFC"]):
        raise ValueError(
            f"tokenizer.json in {str(folder.path)!r} normalises text by {names}. Supported are "
            "NFC and nothing."
        )
    return "NFC" if names else None


def _post_processor(folder: TokenizerFolder) -> tuple[int, bool]:
    """Separators between two segments, and whether spans leave out the space before a word."""
    separators, trim_offsets = 1 if folder.class_name in _ONE_SEPARATOR else 2, True
    for step in _steps(folder.section("post_processor")):
        trim_offsets = bool(step.get("trim_offsets", trim_offsets))
        if step.get("type") == "RobertaProcessing":
            separators = 2
        elif step.get("type") == "TemplateProcessing":
            parts = [next(iter(part)) for part in step.get("pair", [])]
            if parts.count("Sequence") == 2:
                first = parts.index("Sequence")
                separators = parts.index("Sequence", first + 1) - first - 1
    return separators, trim_offsets


def _steps(section: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a section of tokenizer.json, which may be a sequence of them."""
    if section.get("type") != "Sequence":
        return [section] if section else []
    parts = next((section[name] for name in _PARTS if name in section), [])
    return [inner for step in parts for inner in _steps(step)]
