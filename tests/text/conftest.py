"""Tokenizers over the vocabularies in tests/fixtures/text, each made once."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "text"

# name -> lower_case
VOCABULARIES = {"uncased": True, "zh": True, "mcased": False}

# A vocabulary to read by eye.
SMALL = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the card is lost where ##s un ##aff ##able a b c ##a ##b ##c "
    "? . , ' - é 中 国 ß ς ##ς σ ##σ ο ##ο 1 ##2"
).split()


def read_tokens(name):
    """The tokens of a fixture's vocabulary, in the order of their ids."""
    text = lzma.open(FOLDER / f"{name}_vocab.txt.xz").read().decode("utf-8")
    tokens = [line.strip() for line in text.removesuffix("\n").split("\n")]
    if name == "zh":  # see SOURCE.md
        assert tokens[1:4] == ["[unused1]", "[unused2]", "[unused3]"]
        tokens[1:4] = "“”…"
    return tokens


def read_golden(name):
    """(group, string as bytes, ids) of a fixture's reference ids."""
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            yield row["g"], row["s"].encode("utf-8", "surrogatepass"), row["ids"]


@pytest.fixture(scope="session")
def tokenizers():
    """Name of a vocabulary -> its tokenizer."""
    from keras_bert.text import WordPieceTokenizer

    return {
        name: WordPieceTokenizer(read_tokens(name), lower_case=lower_case)
        for name, lower_case in VOCABULARIES.items()
    }


@pytest.fixture(scope="session")
def small():
    """A tokenizer over SMALL."""
    from keras_bert.text import WordPieceTokenizer

    return WordPieceTokenizer(SMALL, model_max_length=16)


@pytest.fixture(scope="session")
def spiece_folders(tmp_path_factory):
    """Name -> folder with nothing but the model file of tests/fixtures/text/sentencepiece."""
    files = {"albert": "spiece.model", "xlmr": "sentencepiece.bpe.model"}
    folders = {}
    for name, file in {**files, "ja": "sentencepiece.bpe.model"}.items():
        folders[name] = tmp_path_factory.mktemp(name)
        content = lzma.open(FOLDER / "sentencepiece" / f"{name}.model.xz").read()
        (folders[name] / file).write_bytes(content)
    return folders


@pytest.fixture(scope="session")
def spieces(spiece_folders):
    """Name -> the tokenizer in its folder."""
    from keras_bert.text import Tokenizer

    return {name: Tokenizer.from_pretrained(path) for name, path in spiece_folders.items()}
