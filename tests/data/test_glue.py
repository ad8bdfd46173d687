"""GLUE's own files: the headers are those of its archive, the rows are made up."""

import pytest

from keras_bert.data.examples import SourceError
from keras_bert.data.glue import GLUE, find_glue, glue_name, read_glue
from keras_bert.data.reading import read_dataset

PARSES = "sentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse"
MNLI = f"index\tpromptID\tpairID\tgenre\t{PARSES}\tsentence1\tsentence2"
ROW = "0\t1\t1n\tgov\t(\t(\t(\t(\t"
BOTH = "\tentailment\tentailment"
#: Folder, file → its lines.
ARCHIVE = {
    "CoLA/train.tsv": ["gj04\t1\t\tShe sang.", 'gj04\t0\t*\tSang "she the.'],
    "CoLA/dev.tsv": ["gj04\t1\t\tIt rains."],
    "CoLA/test.tsv": ["index\tsentence", "0\tWho came?"],
    "SST-2/train.tsv": ["sentence\tlabel", "hide new secretions \t0", "a good film \t1"],
    "SST-2/test.tsv": ["index\tsentence", "0\tuneasy ."],
    "MRPC/msr_paraphrase_train.txt": [
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        '1\t702\t703\tHe said "so.\tHe said so.',
    ],
    "MRPC/test.tsv": ["index\t#1 ID\t#2 ID\t#1 String\t#2 String", "0\t1\t2\tA.\tB."],
    "QQP/train.tsv": [
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        "133\t2\t3\tWho?\tWhy?\t0",
        "134\t4\t5\tHow so",
    ],
    "STS-B/train.tsv": [
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
        "0\tmain\tMSRvid\t2012\t0001\tnone\tnone\tA plane.\tAn air plane.\t5.000",
    ],
    "MNLI/train.tsv": [f"{MNLI}\tlabel1\tgold_label", f"{ROW}It rains.\tIt is wet.{BOTH}"],
    "MNLI/dev_matched.tsv": [
        f"{MNLI}\tlabel1\tlabel2\tgold_label",
        f"{ROW}A.\tB.\tneutral\tneutral\tneutral",
        f"{ROW}C.\tD.\tneutral\tentailment\t-",
    ],
    "MNLI/dev_mismatched.tsv": [f"{MNLI}\tlabel1\tgold_label", f"{ROW}E.\tF.{BOTH}"],
    "MNLI/test_matched.tsv": [MNLI, f"{ROW}G.\tH."],
    "QNLI/dev.tsv": ["index\tquestion\tsentence\tlabel", "0\tWho?\tTom.\tnot_entailment"],
    "RTE/dev.tsv": ["index\tsentence1\tsentence2\tlabel", "0\tA.\tB.\tentailment"],
    "WNLI/dev.tsv": ["index\tsentence1\tsentence2\tlabel", "0\tA.\tB.\t1"],
    "diagnostic/diagnostic.tsv": ["index\tsentence1\tsentence2", "0\tA cat.\tNo cat."],
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("glue_data")
    for name, lines in ARCHIVE.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("task", "split", "texts", "labels"),
    [
        ("cola", "train", ["She sang.", 'Sang "she the.'], ["acceptable", "unacceptable"]),
        ("cola", "dev", ["It rains."], ["acceptable"]),
        ("cola", "test", ["Who came?"], None),
        ("sst2", "train", ["hide new secretions ", "a good film "], ["negative", "positive"]),
        ("sst2", "test", ["uneasy ."], None),
        ("mrpc", "train", [('He said "so.', "He said so.")], ["equivalent"]),
        ("mrpc", "test", [("A.", "B.")], None),
        ("stsb", "train", [("A plane.", "An air plane.")], [5.0]),
        ("mnli", "train", [("It rains.", "It is wet.")], ["entailment"]),
        ("mnli", "validation", [("A.", "B.")], ["neutral"]),
        ("mnli", "validation_mismatched", [("E.", "F.")], ["entailment"]),
        ("mnli_mismatched", "dev", [("E.", "F.")], ["entailment"]),
        ("mnli_matched", "test", [("G.", "H.")], None),
        ("qnli", "dev", [("Who?", "Tom.")], ["not_entailment"]),
        ("rte", "dev", [("A.", "B.")], ["entailment"]),
        ("wnli", "dev", [("A.", "B.")], ["entailment"]),
        ("ax", "test", [("A cat.", "No cat.")], None),
    ],
)
def test_tasks(archive, task, split, texts, labels):
    examples = read_dataset(f"glue/{task}", split, data_dir=archive)
    assert (examples.texts, examples.labels) == (texts, labels)
    assert examples.label_names == (list(GLUE[task].labels) if labels else [])
    folder = find_glue(task, archive)
    if not task.startswith("mnli_"):
        assert read_dataset(folder, split) == examples


def test_rows_without_gold_label_are_counted(archive):
    examples = read_dataset(archive / "MNLI", "validation_matched")
    assert examples.unlabelled == [3]
    assert "1 row without gold label left out" in examples.describe()


def test_broken_rows(archive):
    with pytest.raises(SourceError, match=r"train\.tsv, line 3: 6 columns .* expected, 4 found"):
        read_dataset(archive / "QQP", "train")
    examples = read_dataset(archive / "QQP", "train", skip_bad_rows=True)
    assert (examples.texts, examples.labels) == ([("Who?", "Why?")], ["not_duplicate"])
    assert len(examples.skipped) == 1


def test_labels_asked_for(archive):
    assert read_glue("sst2", archive / "SST-2", "train", with_labels=False).labels is None
    with pytest.raises(SourceError, match="no label column 'label'; test data"):
        read_glue("sst2", archive / "SST-2", "test", with_labels=True)
    with pytest.raises(SourceError, match="several splits"):
        read_glue("sst2", archive / "SST-2")


def test_files_of_something_else(tmp_path):
    folder = tmp_path / "RTE"
    folder.mkdir()
    (folder / "dev.tsv").write_text("one\ttwo\n")
    with pytest.raises(
        SourceError, match="there is no header line; RTE has 'sentence1', 'sentence"
    ):
        read_glue("rte", folder)
    (folder / "dev.tsv").write_text("index\tsentence1\n0\tA.\n")
    with pytest.raises(SourceError, match="the columns are 'index', 'sentence1'; RTE has"):
        read_glue("rte", folder)
    (folder / "dev.tsv").write_text("index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tmaybe\n")
    with pytest.raises(SourceError, match="line 2: unknown label 'maybe'; the model knows 'entail"):
        read_glue("rte", folder)


def test_names():
    spellings = [
        "CoLA",
        "SST-2",
        "STS-B",
        "MNLI-mm",
        "glue/ax",
        "sst",
        "MNLI_matched",
        "diagnostic",
    ]
    assert [glue_name(name) for name in spellings] == [
        "cola",
        "sst2",
        "stsb",
        "mnli_mismatched",
        "ax",
        "sst2",
        "mnli_matched",
        "ax",
    ]
    assert glue_name("imdb") is None


def test_labels_are_those_that_are_scored():
    metrics = pytest.importorskip("keras_bert.metrics.glue")
    assert {name: task.labels for name, task in GLUE.items()} == {
        name: task.labels for name, task in metrics.GLUE.items()
    }
