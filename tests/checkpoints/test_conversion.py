"""Checkpoints there and back: the same tensors, to the last bit."""

import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.checkpoints.keras_archive_writing import model_class
from keras_bert.checkpoints.safetensors import TensorFiles
from keras_bert.checkpoints.verification import NUMBERS, compute
from keras_bert.checkpoints.writing import Parts, different_fields

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
HUGGING_FACE = [
    *sorted(path.parent for path in FIXTURES.glob("heads/*/model.safetensors")),
    *sorted(path.parent for path in FIXTURES.glob("families/*/model.safetensors")),
    *sorted(path.parent for path in FIXTURES.glob("modernbert/*/model.safetensors")),
    *sorted(path.parent for path in FIXTURES.glob("xlnet/*/model.safetensors")),
    FIXTURES / "classifier" / "three_labels",
]
#: Of ELECTRA's two networks one is written: see test_google.py.
GOOGLE = sorted(
    path.parent
    for path in FIXTURES.glob("google/*/*.index")
    if path.parent.name != "electra_generator"
)
#: Parts of a class of transformers that none of its outputs depends on.
UNUSED = ("cls.predictions.bias", "lm_head.bias", "predictions.bias")

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


def tensors_of(folder):
    files = TensorFiles([str(folder / "model.safetensors")])
    return {name: files.read(name) for name in files}


