"""Reading XLNet's configs and folders: what is refused, and how. That it is right: tests/parity."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.safetensors import TensorFiles
from tests.checkpoints.test_safetensors import write

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


def changed(tmp_path, source, **changes):
    """A copy of a fixture after some changes to its config; ``...`` takes a field away."""
    folder = tmp_path / "changed"
    shutil.copytree(FIXTURES / source, folder)
    (path,) = (*folder.glob("config.json"), *folder.glob("xlnet_config.json"))
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not ...}))
    return str(folder)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"clamp_len": 0}, {"max_distance": None}),
        ({"clamp_len": 7}, {"max_distance": 7}),
        ({"mem_len": ..., "reuse_len": 0}, {"memory_length": 512, "memory_per_batch": None}),
        ({"mem_len": None, "reuse_len": 3}, {"memory_length": None, "memory_per_batch": 3}),
        ({"dropout": 0.3}, {"dropout_rate": 0.3, "attention_dropout_rate": 0.3}),
        ({"summary_type": "cls_index"}, {"classifier_pooling": "last"}),
        ({"summary_type": "mean"}, {"classifier_pooling": "mean_with_padding"}),
        ({"summary_activation": None}, {"classifier_activation": "linear"}),
        ({"summary_activation": ...}, {"classifier_activation": "tanh"}),
        ({"summary_last_dropout": 0.4}, {"classifier_dropout": 0.4}),
        ({"start_n_top": 2, "end_n_top": 7}, {"start_n_top": 2, "end_n_top": 7}),
        ({"start_n_top": ..., "end_n_top": None}, {"start_n_top": 5, "end_n_top": 5}),
        (
            {"d_head": ..., "untie_r": True, "pad_token_id": ...},
            {"head_size": 6, "pad_token_id": 5},
        ),
    ],
)
def test_what_a_config_says(tmp_path, changes, fields):
    config = kb.XLNetConfig.from_pretrained(changed(tmp_path, "xlnet/classifier", **changes))
    assert {name: getattr(config, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_model": ...}, "does not say d_model"),
        ({"attn_type": "tri"}, "attention_type must be one of"),
        ({"summary_type": "attn"}, "summary_type='attn' is unknown; known are last, "),
        ({"d_head": 5}, "d_head=5 is not d_model=12 / n_head=2"),
        ({"d_head": "6"}, "d_head='6' is not|config.json"),
        ({"clamp_len": "far"}, "max_distance must be a positive whole number; received 'far'"),
        ({"ff_activation": "snake"}, "hidden_activation='snake' is unknown"),
        ({"start_n_top": 0}, "start_n_top must be a positive whole number; received 0"),
        ({"end_n_top": "5"}, "says end_n_top='5'; expected a whole number"),
        ({"n_layer": 1}, "unknown tensor layer.1"),
        ({"n_layer": 3}, "missing tensor layer.2"),
        ({"n_layer": 10**9}, "num_layers=1000000000, which is more than"),
        ({"n_head": 4, "d_head": 3}, r"rel_attn.q has shape .12, 2, 6., the config says"),
        ({"d_inner": 10**9}, r"has shape .20, 12., the config says .*intermediate_size=1000000000"),
    ],
)
def test_what_is_refused(tmp_path, changes, message):
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(changed(tmp_path, "xlnet/classifier", **changes))


def test_missing_tensor_is_named(tmp_path):
    folder = changed(tmp_path, "xlnet/permuted")
    files = TensorFiles([f"{folder}/model.safetensors"])
    tensors = {name: np.array(files.read(name)) for name in files}
    del tensors["layer.1.rel_attn.seg_embed"]
    write(Path(folder) / "model.safetensors", tensors)
    with pytest.raises(kb.CheckpointError, match=r"missing tensor layer\.1\.rel_attn\.seg_embed"):
        kb.BertEncoder.from_pretrained(folder)


def test_head_without_projection_is_left_out(tmp_path):
    folder = changed(tmp_path, "xlnet/classifier", summary_use_proj=False)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.heads == {}
    report = checkpoint.load(checkpoint.make_encoder(), {})
    assert report.ignored["logits_proj.weight"] == "head of another task"


BEAMS = "xlnet/beam_span_labeler"


def test_head_over_beams_is_told(tmp_path):
    found = kb.checkpoints.inspect(str(FIXTURES / BEAMS))
    assert found.heads == ["beam_span_labeler"] and not found.report.ignored
    assert re.search(r"heads +beam_span_labeler\n", str(found))
    # By its tensors, where nothing says of which class they are.
    folder = changed(tmp_path, BEAMS, architectures=...)
    assert open_checkpoint(folder).heads == {"beam_span_labeler": 1}
    classifier = kb.BertClassifier.from_pretrained(folder, labels=["a", "b"])
    left_out = classifier.load_report.ignored
    assert left_out["answer_class.dense_1.weight"] == "question-answering head"
    plain = kb.BertSpanLabeler.from_pretrained(str(FIXTURES / "xlnet" / "span_labeler"))
    assert type(plain) is kb.BertSpanLabeler


def test_head_over_beams_is_new_where_there_is_none():
    model = kb.BeamSpanLabeler.from_pretrained(str(FIXTURES / "xlnet" / "masked_lm"))
    assert model.load_report.fresh == ["beam_span_labeler"] and model.head_is_fresh


def test_size_of_a_head_over_beams(tmp_path):
    folder = changed(tmp_path, BEAMS)
    files = TensorFiles([f"{folder}/model.safetensors"])
    tensors = {name: np.array(files.read(name)) for name in files}
    tensors["end_logits.dense_0.weight"] = tensors["end_logits.dense_0.weight"][:, :12]
    write(Path(folder) / "model.safetensors", tensors)
    message = r"end_logits.dense_0.weight has shape .12, 12., the config asks for .12, 24."
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertSpanLabeler.from_pretrained(folder)


def test_sizes_of_beams_are_written(tmp_path):
    model = kb.BertSpanLabeler.from_pretrained(str(FIXTURES / BEAMS))
    model.save_pretrained(str(tmp_path / "out"))
    fields = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (fields["start_n_top"], fields["end_n_top"]) == (3, 4)
    assert fields["architectures"] == ["XLNetForQuestionAnswering"]
    with pytest.raises(kb.CheckpointError, match="has no head beam_span_labeler"):
        kb.checkpoints.convert(str(tmp_path / "out"), str(tmp_path / "new"), format="google")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_token": ..., "d_inner": ...}, "does not say n_token, d_inner"),
        ({"ff_activation": "silu"}, "ff_activation='silu'; known are gelu, relu"),
        ({"d_head": 4}, "d_head=4; only d_model / n_head = 6"),
        ({"n_layer": 1}, "seg_embed has shape .2, 2, 2, 6., the config asks for 1 layers"),
        ({"n_layer": 3}, "missing tensor model/transformer/layer_2/rel_attn/q/kernel"),
        ({"n_layer": 10**9}, "num_layers=1000000000, which is more than"),
        ({"d_inner": 21}, "has shape .12, 20., the config says .*intermediate_size=21"),
        ({"n_head": 0}, "num_attention_heads must be a positive whole number"),
    ],
)
def test_what_is_refused_of_google(tmp_path, changes, message):
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(changed(tmp_path, "google_xlnet/classifier", **changes))


def test_google_without_weights(tmp_path):
    folder = changed(tmp_path, "google_xlnet/classifier")
    for path in Path(folder).glob("xlnet_model.ckpt*"):
        path.unlink()
    with pytest.raises(kb.CheckpointError, match="holds 0 checkpoints"):
        kb.BertEncoder.from_pretrained(folder)


def test_google_truncated(tmp_path):
    folder = changed(tmp_path, "google_xlnet/classifier")
    (path,) = Path(folder).glob("*.data-*")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(folder)


def test_inspection():
    text = str(kb.checkpoints.inspect(str(FIXTURES / "google_xlnet" / "pretraining")))
    assert "xlnet" in text and "2 layers, hidden 12" in text


def variables_of(folder):
    reader = tf.train.load_checkpoint(str(folder / "xlnet_model.ckpt"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_pretraining_of_google_there_and_back(tmp_path):
    source, target = FIXTURES / "google_xlnet" / "pretraining", tmp_path / "again"
    report = kb.checkpoints.convert(str(source), str(target), format="google")
    assert report.parity == {"sequence_output": 0, "masked_lm": 0}
    before, after = variables_of(source), variables_of(target)
    assert before.keys() - after.keys() == report.ignored.keys()
    assert set(report.ignored.values()) == {"state of the optimiser"}
    for name, value in after.items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    configs = [(folder / "xlnet_config.json").read_text().strip() for folder in (source, target)]
    assert configs[0] == configs[1]


def test_classifier_of_google_there_and_back(tmp_path):
    """Biases that the layers share are written for each of them: that computes the same."""
    source, target = FIXTURES / "google_xlnet" / "classifier", tmp_path / "again"
    model = kb.BertClassifier.from_pretrained(str(source), labels=list("abc"))
    model.save_pretrained(str(target), format="google")
    again = kb.BertClassifier.from_pretrained(str(target), labels=list("abc"), verify=True)
    assert set(again.load_report.parity) == {"sequence_output", "classifier"}
    before, after = variables_of(source), variables_of(target)
    new = {name.replace("classification_task", "classification_mnli") for name in after}
    assert new - set(before) == {"model/transformer/mask_emb/mask_emb"}
    assert after["model/transformer/r_w_bias"].shape == (2, 2, 6)
    assert json.loads((target / "xlnet_config.json").read_text())["untie_r"] is True


@pytest.mark.parametrize("tied", [True, False])
def test_hugging_face_to_google_and_back(tied, tmp_path):
    source = FIXTURES / "xlnet" / "masked_lm"
    model = kb.BertMaskedLM.from_pretrained(str(source))
    config = dataclasses.replace(
        model.encoder.config, tie_word_embeddings=tied, hidden_activation="gelu", max_distance=None,
        two_directions=False, same_length=False, attention_type="bi",
    )  # fmt: skip
    model = kb.BertMaskedLM(kb.XLNetEncoder(config))
    with pytest.warns(UserWarning, match="another form of GELU"):
        model.save_pretrained(str(tmp_path / "google"), format="google")
    report = kb.checkpoints.convert(str(tmp_path / "google"), str(tmp_path / "back"))
    assert report.parity == {"sequence_output": 0, "masked_lm": 0}
    again = kb.BertMaskedLM.from_pretrained(str(tmp_path / "back"))
    for one, other in zip(model.encoder.weights, again.encoder.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.head.tied == tied
    if not tied:
        np.testing.assert_array_equal(model.head.kernel, again.head.kernel)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attention_type": "uni"}, "attention_type='uni'"),
        ({"max_distance": 3}, "max_distance=3"),
        ({"layer_norm_epsilon": 1e-5}, "layer_norm_epsilon=1e-05"),
        ({"hidden_activation": "silu"}, "hidden_activation='silu'"),
        ({"two_directions": True, "same_length": True}, "same_length=True, two_directions=True"),
    ],
)
def test_what_google_has_no_words_for(changes, words, tmp_path):
    config = kb.EncoderConfig.from_pretrained(str(FIXTURES / "google_xlnet" / "pretraining"))
    encoder = kb.XLNetEncoder(dataclasses.replace(config, **changes))
    with pytest.raises(kb.CheckpointError, match=f"no words for {words}"):
        encoder.save_pretrained(str(tmp_path / "new"), format="google")
    assert not list(tmp_path.iterdir())


def test_head_that_google_does_not_have(tmp_path):
    config = kb.EncoderConfig.from_pretrained(str(FIXTURES / "google_xlnet" / "pretraining"))
    model = kb.BertTokenClassifier(kb.XLNetEncoder(config), labels=["a", "b"])
    with pytest.raises(kb.CheckpointError, match="has no head token_classifier"):
        model.save_pretrained(str(tmp_path / "new"), format="google")
