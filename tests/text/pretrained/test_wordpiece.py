import json

import pytest

from keras_bert.text import Tokenizer
from tests.text.conftest import SMALL


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    """A folder with nothing but a vocabulary."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(SMALL) + "\n", encoding="utf-8")
    return folder


def wordpiece_json(tokens=SMALL, **normalizer):
    return {
        "added_tokens": [{"id": 0, "content": "[PAD]", "special": True}],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
            **normalizer,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "vocab": {token: i for i, token in reversed(list(enumerate(tokens)))},
        },
    }


def test_hugging_face_folder(folder):
    write_json(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": False,
            "strip_accents": True,
            "tokenize_chinese_chars": False,
            "model_max_length": 77,
            "tokenizer_class": "BertTokenizerFast",
            "cls_token": {"content": "the", "lstrip": False},
            "sep_token": "card",
        },
    )
    tokenizer = Tokenizer.from_pretrained(str(folder))
    assert tokenizer.vocabulary == SMALL
    assert not tokenizer.lower_case and tokenizer.strip_accents is True
    assert not tokenizer.tokenize_chinese_chars and tokenizer.model_max_length == 77
    assert (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id) == (5, 6, 0)


@pytest.mark.parametrize("length", [int(1e30), 1e30, None, "512", 0])
def test_no_length_limit(folder, length):
    write_json(folder / "tokenizer_config.json", {"model_max_length": length})
    assert Tokenizer.from_pretrained(folder).model_max_length is None


def test_special_tokens_map(folder):
    write_json(folder / "special_tokens_map.json", {"mask_token": {"content": "lost"}})
    assert Tokenizer.from_pretrained(folder).mask_id == SMALL.index("lost")


def test_vocabulary_inside_tokenizer_json(folder):
    (folder / "vocab.txt").unlink()
    write_json(folder / "tokenizer.json", wordpiece_json(lowercase=False, strip_accents=True))
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.vocabulary == SMALL
    assert not tokenizer.lower_case and tokenizer.strip_accents is True
    write_json(folder / "tokenizer_config.json", {"do_lower_case": True})
    assert Tokenizer.from_pretrained(folder).lower_case


def test_tf1_folder_says_its_case(folder):
    assert Tokenizer.from_pretrained(folder).lower_case
    write_json(folder / "bert_config.json", {"do_lower_case": False})
    assert not Tokenizer.from_pretrained(folder).lower_case


@pytest.mark.parametrize(
    "name, lower_case",
    [
        ("uncased_L-12_H-768_A-12", True),
        ("multi_cased_L-12_H-768_A-12", False),
        ("showcased", True),
    ],
)
def test_folder_name_says_its_case(folder, name, lower_case):
    assert Tokenizer.from_pretrained(folder.rename(folder.with_name(name))).lower_case is lower_case


def test_vocabulary_shows_its_case(folder):
    (folder / "vocab.txt").write_text("\n".join([*SMALL, "London"]), encoding="utf-8")
    assert not Tokenizer.from_pretrained(folder).lower_case


def test_added_tokens_have_ids(folder):
    model = wordpiece_json()
    model["added_tokens"].append({"id": len(SMALL), "content": "[USER]", "special": True})
    model["added_tokens"].append({"id": len(SMALL) + 1, "content": "xy", "rstrip": True})
    write_json(folder / "tokenizer.json", model)
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.vocabulary == [*SMALL, "[USER]", "xy"]
    user, xy, mask = len(SMALL), len(SMALL) + 1, SMALL.index("[MASK]")
    found = tokenizer.tokenize("[USER] XY [MASK]").numpy()
    assert xy in found and user not in found and mask not in found
    asked = Tokenizer.from_pretrained(folder, special_tokens_in_text="special")
    assert asked.tokenize("[USER] XY [MASK]").numpy().tolist() == [user, xy, mask]
    write_json(folder / "added_tokens.json", {"[GAP]": len(SMALL) + 7})
    with pytest.raises(ValueError, match="ids of the added tokens"):
        Tokenizer.from_pretrained(folder)


def test_missing_things_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No folder at .*nowhere"):
        Tokenizer.from_pretrained(tmp_path / "nowhere")
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(FileNotFoundError, match=r"No vocab.txt .*Found: \['model.safetensors'\]"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "other.model").touch()
    with pytest.raises(FileNotFoundError, match=r"There is a \*.model"):
        Tokenizer.from_pretrained(tmp_path)


def test_broken_files_are_named(folder):
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer_config.json' is not JSON"):
        Tokenizer.from_pretrained(folder)
    (folder / "tokenizer_config.json").write_text("[]")
    with pytest.raises(ValueError, match="holds a JSON list"):
        Tokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t["model"].update(type="WordLevel"), "of the kind 'WordLevel'"),
        (lambda t: t["model"].update(type="Unigram"), "Expected a list of pieces"),
        (lambda t: t["normalizer"].update(type="NFKC"), "prepares text with NFKC"),
        (lambda t: t.update(pre_tokenizer=None), "and None"),
        (lambda t: t["model"].update(continuing_subword_prefix="@@"), "'@@'"),
        (lambda t: t["model"].update(vocab={"a": 0, "b": 2}), "not 0 to 1"),
        (lambda t: t["model"].update(vocab=None), "no model.vocab"),
    ],
)
def test_other_kinds_are_refused(folder, change, message):
    (folder / "vocab.txt").unlink()
    content = wordpiece_json()
    change(content)
    write_json(folder / "tokenizer.json", content)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", ["RobertaTokenizer", "BertJapaneseTokenizer", "T5TokenizerFast"])
def test_other_classes_are_refused(folder, name):
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": name})
    with pytest.raises(ValueError, match=name):
        Tokenizer.from_pretrained(folder)


def test_tiny_checkpoint(tiny_checkpoint):
    tokenizer = Tokenizer.from_pretrained(tiny_checkpoint)
    assert tokenizer.vocabulary_size == 220
    assert (tokenizer.tokenize("where is my card?").numpy() != tokenizer.unk_id).all()