def variables_of(folder):
    (index,) = folder.glob("*.index")
    reader = tf.train.load_checkpoint(str(index).removesuffix(".index"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def same_config(*folders):
    return not different_fields(*(kb.EncoderConfig.from_pretrained(str(f)) for f in folders))


def is_roberta(source):
    """XLM-R and CamemBERT compute what RoBERTa does; without a tokenizer they are the same."""
    return source.name.startswith(("camembert", "xlm_roberta"))


@pytest.mark.parametrize("source", HUGGING_FACE, ids=lambda path: path.name)
def test_hugging_face_there_and_back(source, tmp_path):
    target = tmp_path / "again"
    report = kb.checkpoints.convert(str(source), str(target))
    assert report.parity["sequence_output"] == 0
    before, after = tensors_of(source), tensors_of(target)
    dropped = {name for name in before if name not in after}
    untied = config_of(source).get("tie_word_embeddings") is False
    assert dropped <= (set(UNUSED) if untied else set())
    assert after.keys() <= before.keys()
    for name, tensor in after.items():
        np.testing.assert_array_equal(tensor, before[name], err_msg=name)
    config, again = config_of(source), config_of(target)
    assert again["architectures"] == config["architectures"] or is_roberta(source)
    assert same_config(source, target)


@pytest.mark.parametrize("source", GOOGLE, ids=lambda path: path.name)
def test_google_there_and_back(source, tmp_path):
    target = tmp_path / "again"
    report = kb.checkpoints.convert(str(source), str(target), format="google")
    assert report.parity["sequence_output"] == 0
    before, after = variables_of(source), variables_of(target)
    assert set(before) - set(after) == set(report.ignored)
    assert set(report.ignored.values()) <= {"state of the optimiser"} | {
        reason for reason in report.ignored.values() if reason.startswith("pooler")
    }
    for name, value in after.items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert same_config(source, target)


@pytest.mark.parametrize("name", ["bert", "albert", "electra", "bert_classifier"])
def test_google_to_hugging_face_and_back(name, tmp_path):
    source = FIXTURES / "google" / name
    kb.checkpoints.convert(str(source), str(tmp_path / "hf"))
    report = kb.checkpoints.convert(str(tmp_path / "hf"), str(tmp_path / "tf1"), format="google")
    assert report.parity["sequence_output"] == 0
    before, after = variables_of(source), variables_of(tmp_path / "tf1")
    assert set(after) <= set(before)
    for key, value in after.items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)


def test_the_two_forms_of_gelu(tmp_path):
    source = str(FIXTURES / "classifier" / "three_labels")
    assert kb.EncoderConfig.from_pretrained(source).hidden_activation == "gelu"
    with pytest.warns(UserWarning, match="another form of GELU"):
        kb.checkpoints.convert(source, str(tmp_path / "tf1"), format="google")
    config = kb.EncoderConfig.from_pretrained(str(tmp_path / "tf1"))
    assert config.hidden_activation == "gelu_tanh"


def test_a_model_writes_what_it_computes(tmp_path):
    source = str(FIXTURES / "classifier" / "three_labels")
    model = kb.BertClassifier.from_pretrained(source)
    model.save_pretrained(str(tmp_path / "out"))
    again = kb.BertClassifier.from_pretrained(str(tmp_path / "out"), verify=True)
    assert again.labels == model.labels and not again.head_is_fresh
    assert again.load_report.parity == {
        "sequence_output": 0,
        "pooled_output": 0,
        "classifier": 0,
    }
    assert again.predict(["good"])[0]["label"] == model.predict(["good"])[0]["label"]
    assert again.preprocessor.seq_length == model.preprocessor.seq_length
    model.encoder.save_pretrained(str(tmp_path / "encoder"))
    assert config_of(tmp_path / "encoder")["architectures"] == ["BertModel"]
    kb.BertEncoder.from_pretrained(str(tmp_path / "encoder"), verify=True)


def test_verification_finds_what_changed(tmp_path):
    folder = tmp_path / "out"
    kb.checkpoints.convert(str(FIXTURES / "heads" / "bert_maskedlm"), str(folder))
    kb.BertMaskedLM.from_pretrained(str(folder), verify=True)
    fields = config_of(folder)
    (folder / "config.json").write_text(json.dumps({**fields, "layer_norm_eps": 1e-2}))
    with pytest.raises(kb.CheckpointError, match="does not compute what the original did"):
        kb.BertMaskedLM.from_pretrained(str(folder), verify=True)
    with pytest.raises(kb.CheckpointError, match="sequence_output by"):
        kb.BertEncoder.from_pretrained(str(folder), verify=True)
    kb.BertMaskedLM.from_pretrained(str(folder))
    (folder / NUMBERS).write_bytes(b"no archive")
    with pytest.raises(kb.CheckpointError, match="is damaged"):
        kb.BertMaskedLM.from_pretrained(str(folder), verify=True)
    np.savez(folder / NUMBERS, input_word_ids=np.array([object()]))
    with pytest.raises(kb.CheckpointError, match="is damaged"):
        kb.BertMaskedLM.from_pretrained(str(folder), verify=True)
    os.remove(folder / NUMBERS)
    with pytest.raises(FileNotFoundError, match="nothing to verify with"):
        kb.BertMaskedLM.from_pretrained(str(folder), verify=True)


def test_own_files_are_written_too(tmp_path):
    model = kb.BertMaskedLM.from_pretrained(str(FIXTURES / "heads" / "albert_maskedlm"))
    model.save(tmp_path / "model.keras")
    report = kb.checkpoints.convert(str(tmp_path / "model.keras"), str(tmp_path / "out"))
    assert report.parity == {"sequence_output": 0, "masked_lm": 0}
    with pytest.raises(FileNotFoundError, match=f"no {NUMBERS} in"):
        kb.BertMaskedLM.from_pretrained(str(tmp_path / "model.keras"), verify=True)


def test_what_there_is_stays(tmp_path):
    source = str(FIXTURES / "heads" / "bert_maskedlm")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds something already"):
        kb.checkpoints.convert(source, str(tmp_path / "full"))
    with pytest.raises(NotADirectoryError, match="it is a file"):
        kb.checkpoints.convert(source, str(tmp_path / "full" / "mine.txt"))
    with pytest.raises(ValueError, match="format='onnx' is unknown; it is one of huggingface"):
        kb.checkpoints.convert(source, str(tmp_path / "new"), format="onnx")
    with pytest.raises(FileNotFoundError):
        kb.checkpoints.convert(str(tmp_path / "nowhere"), str(tmp_path / "new"))
    assert sorted(os.listdir(tmp_path)) == ["full"]
    assert os.listdir(tmp_path / "full") == ["mine.txt"]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"layer_norm_epsilon": 1e-5}, "layer_norm_epsilon=1e-05"),
        ({"hidden_activation": "silu"}, "hidden_activation='silu'"),
        ({"positions_skip_padding": True}, "positions_skip_padding=True"),
    ],
)
def test_what_google_has_no_words_for(changes, words, tmp_path):
    sizes = {"vocab_size": 9, "hidden_size": 8, "num_layers": 1, "num_attention_heads": 2}
    encoder = kb.BertEncoder(kb.EncoderConfig(**sizes, intermediate_size=8, **changes))
    with pytest.raises(kb.CheckpointError, match=f"has no words for {words}"):
        encoder.save_pretrained(str(tmp_path / "out"), format="google")
    assert os.listdir(tmp_path) == []


