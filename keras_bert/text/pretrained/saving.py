"""Tokenizers as Hugging Face's files: what all kinds have in common.

    tokenizer ─► its kind's `contents` ─┬► tokenizer.json            normalizer, ..., model
                 special, added tokens ─┼► tokenizer_config.json     options, names, lengths
                 layout of rows ────────┴► special_tokens_map.json, and the kind's classic files

`tokenizer.json` says all there is to say, and `tokenizer_config.json` names the class that takes it
as it is. The classes that are named after models (`BertTokenizer`, `AlbertTokenizer`) build a
tokenizer anew in `transformers` 5, with what is theirs: words of 101 characters are unknown, the
unknown token has the id 1. They read the folder too, with these differences.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from keras_bert.text.added_tokens import AddedToken
from keras_bert.text.packing import CLASS_LAST_TYPE
from keras_bert.text.pretrained.folder import NO_LIMIT, Contents
from keras_bert.text.pretrained.loading import KINDS
from keras_bert.text.pretrained.replacing import replace_files
from keras_bert.text.tokenizer import SPECIAL_TOKENS, Tokenizer

__all__ = ["save_tokenizer"]

# Which takes tokenizer.json as it is, in `transformers` 4 and 5, whatever model is beside it.
_CLASS = "PreTrainedTokenizerFast"
_FAST, _CONFIG, _SPECIALS = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
# All that a tokenizer's folder may hold: what is not written must not stay from another one.
_FILES = (
    _FAST,
    _CONFIG,
    _SPECIALS,
    "added_tokens.json",
    *(f for kind in KINDS for f in kind.FILES),
)


def save_tokenizer(
    tokenizer: Tokenizer,
    folder: str | os.PathLike,
    model_max_length: int | None = None,
    segment_types: bool = True,
) -> None:
    """Writes a tokenizer; see `Tokenizer.save_pretrained`."""
    kind = next((kind for kind in KINDS if isinstance(tokenizer, kind.KIND)), None)
    if kind is None:
        names = ", ".join(kind.KIND.__name__ for kind in KINDS)
        raise TypeError(
            f"A {type(tokenizer).__name__} has no form among Hugging Face's files. Expected one "
            f"of {names}."
        )
    if model_max_length is None:
        model_max_length = tokenizer.model_max_length
    elif model_max_length < 1:
        raise ValueError(f"model_max_length={model_max_length}. Expected at least 1, or None.")
    gives_types = tokenizer.segment_types and segment_types
    contents = kind.contents(tokenizer)
    added = _added_tokens(tokenizer)
    objects = {
        _FAST: _fast(tokenizer, contents, added),
        _CONFIG: _config(tokenizer, contents, added, model_max_length, gives_types),
        _SPECIALS: _special_tokens_map(tokenizer, contents, added),
    }
    files = {name: _as_json(content) for name, content in objects.items()}
    replace_files(folder, {**contents.files, **files}, obsolete=_FILES)


def _added_tokens(tokenizer: Tokenizer) -> dict[int, AddedToken]:
    """All that text is searched for, special tokens too, by their ids."""
    ids = {token: index for index, token in enumerate(tokenizer.vocabulary)}
    tokens = {token.content: token for token in tokenizer.implied_tokens()}
    tokens |= {token.content: token for token in tokenizer.added_tokens}
    found = {ids[content]: token for content, token in tokens.items() if content in ids}
    return dict(sorted(found.items()))


def _special_names(tokenizer: Tokenizer, contents: Contents) -> dict[str, str]:
    """{"cls_token": "[CLS]", ...}, without a mask token that the vocabulary lacks."""
    names = {name: getattr(tokenizer, name) for name in SPECIAL_TOKENS}
    if tokenizer.mask_id is None:
        del names["mask_token"]
    return names | {name: contents.options[name] for name in _MORE_NAMES & set(contents.options)}


# What some classes call their first and last token, too.
_MORE_NAMES = frozenset(["bos_token", "eos_token"])


def _more_special(tokenizer: Tokenizer, added: dict[int, AddedToken]) -> list[str]:
    named = {getattr(tokenizer, name) for name in SPECIAL_TOKENS}
    return [t.content for t in added.values() if t.special and t.content not in named]


# --- tokenizer.json ------------------------------------------------------------------------------


def _fast(tokenizer: Tokenizer, contents: Contents, added: dict[int, AddedToken]) -> dict[str, Any]:
    sections = dict(contents.sections)
    steps = [sections.pop("post_processor", None), _template(tokenizer)]
    processor = {"type": "Sequence", "processors": steps} if steps[0] else steps[1]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, **dataclasses.asdict(token)} for i, token in added.items()],
        "normalizer": sections["normalizer"],
        "pre_tokenizer": sections["pre_tokenizer"],
        "post_processor": processor,
        "decoder": sections["decoder"],
        "model": sections["model"],
    }


def _template(tokenizer: Tokenizer) -> dict[str, Any]:
    """How rows of one and of two segments are laid out."""

    def special(token: str, type_id: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": type_id}}

    cls, sep, second = tokenizer.cls_token, tokenizer.sep_token, int(tokenizer.segment_types)
    begin, end = [special(cls)], []
    if tokenizer.class_last:
        begin, end = [], [special(cls, CLASS_LAST_TYPE)]
    first = [*begin, {"Sequence": {"id": "A", "type_id": 0}}]
    between = [special(sep)] * tokenizer.separators_between
    last = [{"Sequence": {"id": "B", "type_id": second}}, special(sep, second)]
    ids = {cls: tokenizer.cls_id, sep: tokenizer.sep_id}
    return {
        "type": "TemplateProcessing",
        "single": [*first, special(sep), *end],
        "pair": [*first, *between, *last, *end],
        "special_tokens": {
            token: {"id": token, "ids": [index], "tokens": [token]} for token, index in ids.items()
        },
    }


# --- the other files -----------------------------------------------------------------------------


def _config(
    tokenizer: Tokenizer,
    contents: Contents,
    added: dict[int, AddedToken],
    model_max_length: int | None,
    gives_types: bool,
) -> dict[str, Any]:
    types = ["token_type_ids"] if gives_types else []
    config = {
        **contents.options,
        **_special_names(tokenizer, contents),
        "added_tokens_decoder": {str(i): dataclasses.asdict(t) for i, t in added.items()},
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", *types, "attention_mask"],
        "model_max_length": model_max_length or NO_LIMIT,
        "padding_side": "left" if tokenizer.class_last else "right",
        "tokenizer_class": _CLASS,
        "truncation_side": "right",
    }
    more = _more_special(tokenizer, added)
    if more:
        config["additional_special_tokens"] = more
    return dict(sorted(config.items()))


def _special_tokens_map(
    tokenizer: Tokenizer, contents: Contents, added: dict[int, AddedToken]
) -> dict[str, Any]:
    entries = {token.content: dataclasses.asdict(token) for token in added.values()}
    for entry in entries.values():
        del entry["special"]  # all of them are
    names = _special_names(tokenizer, contents)
    specials = {name: entries[token] for name, token in sorted(names.items())}
    more = [entries[token] for token in _more_special(tokenizer, added)]
    return {**specials, "additional_special_tokens": more} if more else specials


def _as_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8")
