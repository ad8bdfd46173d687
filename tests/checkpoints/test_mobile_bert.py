"""MobileBERT's checkpoints: what their configs mean, and there and back in both formats."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.checkpoints.huggingface.config import read_config
from keras_bert.checkpoints.huggingface.families import FAMILIES
from keras_bert.checkpoints.safetensors import TensorFiles
from keras_bert.checkpoints.writing import different_fields

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
CASES = sorted(path.parent for path in FIXTURES.glob("mobile_bert/*/model.safetensors"))
OF_GOOGLE = sorted(path.parent for path in FIXTURES.glob("google/mobilebert*/*.index"))
#: Case → what its config has no use for: parts of names that are not written again, as
#: ``transformers`` does without them; and of those that are written as zeros, as it does not.
IDLE = {
    "masked_lm": ((), ("embedding_transformation",)),
    "masked_lm_untied": ((".bottleneck.attention.", "cls.predictions.bias"), ()),
    "span_labeler": ((".bottleneck.attention.",), ()),
}

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(FIXTURES / "mobile_bert" / "pretraining", tmp_path / "folder")
    return tmp_path / "folder"


def edit_config(folder, name="config.json", **fields):
    config = {**json.loads((folder / name).read_text()), **fields}
    (folder / name).write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def tensors_of(folder):
    files = TensorFiles([str(folder / "model.safetensors")])
    return {name: files.read(name) for name in files}


def test_defaults_are_those_of_transformers():
    assert read_config(
        "config.json", {}, FAMILIES["mobilebert"], has_pooler=True
    ) == kb.EncoderConfig(
        hidden_size=512,
        num_layers=24,
        num_attention_heads=4,
        intermediate_size=512,
        hidden_activation="relu",
        dropout_rate=0.0,
        embedding_size=128,
        embedding_projection="trigrams",
        normalization="no_norm",
        num_feedforward_networks=4,
        bottleneck_size=128,
        bottleneck_attention="query_key",
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"use_bottleneck": False}, {"bottleneck_size": None, "bottleneck_attention": "none"}),
        ({"use_bottleneck_attention": True}, {"bottleneck_attention": "all"}),
        ({"key_query_shared_bottleneck": False}, {"bottleneck_attention": "none"}),
        ({"trigram_input": False}, {"embedding_projection": "words", "embedding_size": 8}),
        ({"trigram_input": False, "embedding_size": 24}, {"embedding_size": None}),
        # What transformers leaves out when it makes two of its LayerNorms.
        ({"normalization_type": "layer_norm"}, {"output_norm_epsilon": 1e-5}),
        ({"layer_norm_eps": 1e-3}, {"layer_norm_epsilon": 1e-3, "output_norm_epsilon": None}),
    ],
)
def test_structure(folder, fields, expected):
    fields = {**json.loads((folder / "config.json").read_text()), **fields}
    config = read_config("config.json", fields, FAMILIES["mobilebert"], has_pooler=True)
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"normalization_type": "rms_norm"}, "normalization='rms_norm' is unknown"),
        ({"num_feedforward_networks": 0}, "num_feedforward_networks must be a positive"),
        ({"intra_bottleneck_size": 13}, "bottleneck_size=13 is no multiple"),
        ({"num_feedforward_networks": 3}, r"unknown tensor encoder\.layer\.0\.ffn\.2"),
        ({"num_feedforward_networks": 5}, r"missing tensor encoder\.layer\.0\.ffn\.3"),
        ({"intra_bottleneck_size": 14}, "the config says inner_size=14"),
        ({"num_feedforward_networks": 10**6}, "which is more than 1000"),
        ({"normalization_type": 3}, "normalization_type=3; expected"),
        ({"use_bottleneck": "no"}, "use_bottleneck='no'; expected true or false"),
        ({"trigram_input": False}, "embedding_transformation.weight has shape"),
        ({"use_bottleneck": False}, "the config says inner_size=24"),
        # Queries and keys would read what is wider than their matrices.
        ({"key_query_shared_bottleneck": False}, r"query\.weight has shape \[12, 12\]"),
    ],
)
def test_config_that_contradicts(folder, fields, message):
    edit_config(folder, **fields)
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize("source", CASES, ids=lambda path: path.name)
def test_hugging_face_there_and_back(source, tmp_path):
    target = tmp_path / "again"
    report = kb.checkpoints.convert(str(source), str(target))
    assert report.parity["sequence_output"] == 0
    before, after = tensors_of(source), tensors_of(target)
    assert after.keys() <= before.keys()
    dropped, zeroed = IDLE.get(source.name, ((), ()))
    assert before.keys() - after.keys() == {n for n in before if any(d in n for d in dropped)}
    for name, tensor in after.items():
        is_idle = any(z in name for z in zeroed)
        theirs = np.zeros_like(before[name]) if is_idle else before[name]
        np.testing.assert_array_equal(tensor, theirs, err_msg=name)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (source, target)]
    assert configs[0]["architectures"] == configs[1]["architectures"]
    configs = [kb.EncoderConfig.from_pretrained(str(folder)) for folder in (source, target)]
    assert not different_fields(*configs)


def test_a_model_without_the_pooler_is_written(folder, tmp_path):
    model = kb.BertMaskedLM.from_pretrained(str(folder))
    model.save_pretrained(str(tmp_path / "out"))
    again = kb.BertMaskedLM.from_pretrained(str(tmp_path / "out"), verify=True)
    assert again.load_report.parity == {"sequence_output": 0, "masked_lm": 0}


def test_what_transformers_has_no_words_for(tmp_path):
    teacher = str(FIXTURES / "google" / "mobilebert_teacher")
    with pytest.raises(kb.CheckpointError, match="'mobilebert', .* output_norm_epsilon=None"):
        kb.checkpoints.convert(teacher, str(tmp_path / "out"))


def test_google_to_hugging_face_and_back(tmp_path):
    source = str(FIXTURES / "google" / "mobilebert")
    kb.checkpoints.convert(source, str(tmp_path / "hf"))
    report = kb.checkpoints.convert(str(tmp_path / "hf"), str(tmp_path / "tf1"), format="google")
    assert set(report.parity.values()) == {0} and "masked_lm" in report.parity
    readers = [
        tf.train.load_checkpoint(str(Path(folder) / "bert_model.ckpt"))
        for folder in (source, tmp_path / "tf1")
    ]
    names, again = (set(reader.get_variable_to_shape_map()) for reader in readers)
    assert names - again == {name for name in names if "adam" in name} | {"global_step"}
    for name in again:
        np.testing.assert_array_equal(*(reader.get_tensor(name) for reader in readers), name)


@pytest.mark.parametrize("source", OF_GOOGLE, ids=lambda path: path.name)
def test_sizes_come_from_the_variables_where_there_is_no_config(source, tmp_path):
    # Written again, so that each has a config and none has an optimiser's state.
    kb.checkpoints.convert(str(source), str(tmp_path / "with"), format="google")
    said = kb.EncoderConfig.from_pretrained(str(tmp_path / "with")).to_dict()
    (tmp_path / "with" / "mobilebert_config.json").unlink()
    found = kb.EncoderConfig.from_pretrained(str(tmp_path / "with")).to_dict()
    guessed = {"num_attention_heads", "hidden_activation", "dropout_rate"}
    assert {name for name in said if said[name] != found[name]} <= guessed
    assert found["num_attention_heads"] == 4


@pytest.mark.parametrize("said", ["layer_norm", "manual_layer_norm"])
def test_google_config_that_contradicts(said, tmp_path):
    shutil.copytree(FIXTURES / "google" / "mobilebert_classifier", tmp_path / "folder")
    edit_config(tmp_path / "folder", "bert_config.json", normalization_type=said)
    with pytest.raises(kb.CheckpointError, match=f"normalization_type='{said}'; the variables"):
        kb.BertEncoder.from_pretrained(str(tmp_path / "folder"))