def test_what_hugging_face_has_no_words_for(tmp_path):
    sizes = {"vocab_size": 9, "hidden_size": 8, "num_layers": 2, "num_attention_heads": 2}
    config = kb.EncoderConfig(**sizes, intermediate_size=8, num_layer_groups=1, type_vocab_size=0)
    with pytest.raises(kb.CheckpointError, match="No family of transformers computes"):
        kb.BertEncoder(config).save_pretrained(str(tmp_path / "out"))
    # Theirs has the linear layer behind the embeddings always, Google's only between two widths.
    with pytest.raises(kb.CheckpointError, match="'albert', .* no words for embedding_size=None"):
        kb.checkpoints.convert(str(FIXTURES / "google" / "albert_groups"), str(tmp_path / "out"))
    distil = FIXTURES / "families" / "distilbert"
    encoder = kb.BertEncoder.from_pretrained(str(distil))
    model = kb.BertPretrainer(encoder, objectives=["replaced_tokens"])
    with pytest.raises(kb.CheckpointError, match="distilbert has no head replaced_tokens"):
        model.save_pretrained(str(tmp_path / "out"))


SIZES = {"hidden_size": 8, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}


def test_fields_of_heads_that_are_not_there_do_not_matter():
    plain = kb.EncoderConfig(**SIZES)
    other = kb.EncoderConfig(**SIZES, classifier_activation="relu", masked_lm_epsilon=1e-5)
    assert len(different_fields(plain, other)) == 2
    assert different_fields(plain, other, ["masked_lm"]) == ["masked_lm_epsilon=1e-12"]
    assert different_fields(plain, other, ["classifier"]) == ["classifier_activation=None"]
    assert different_fields(plain, other, ["span_labeler"]) == []


def test_an_encoder_without_types_gets_one_where_transformers_looks_one_up(tmp_path):
    encoder = kb.BertEncoder(kb.EncoderConfig(**SIZES, vocab_size=30, type_vocab_size=0))
    kb.checkpoints.save(encoder, tmp_path / "new")
    again = kb.BertEncoder.from_pretrained(str(tmp_path / "new"), verify=True)
    assert again.config.type_vocab_size == 1
    assert config_of(tmp_path / "new")["model_type"] == "bert"


def test_a_pooler_that_is_left_out_is_told_of(tmp_path):
    config = kb.EncoderConfig(**SIZES, vocab_size=30, embedding_size=6)
    with pytest.warns(UserWarning, match="has no pooler"):
        kb.checkpoints.save(kb.BertEncoder(config), tmp_path / "new")
    assert config_of(tmp_path / "new")["model_type"] == "electra"


#: Checkpoint → class of the model that keeps all of it.
OWN = {
    "heads/bert_maskedlm": "BertMaskedLM",
    "heads/bert_pretraining": "BertPretrainer",
    "heads/electra_pretraining": "BertPretrainer",
    "heads/roberta_questionanswering": "BertSpanLabeler",
    "xlnet/beam_span_labeler": "BeamSpanLabeler",
    "heads/albert_multiplechoice": "BertMultipleChoice",
    "heads/camembert_tokenclassification": "BertTokenClassifier",
    "classifier/three_labels": "BertClassifier",
    "google/bert": "BertPretrainer",
    "google_xlnet/pretraining": "BertMaskedLM",
    "sentence_transformers/dense": "DualEncoder",
    "encoder/gelu": "BertEncoder",
}


