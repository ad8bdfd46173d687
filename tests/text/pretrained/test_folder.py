import json

import pytest

from keras_bert.text import AddedToken
from keras_bert.text.pretrained.folder import TokenizerFolder

VOCABULARY = ["[PAD]", "[UNK]", "[MASK]", "word", "[unused1]"]


def folder_of(path, **files):
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return TokenizerFolder(path)


def test_added_tokens_of_every_file(tmp_path):
    files = folder_of(
        tmp_path,
        added_tokens={"<a>": 5, "<b>": 6, "<c>": 7},
        tokenizer={
            "added_tokens": [
                {"id": 2, "content": "[MASK]", "special": True},
                {"id": 6, "content": "<b>", "lstrip": True, "normalized": False},
                {"id": 7, "content": "<c>", "lstrip": True},
            ]
        },
        tokenizer_config={
            "added_tokens_decoder": {"7": {"content": "<c>", "rstrip": True, "special": False}},
            "mask_token": {"content": "[MASK]", "lstrip": True},
            "pad_token": "[PAD]",
            "bos_token": "<bos>",
        },
        special_tokens_map={"additional_special_tokens": ["<a>", "[unused1]"]},
    )
    tokens = {token.content: token for token in files.added_tokens(VOCABULARY)}
    assert list(tokens)[:4] == ["[MASK]", "<a>", "<b>", "<c>"]  # by id
    assert tokens == {
        "[MASK]": AddedToken("[MASK]", lstrip=True, special=True),
        "<a>": AddedToken("<a>", special=True),
        "<b>": AddedToken("<b>", lstrip=True, normalized=False),
        "<c>": AddedToken("<c>", rstrip=True),
        "[unused1]": AddedToken("[unused1]", special=True),
        "[PAD]": AddedToken("[PAD]", special=True),
    }


def test_no_added_tokens(tmp_path):
    assert TokenizerFolder(tmp_path).added_tokens(VOCABULARY) == []


def test_ids_with_a_gap(tmp_path):
    files = folder_of(tmp_path, added_tokens={"<a>": 5, "<b>": 7})
    with pytest.raises(ValueError, match=r"are \[5, 7\]. Expected 5 to 6, behind the vocab"):
        files.added_tokens(VOCABULARY)
