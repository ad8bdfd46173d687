"""Names of splits, parts of them, and the files they are in."""

import pytest

from keras_bert.data.examples import Examples, SourceError
from keras_bert.data.splits import choose_split, files_of_splits, parse_split


@pytest.mark.parametrize(
    ("split", "kept"),
    [
        (None, "abcdefghij"),
        ("train", "abcdefghij"),
        ("train[:3]", "abc"),
        ("train[8:]", "ij"),
        ("train[-2:]", "ij"),
        ("train[20%:50%]", "cde"),
        ("train[:25%]", "ab"),
        ("[:1]", "a"),
        ("train[:100]", "abcdefghij"),
    ],
)
def test_parts(split, kept):
    examples = Examples(list("abcdefghij"), list("xyxyxyxyxy"), list(range(2, 12)), [], {}, "x.csv")
    part = parse_split(split).part_of(examples)
    assert "".join(part.texts) == kept
    assert (len(part.labels), len(part.rows)) == (len(kept), len(kept))


def test_a_part_without_rows():
    examples = Examples(["a"], ["x"], [2], [], {}, "x.csv")
    with pytest.raises(SourceError, match=r"x\.csv: \[5:\] of 1 rows holds none"):
        parse_split("train[5:]").part_of(examples)


@pytest.mark.parametrize("split", ["", "train[3]", "train[:x]", "train+test", "train[1:2:3]"])
def test_no_splits(split):
    with pytest.raises(ValueError, match="expected a name such as 'train'"):
        parse_split(split)
    with pytest.raises(TypeError, match="split is 5"):
        parse_split(5)


@pytest.mark.parametrize(
    ("asked", "names", "found"),
    [
        ("dev", ["train", "validation"], "validation"),
        ("validation", ["train", "dev"], "dev"),
        ("Train", ["train"], "train"),
        (None, ["anything"], "anything"),
        ("validation", ["validation_matched", "validation_mismatched"], "validation_matched"),
        (
            "dev_mismatched",
            ["validation_matched", "validation_mismatched"],
            "validation_mismatched",
        ),
        ("validation", ["validation_matched", "validation"], "validation"),
        ("test", ["test_matched", "test_mismatched"], "test_matched"),
        ("unsupervised", ["train", "unsupervised"], "unsupervised"),
    ],
)
def test_choose_split(asked, names, found):
    assert choose_split("data", asked, names) == found


def test_splits_that_are_not_there():
    with pytest.raises(SourceError, match="data: there is no split 'test'; there are 'train'"):
        choose_split("data", "test", ["train"])
    with pytest.raises(SourceError, match="several splits: split= one of 'train', 'test'"):
        choose_split("data", None, ["train", "test"])


def test_files_of_splits(tmp_path):
    names = [
        "msr-para-train.tsv",
        "dev.csv",
        "test-00000-of-00002.parquet",
        "test-00001-of-00002.parquet",
        "README.md",
        "other.csv",
        "dev_mismatched.tsv",
        "latest.csv",
    ]
    for name in names:
        (tmp_path / name).touch()
    found = files_of_splits(tmp_path, (".csv", ".tsv", ".parquet"))
    assert {split: [path.name for path in paths] for split, paths in found.items()} == {
        "train": ["msr-para-train.tsv"],
        "validation": ["dev.csv"],
        "validation_mismatched": ["dev_mismatched.tsv"],
        "test": ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"],
    }