@pytest.mark.parametrize(
    "source, place",
    [*((source, "model.keras") for source in OWN), ("encoder/gelu", "x"), ("google/bert", "x")],
)
def test_to_a_file_of_our_own_and_back(source, place, tmp_path):
    target = tmp_path / place
    report = kb.checkpoints.convert(str(FIXTURES / source), str(target), format="keras_bert")
    assert report.loaded and set(report.parity.values()) == {0}
    assert [path.name for path in tmp_path.iterdir()] == [place]
    found = kb.checkpoints.inspect(str(target), verify=True)
    assert (found.format, found.family) == ("keras_bert", OWN[source])
    assert set(found.report.parity) == set(report.parity) - {"embeddings"}
    was = kb.checkpoints.inspect(str(FIXTURES / source))
    assert (found.heads, found.labels) == (was.heads, was.labels)
    if OWN[source] != "BertEncoder" or place == "x":
        assert found.tokenizer == was.tokenizer or found.tokenizer.startswith("none")
    back = kb.checkpoints.convert(str(target), str(tmp_path / "back"))
    assert back.parity == report.parity


def test_a_saved_model_keeps_what_it_is(tmp_path):
    model = kb.DualEncoder.from_pretrained(str(FIXTURES / "sentence_transformers" / "dense"))
    path = str(tmp_path / "model.keras")
    assert model.save_pretrained(path) == path
    again = kb.DualEncoder.from_pretrained(path, verify=True)
    assert again.load_report.parity["embeddings"] == 0
    found = kb.checkpoints.inspect(path)
    told = kb.checkpoints.inspect(str(FIXTURES / "sentence_transformers" / "dense"))
    assert f"{found.embeddings} (sentence-transformers)" == told.embeddings
    texts = ["one text", "another"]
    np.testing.assert_allclose(again.encode(texts), model.encode(texts), atol=1e-6)


def test_an_encoder_alone_keeps_its_tokenizer_in_a_folder(tmp_path):
    source = str(FIXTURES / "encoder" / "gelu")
    with pytest.warns(UserWarning, match="holds an encoder alone"):
        kb.checkpoints.convert(source, str(tmp_path / "model.keras"))
    kb.checkpoints.convert(source, str(tmp_path / "folder"), "keras_bert")
    texts = ["A text"]
    one, other = (kb.Tokenizer.from_pretrained(s) for s in (source, str(tmp_path / "folder")))
    assert one.tokenize(texts).to_list() == other.tokenize(texts).to_list()
    kb.DualEncoder.from_pretrained(str(tmp_path / "folder")).encode(texts)


def test_verification_finds_what_changed_in_a_file_of_our_own(tmp_path):
    source, path = str(FIXTURES / "heads" / "bert_maskedlm"), str(tmp_path / "model.keras")
    kb.checkpoints.convert(source, path)
    assert kb.BertMaskedLM.from_pretrained(path, verify=True).load_report.parity["masked_lm"] == 0
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = members["config.json"]
    changed = re.sub(rb'("hidden_activation": )"\w+"', rb'\1"relu"', config)
    assert changed != members["config.json"]
    for name, content, words in (
        ("config.json", changed, "differs in sequence_output"),
        (NUMBERS, members[NUMBERS][:-30], "damaged"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for other, kept in members.items():
                archive.writestr(other, content if other == name else kept)
        with pytest.raises(kb.CheckpointError, match=words):
            kb.BertMaskedLM.from_pretrained(path, verify=True)


def test_names_of_files_and_formats(tmp_path):
    source = str(FIXTURES / "heads" / "bert_maskedlm")
    path = tmp_path / "model.keras"
    with pytest.raises(ValueError, match="writes a folder, but"):
        kb.checkpoints.convert(source, path, format="google")
    with pytest.raises(ValueError, match="format='onnx' is unknown"):
        kb.checkpoints.convert(source, path, format="onnx")
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="there already"):
        kb.checkpoints.convert(source, path)
    assert path.read_text() == "mine" and [p.name for p in tmp_path.iterdir()] == ["model.keras"]


def test_heads_that_no_model_has_together():
    class Both:
        sure_heads = ("classifier", "token_classifier")

    with pytest.raises(kb.CheckpointError, match="classifier, token_classifier, which no model"):
        model_class("here", Both())


@pytest.mark.parametrize("source", ["modernbert/classifier", "modernbert/classifier_mean"])
def test_a_classifier_is_asked_what_it_reads(source):
    model = kb.BertClassifier.from_pretrained(str(FIXTURES / source))
    numbers = compute(Parts.of(model))
    inputs = {name: ids for name, ids in numbers.items() if name.startswith("input_")}
    np.testing.assert_allclose(numbers["classifier"], model(inputs), atol=1e-6)
