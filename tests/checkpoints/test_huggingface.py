"""Reading Hugging Face folders: what is refused, and how. That it is right: tests/parity."""

import json
import shutil
import sys

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.safetensors import TensorFiles
from tests.checkpoints.test_safetensors import write


@pytest.fixture
def folder(tiny_checkpoint, tmp_path):
    """A copy of the tiny checkpoint that a test may damage."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, copy)
    return copy


def edit_config(folder, **fields):
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def edit_tensors(folder, change):
    files = TensorFiles([str(folder / "model.safetensors")])
    tensors = {name: np.array(files.read(name)) for name in files}
    change(tensors)
    write(folder / "model.safetensors", tensors)


def test_report_says_what_became_of_every_tensor(folder):
    def change(tensors):
        tensors["bert.embeddings.position_ids"] = np.arange(4)
        tensors["cls.predictions.bias"] = np.zeros(4, np.float32)

    edit_tensors(folder, change)
    report = kb.BertClassifier.from_pretrained(str(folder)).load_report
    assert "classifier.weight" in report.loaded
    assert set(report.ignored) == {"embeddings.position_ids", "cls.predictions.bias"}
    assert report.fresh == []
    assert "masked-language-model head" in str(report)


@pytest.mark.parametrize("name", ["encoder.layer.0.output.dense.bias", "pooler.dense.bias"])
def test_missing_tensor_is_named(folder, name):
    edit_tensors(folder, lambda tensors: tensors.pop(f"bert.{name}"))
    with pytest.raises(kb.CheckpointError, match=f"missing tensor {name}"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_unknown_tensor_is_named(folder):
    edit_tensors(folder, lambda tensors: tensors.update(lora_A=np.zeros(3, np.float32)))
    with pytest.raises(kb.CheckpointError, match="unknown tensor lora_A"):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize(
    ("field", "value", "tensor"),
    [
        ("hidden_size", 48, "word_embeddings"),
        ("vocab_size", 500, "word_embeddings"),
        ("max_position_embeddings", 32, "position_embeddings"),
        ("intermediate_size", 16, "intermediate"),
        ("num_hidden_layers", 3, r"missing tensor encoder\.layer\.2"),
        ("num_hidden_layers", 1, r"unknown tensor encoder\.layer\.1"),
    ],
)
def test_config_that_contradicts_the_weights(folder, field, value, tensor):
    edit_config(folder, **{field: value})
    with pytest.raises(kb.CheckpointError, match=f"does not fit its config: .*{tensor}"):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": ["bert"]}, "model_type=.'bert'.; what can be loaded is bert, roberta, "),
        ({"model_type": "t5"}, "model_type='t5'; what can be loaded is bert, roberta, "),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key'"),
        ({"is_decoder": True}, "is_decoder=True"),
        ({"hidden_act": "snake"}, "hidden_activation='snake' is unknown"),
        ({"hidden_size": ...}, "does not say hidden_size"),
        ({"hidden_dropout_prob": 3}, "dropout_rate"),
        ({"num_attention_heads": "4"}, "num_attention_heads"),
    ],
)
def test_config_that_cannot_be_computed(folder, fields, message):
    edit_config(folder, **fields)
    with pytest.raises(kb.CheckpointError, match=message):
        kb.EncoderConfig.from_pretrained(str(folder))


def test_every_field_is_honoured(folder):
    fields = {
        "hidden_act": "relu",
        "layer_norm_eps": 1e-5,
        "hidden_dropout_prob": 0.25,
        "attention_probs_dropout_prob": 0.35,
        "initializer_range": 0.05,
        "classifier_dropout": 0.45,
        "pad_token_id": 3,
    }
    edit_config(folder, **fields)
    config = kb.EncoderConfig.from_pretrained(str(folder))
    assert config.hidden_activation == "relu"
    assert config.layer_norm_epsilon == 1e-5
    assert (config.dropout_rate, config.attention_dropout_rate) == (0.25, 0.35)
    assert (config.initializer_range, config.classifier_dropout) == (0.05, 0.45)
    assert config.pad_token_id == 3


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_config_that_is_no_json(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(kb.CheckpointError, match="JSON"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_truncated_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(kb.CheckpointError, match="truncated"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_nan_is_warned_of_by_name(folder):
    def change(tensors):
        tensors["bert.encoder.layer.1.output.dense.weight"][0, 0] = np.nan

    edit_tensors(folder, change)
    with pytest.warns(UserWarning, match=r"encoder\.layer\.1\.output\.dense\.weight holds NaN"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match="no checkpoint at '/no/such/folder'"):
        kb.BertEncoder.from_pretrained("/no/such/folder")


def test_id_without_prefix_gets_a_hint():
    with pytest.raises(FileNotFoundError, match="hf://google-bert/bert-base-uncased"):
        kb.BertEncoder.from_pretrained("google-bert/bert-base-uncased")


def test_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint folder"):
        open_checkpoint(str(tmp_path))


def test_other_file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"x")
    with pytest.raises(kb.CheckpointError, match=r"expected a folder or a '\.keras' file"):
        open_checkpoint(str(path))


def test_damaged_keras_file(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"not a zip file")
    with pytest.raises(kb.CheckpointError, match="cannot be loaded"):
        kb.BertEncoder.from_pretrained(str(tmp_path))


def test_hub_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-bert-garden\[hub\]'"):
        open_checkpoint("hf://google-bert/bert-base-uncased")


@pytest.mark.parametrize("source", ["hf://", "hf://a/b/c", "hf://../x y"])
def test_hub_id_that_is_none(source):
    with pytest.raises(ValueError, match="is no id"):
        open_checkpoint(source)


class FakeHub:
    """Stands in for huggingface_hub: a folder, or a failing network."""

    def __init__(self, result):
        self.result, self.calls = result, []

    def snapshot_download(self, name, **kwargs):
        self.calls.append((name, kwargs))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_hub_offline(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", FakeHub(OSError("no route to host")))
    with pytest.raises(ConnectionError, match="could not be downloaded .*no route to host"):
        open_checkpoint("hf://google-bert/bert-base-uncased")


def test_hub_asks_for_no_pickle(monkeypatch, tiny_checkpoint):
    hub = FakeHub(str(tiny_checkpoint))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert kb.EncoderConfig.from_pretrained("hf://org/name@v1.0").num_layers == 2
    ((name, kwargs),) = hub.calls
    assert (name, kwargs["revision"]) == ("org/name", "v1.0")
    assert not any("bin" in pattern or "*" == pattern for pattern in kwargs["allow_patterns"])


def test_hub_asks_for_tensorflows_weights_where_there_are_no_others(monkeypatch, tmp_path):
    hub = FakeHub(str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"holds none of .*tf_model\.h5"):
        kb.EncoderConfig.from_pretrained("hf://org/name")
    first, second = (set(kwargs["allow_patterns"]) for _, kwargs in hub.calls)
    assert second - first == {"tf_model*.h5"}
