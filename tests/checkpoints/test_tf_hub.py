"""SavedModels of TF Hub: what is read of them, and damaged ones."""

import dataclasses
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.conversion import load_parts
from keras_bert.checkpoints.tf_hub_writing import write_tf_hub
from keras_bert.checkpoints.writing import new_folder

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


#: Runs where TensorFlow is all there is: what the SavedModel computes, and how it learns.
ALONE = """
import sys
import numpy as np
import tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1])
arrays = dict(np.load(sys.argv[2]))
ids = {n: tf.constant(arrays[n]) for n in ("input_word_ids", "input_mask", "input_type_ids")}
outputs = dict(loaded(ids))
served = loaded.signatures["serving_default"](**ids)
assert set(served) == {"sequence_output", "pooled_output", "default"}
for name in served:
    np.testing.assert_allclose(served[name], outputs[name], atol=1e-5)
outputs["encoder_outputs"] = tf.stack(outputs["encoder_outputs"])
if "masked_lm_positions" in arrays:
    positions = tf.constant(arrays["masked_lm_positions"])
    outputs["masked_lm"] = loaded.mlm({**ids, "masked_lm_positions": positions})["mlm_logits"]
for name in sorted(set(arrays) - {*ids, "masked_lm_positions", "next_sentence"}):
    difference = np.abs(outputs[name] - arrays[name]).max()
    assert difference <= 1e-5, (name, difference)
gradients = []
for training in (False, True):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded(ids, training=training)["pooled_output"] ** 2)
    gradients.append(tape.gradient(loss, loaded.trainable_variables))
assert len(gradients[0]) == len(loaded.variables)
if sys.argv[3] == "0":
    for one, other in zip(*gradients, strict=True):
        one, other = tf.convert_to_tensor(one), tf.convert_to_tensor(other)
        np.testing.assert_allclose(one, other, atol=1e-4)
else:
    first, second = (loaded(ids, training=True)["pooled_output"] for _ in range(2))
    assert np.abs(first - second).max() > 0.01
with open(loaded.vocab_file.asset_path.numpy(), encoding="utf-8") as file:
    assert file.read().split("\\n")[5:7] == ["a", "b"]
assert bool(loaded.do_lower_case) == (sys.argv[4] == "True")
assert not {"keras_bert", "tensorflow_text"} & {n.split(".")[0] for n in sys.modules}
"""


def tensors_of(folder):
    tensors = open_checkpoint(str(folder))._tensors
    return {name: tensors.stored(name) for name in tensors}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dropout"), [("encoder", 0.0), pytest.param("masked_lm", 0.1, marks=pytest.mark.slow)]
)
def test_there_and_back(name, dropout, tmp_path):
    source, arrays = tmp_path / "4", FIXTURES / f"{name}.npz"
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
        archive.extractall(source, filter="data")
    checkpoint = open_checkpoint(str(source))
    checkpoint.config = dataclasses.replace(
        checkpoint.config, dropout_rate=dropout, attention_dropout_rate=dropout
    )
    parts, _ = load_parts(checkpoint)
    with new_folder(str(tmp_path / "again")) as stage:
        write_tf_hub(parts, stage)
    before, after = tensors_of(source), tensors_of(tmp_path / "again")
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(value, after[key], err_msg=key)
    lower_case = str(name == "masked_lm")
    arguments = [tmp_path / "again", arrays, "1" if dropout else "0", lower_case]
    alone = [sys.executable, "-c", ALONE, *arguments]
    subprocess.run(alone, check=True, env={**os.environ, "PYTHONPATH": ""}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("families/roberta", "positions_skip_padding=True"),
        ("encoder/relu", "layer_norm_epsilon=0.001"),
        ("encoder/masked_lm", "have a pooler"),
        ("encoder/silu", "tells its activation by its operations.*not silu"),
    ],
)
def test_what_has_no_place_there(source, message, tmp_path):
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(str(FIXTURES.parent / source)).save_pretrained(
            str(tmp_path / "new"), format="tf_hub"
        )
    assert not list(tmp_path.iterdir())


def test_the_other_form_of_gelu(folder, tmp_path):
    """The graph is what is run, so that either can be written."""
    config = kb.EncoderConfig.from_pretrained(str(folder))
    config = dataclasses.replace(config, hidden_activation="gelu")
    encoder = kb.BertEncoder(config)
    encoder.save_pretrained(str(tmp_path / "new"), format="tf_hub")
    again = kb.BertEncoder.from_pretrained(str(tmp_path / "new"), verify=True)
    assert again.config.hidden_activation == "gelu"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"lower_case": True}, None),
        ({"lower_case": True, "strip_accents": False}, "strip_accents=False:"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ({"lower_case": False}, None),
                ({"lower_case": False, "strip_accents": True}, "strip_accents=True:"),
                (
                    {"lower_case": True, "tokenize_chinese_chars": False},
                    "tokenize_chinese_chars=False:",
                ),
            )
        ),
    ],
)
def test_options_of_the_tokenizer(options, told, folder, tmp_path):
    parts, _ = load_parts(open_checkpoint(str(folder)))
    letters = [letter for first in "aeé中文" for letter in (first, f"##{first}")]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    tokenizer = kb.WordPieceTokenizer(tokens, **options)
    with new_folder(str(tmp_path / "new")) as stage, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_tf_hub(dataclasses.replace(parts, tokenizer=tokenizer, seq_length=11), stage)
    said = [str(w.message) for w in caught if "TF Hub's encoders tell" in str(w.message)]
    assert bool(said) == (told is not None) and all(told in message for message in said)
    again = open_checkpoint(str(tmp_path / "new")).tokenizer()
    texts = ["Éa中文", "EAé"]
    assert again.tokenize(texts).to_list() == tokenizer.tokenize(texts).to_list()
    assert again.model_max_length == 11
