"""The files of a Hugging Face tokenizer, and what they say whatever the kind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["TokenizerFolder", "read_json"]

_SPECIAL_TOKENS = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
# Hugging Face writes int(1e30) where there is no limit.
_NO_LIMIT = 1_000_000


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
        return int(length) if isinstance(length, int | float) and 0 < length < _NO_LIMIT else None

    def has(self, name: str) -> bool:
        """Whether the folder holds a file of this name."""
        return (self.path / name).is_file()

    def section(self, name: str) -> dict[str, Any]:
        """An object in `tokenizer.json`, such as "model"; {} where it has none."""
        section = self.fast.get(name)
        return section if isinstance(section, dict) else {}

    def special_tokens(self) -> dict[str, str]:
        """Names of the special tokens that the folder names: {"cls_token": "[CLS]", ...}."""
        specials = {**read_json(self.path / "special_tokens_map.json"), **self.config}
        names = {"unk_token": self.section("model").get("unk_token")}
        for key in _SPECIAL_TOKENS:
            name = specials.get(key)
            # A name may be {"content": name}.
            names[key] = name["content"] if isinstance(name, dict) else name or names.get(key)
        return {key: name for key, name in names.items() if name}


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
