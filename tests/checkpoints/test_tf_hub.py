"""SavedModels of TF Hub: what is read of them, and damaged ones."""

import shutil
import tarfile
from pathlib import Path

import pytest
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "tf_hub"


@pytest.fixture
def folder(tmp_path):
    with tarfile.open(FIXTURES / "encoder.tar.xz") as archive:
        archive.extractall(tmp_path / "4", filter="data")
    return tmp_path / "4"


def edit(folder, change):
    """Writes the SavedModel's graph anew."""
    path = folder / "saved_model.pb"
    content = SavedModel.FromString(path.read_bytes())
    change(content.meta_graphs[0])
    path.write_bytes(content.SerializeToString())


def rename_ops(before, after):
    def change(graph):
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                node.op = after if node.op == before else node.op

    return change


def test_config_is_read(folder):
    config = kb.EncoderConfig.from_pretrained(str(folder))
    assert (config.hidden_size, config.num_layers, config.num_attention_heads) == (24, 2, 2)
    assert (config.type_vocab_size, config.hidden_activation) == (3, "gelu_tanh")


@pytest.mark.parametrize(("op", "activation"), [("Erf", "gelu"), ("Relu", "relu")])
def test_activation_is_that_of_the_graph(folder, op, activation):
    edit(folder, rename_ops("Pow", op))
    assert kb.EncoderConfig.from_pretrained(str(folder)).hidden_activation == activation


@pytest.mark.parametrize(
    ("before", "after", "found"), [("Pow", "Mul", "none"), ("Mul", "Relu", "gelu_tanh and relu")]
)
def test_activation_that_is_not_known(folder, before, after, found):
    edit(folder, rename_ops(before, after))
    with pytest.raises(kb.CheckpointError, match=f"does not tell its activation.*{found}"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_pre_normalisation_is_refused(folder):
    path = folder / "keras_metadata.pb"
    content = path.read_bytes()
    assert b'"norm_first": false' in content
    path.write_bytes(content.replace(b'"norm_first": false', b'"norm_first": true '))
    with pytest.raises(kb.CheckpointError, match='"norm_first": true'):
        kb.BertEncoder.from_pretrained(str(folder))


def test_what_is_left_out_is_reported(folder):
    checkpoint = open_checkpoint(str(folder))
    report = checkpoint.load(checkpoint.make_encoder(), {})
    assert report.ignored == {"do_lower_case": "how to split text, not a weight"}


def test_is_inspected(folder):
    found = kb.checkpoints.inspect(str(folder))
    assert (found.format, found.family, found.heads) == ("TF Hub", "bert", [])
    assert found.tokenizer == "WordPieceTokenizer, 61 tokens"


def test_vocabulary_under_another_name(folder):
    (folder / "assets" / "vocab.txt").rename(folder / "assets" / "vocab_2.txt")

    def change(graph):
        graph.asset_file_def[0].filename = "vocab_2.txt"

    edit(folder, change)
    assert open_checkpoint(str(folder)).tokenizer().vocabulary_size == 61


@pytest.mark.parametrize("name", ["../../vocab.txt", "/etc/passwd", ""])
def test_vocabulary_outside_its_folder(folder, name):
    def change(graph):
        graph.asset_file_def[0].filename = name

    edit(folder, change)
    with pytest.raises((kb.CheckpointError, FileNotFoundError)):
        open_checkpoint(str(folder)).tokenizer()


def test_without_vocabulary(folder):
    edit(folder, lambda graph: graph.object_graph_def.nodes[0].ClearField("children"))
    with pytest.raises(FileNotFoundError, match="has no WordPiece vocabulary"):
        open_checkpoint(str(folder)).tokenizer()


@pytest.mark.parametrize("content", [b"", b"\xff" * 100])
def test_damaged_graph(folder, content):
    (folder / "saved_model.pb").write_bytes(content)
    with pytest.raises(kb.CheckpointError, match="saved_model.pb"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_without_variables(folder):
    shutil.rmtree(folder / "variables")
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_truncated_variables(folder):
    (path,) = (folder / "variables").glob("*.data-*")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))
