"""The files of a Hugging Face tokenizer, and what they say whatever the kind."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_bert.text.added_tokens import AddedToken
from keras_bert.text.tokenizer import SPECIAL_TOKENS

__all__ = ["NO_LIMIT", "Contents", "TokenizerFolder", "ids_of", "read_json"]

#: What Hugging Face writes as `model_max_length` where there is no limit.
NO_LIMIT = int(1e30)
# Whatever is above this is none.
_LARGEST_LIMIT = 1_000_000
# What the steps of a sequence are called in each section of tokenizer.json.
_PARTS = ("normalizers", "pretokenizers", "processors")


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a kind of tokenizer writes of its own.

    Attributes:
        sections: objects of `tokenizer.json`: "normalizer", "pre_tokenizer", "decoder", "model",
            and "post_processor" where it is more than the layout of rows.
        options: entries of `tokenizer_config.json`.
        files: the kind's classic files, name -> content.
    """

    sections: dict[str, Any]
    options: dict[str, Any]
    files: dict[str, bytes]


class TokenizerFolder:
    """A model's folder as far as its tokenizer goes.

    Args:
        folder: the folder.

    Attributes:
        path: the folder.
        config: content of `tokenizer_config.json`, {} without one.
        fast: content of `tokenizer.json`, {} without one.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a file is not JSON, or not an object.
    """

    def __init__(self, folder: str | os.PathLike):
        self.path = Path(folder)
        if not self.path.is_dir():
            raise FileNotFoundError(
                f"No folder at {str(folder)!r}. Expected a model's folder with vocab.txt or "
                "tokenizer.json in it."
            )
        self.config = read_json(self.path / "tokenizer_config.json")
        self.fast = read_json(self.path / "tokenizer.json")

    @property
    def class_name(self) -> str:
        """The tokenizer's class as `tokenizer_config.json` has it, "Fast" left off."""
        return str(self.config.get("tokenizer_class") or "").removesuffix("Fast")

    @property
    def model_type(self) -> str | None:
        """The algorithm as `tokenizer.json` names it: "WordPiece", "BPE", "Unigram", ..."""
        return self.section("model").get("type")

    @property
    def model_max_length(self) -> int | None:
        """Most tokens that the model takes; None where there is no limit."""
        length = self.config.get("model_max_length")
        return (
            int(length) if isinstance(length, int | float) and 0 < length < _LARGEST_LIMIT else None
        )

    def has(self, name: str) -> bool:
        """Whether the folder holds a file of this name."""
        return (self.path / name).is_file()

    def section(self, name: str) -> dict[str, Any]:
        """An object in `tokenizer.json`, such as "model"; {} where it has none."""
        section = self.fast.get(name)
        return section if isinstance(section, dict) else {}

    def steps(self, name: str) -> list[dict[str, Any]]:
        """The steps of a section of `tokenizer.json`, which may be a sequence of them."""
        return _steps_of(self.section(name))

    def layout_of_pairs(self) -> tuple[int, bool] | None:
        """How `tokenizer.json` lays out two segments; None where it does not say.

        Returns:
            The number of separators between them, and whether type ids tell them apart.
        """
        layout = None
        for step in self.steps("post_processor"):
            if step.get("type") == "RobertaProcessing":
                layout = 2, False
            elif step.get("type") == "TemplateProcessing":
                parts = step.get("pair") or []
                places = [place for place, part in enumerate(parts) if "Sequence" in part]
                if len(places) == 2:
                    first, second = places
                    types = parts[second]["Sequence"].get("type_id", 0) != 0
                    layout = second - first - 1, types
        return layout

    def special_tokens(self) -> dict[str, str]:
        """Names of the special tokens that the folder names: {"cls_token": "[CLS]", ...}."""
        specials = {**read_json(self.path / "special_tokens_map.json"), **self.config}
        names = {"unk_token": self.section("model").get("unk_token")}
        for key in SPECIAL_TOKENS:
            name = specials.get(key)
            # A name may be {"content": name}.
            names[key] = name["content"] if isinstance(name, dict) else name or names.get(key)
        return {key: name for key, name in names.items() if name}

    def added_entries(self) -> dict[int, dict[str, Any]]:
        """What the folder says of each added token, by its id; see `added_tokens`."""
        found = {
            index: {"content": token}
            for token, index in read_json(self.path / "added_tokens.json").items()
        }
        found |= {entry["id"]: entry for entry in self.fast.get("added_tokens") or []}
        decoder = self.config.get("added_tokens_decoder") or {}
        return found | {int(index): entry for index, entry in decoder.items()}

    def added_tokens(self, vocabulary: Sequence[str]) -> list[AddedToken]:
        """The tokens that text is searched for before it is split, in the order of their ids.

        `added_tokens_decoder` of `tokenizer_config.json` wins over `tokenizer.json`, and that over
        `added_tokens.json`, which has no options: there, what is named as a special token is one.
        The options of special tokens may also stand beside their names (`"mask_token": {...}`).

        Args:
            vocabulary: the model's own tokens; ids of tokens that are not among them follow.

        Raises:
            ValueError: ids of added tokens do not follow the vocabulary without a gap.
        """
        size, found = len(vocabulary), self.added_entries()
        beyond = sorted(index for index in found if index >= size)
        if beyond != list(range(size, size + len(beyond))):
            raise ValueError(
                f"The ids of the added tokens in {str(self.path)!r} are {beyond}. Expected "
                f"{size} to {size + len(beyond) - 1}, behind the vocabulary of {size}."
            )
        specials = self._special_entries()
        tokens = {}
        for _, entry in sorted(found.items()):
            entry = {**specials.pop(entry["content"], {}), **entry}
            tokens.setdefault(entry["content"], _added_token(entry))
        # The rest are named and have no id of their own: tokens of the vocabulary, or of no use.
        known = set(vocabulary)
        rest = [entry for entry in specials.values() if entry["content"] in known]
        return [*tokens.values(), *map(_added_token, rest)]

    def _special_entries(self) -> dict[str, dict[str, Any]]:
        """The special tokens that are named somewhere, with the options that stand there."""
        named = {}
        for source in (read_json(self.path / "special_tokens_map.json"), self.config):
            entries = [source.get(key) for key in (*SPECIAL_TOKENS, "bos_token", "eos_token")]
            for key in ("additional_special_tokens", "extra_special_tokens"):
                more = source.get(key) or []
                entries += more.values() if isinstance(more, dict) else more
            for entry in filter(None, entries):
                entry = entry if isinstance(entry, dict) else {"content": entry}
                named[entry["content"]] = {**entry, "special": True}
        return named


def _steps_of(section: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a part of `tokenizer.json`, which may be a sequence of sequences of them."""
    if section.get("type") != "Sequence":
        return [section] if section else []
    parts = next((section[name] for name in _PARTS if name in section), [])
    return [inner for step in parts for inner in _steps_of(step)]


def ids_of(vocabulary: Sequence[str]) -> dict[str, int]:
    """Tokens and their ids, as many as the vocabulary has.

    Of a token that stands twice the last index is the id, and a name that no text gives stands in
    for the others, so that there is no gap, which Hugging Face's tokenizers would close.
    """
    last = {token: index for index, token in enumerate(vocabulary)}
    ids = {}
    for index, token in enumerate(vocabulary):
        while token in ids or last.get(token, index) != index:
            token = f"[{token} {index}]"
        ids[token] = index
    return ids


def _added_token(entry: dict[str, Any]) -> AddedToken:
    names = ("content", "lstrip", "rstrip", "single_word", "normalized", "special")
    return AddedToken(**{name: entry[name] for name in names if name in entry})


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is no file.

    Raises:
        ValueError: the file is not JSON, or not an object.
    """
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
