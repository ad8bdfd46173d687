"""What Hugging Face folders of all families look like in the wild, whole and damaged."""

import json
import math
import re
import shutil
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.huggingface.families import FAMILIES
from keras_bert.checkpoints.safetensors import TensorFiles
from tests.checkpoints.test_huggingface import edit_config, edit_tensors
from tests.checkpoints.test_safetensors import write
from tests.parity.comparison import INPUTS, TOLERANCE, off

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
#: A classifier of each family.
CLASSIFIERS = {
    "albert": FIXTURES / "families" / "albert",
    "bert": FIXTURES / "classifier" / "three_labels",
    "camembert": FIXTURES / "families" / "camembert",
    "distilbert": FIXTURES / "families" / "distilbert",
    "electra": FIXTURES / "families" / "electra",
    "roberta": FIXTURES / "families" / "roberta",
    "xlm-roberta": FIXTURES / "families" / "xlm_roberta",
}
WITHOUT_POOLER = ("distilbert", "electra")
IDS = np.array([[2, 9, 8, 7, 3], [2, 7, 3, 1, 1]], np.int32)

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


@pytest.fixture(params=CLASSIFIERS)
def folder(request, tmp_path):
    """A copy of a classifier that a test may damage, one of each family."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(CLASSIFIERS[request.param], copy)
    return copy


@pytest.fixture
def bert(tmp_path):
    copy = tmp_path / "checkpoint"
    shutil.copytree(CLASSIFIERS["bert"], copy)
    return copy


def family(folder):
    return json.loads((folder / "config.json").read_text())["model_type"]


def rewrite(folder, rule):
    """Writes all tensors anew; ``rule(name, value)`` gives the new name and value, or None."""
    files = TensorFiles([str(folder / "model.safetensors")])
    pairs = [rule(name, np.array(files.read(name))) for name in files]
    write(folder / "model.safetensors", dict(pair for pair in pairs if pair is not None))


def weights(folder):
    model = kb.BertClassifier.from_pretrained(str(folder))
    return {w.path.partition("/")[2]: w.numpy() for w in model.trainable_variables}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, path)


def hidden(folder):
    inputs = {"input_word_ids": IDS, "input_mask": (IDS > 1).astype(np.int32)}
    return np.array(kb.BertEncoder.from_pretrained(str(folder))(inputs)["sequence_output"])


# Numbers.


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision(folder, dtype):
    rewrite(folder, lambda name, value: (name, value.astype(dtype).astype(np.float32)))
    expected = weights(folder)
    # As mixed training leaves them: LayerNorms in full precision.
    rewrite(folder, lambda name, value: (name, value if "orm" in name else value.astype(dtype)))
    assert_same(weights(folder), expected)


def test_nan_in_a_head_is_warned_of_by_name(folder):
    name = {"roberta": "classifier.out_proj.weight"}.get(family(folder), "classifier.weight")
    if name not in TensorFiles([str(folder / "model.safetensors")]):
        name = "classifier.out_proj.weight"

    def change(tensors):
        tensors[name][0, 0] = np.nan

    edit_tensors(folder, change)
    with pytest.warns(UserWarning, match=f"{re.escape(name)} holds NaN"):
        kb.BertClassifier.from_pretrained(str(folder))


# Names.


def test_without_the_prefix(folder):
    expected, prefix = weights(folder), FAMILIES[family(folder)].prefix
    rewrite(folder, lambda name, value: (name.removeprefix(prefix), value))
    assert_same(weights(folder), expected)


def test_with_and_without_the_prefix_at_once(folder):
    prefix = FAMILIES[family(folder)].prefix
    name = "embeddings.LayerNorm.weight"
    edit_tensors(folder, lambda tensors: tensors.update({name: tensors[prefix + name]}))
    with pytest.raises(kb.CheckpointError, match=f"'{prefix}{name}' and '{name}' are the same one"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_names_of_tensorflows_layer_norm(folder):
    expected = weights(folder)

    def rule(name, value):
        if re.search(r"(LayerNorm|layer_norm)\.(weight|bias)$", name):
            name = name.removesuffix("weight").removesuffix("bias") + (
                "gamma" if name.endswith("weight") else "beta"
            )
        return name, value

    rewrite(folder, rule)
    assert any(n.endswith(".gamma") for n in TensorFiles([str(folder / "model.safetensors")]))
    assert_same(weights(folder), expected)


def test_without_a_pooler(folder):
    if family(folder) in WITHOUT_POOLER:
        pytest.skip("has none")
    expected = hidden(folder)
    rewrite(
        folder, lambda name, value: None if re.search("pooler|classifier", name) else (name, value)
    )
    np.testing.assert_array_equal(hidden(folder), expected)
    assert not kb.EncoderConfig.from_pretrained(str(folder)).use_pooler
    assert kb.BertEncoder.from_pretrained(str(folder)).pooler is None
    model = kb.BertClassifier.from_pretrained(str(folder), labels=["a", "b"])
    assert "classifier" in model.load_report.fresh and model.head_is_fresh
    needs_one = model.encoder.config.classifier_activation is None
    assert ("pooler" in model.load_report.fresh) == needs_one


# Files of PyTorch, with all that they once held.

OLD = sorted((FIXTURES / "torch_pickle").glob("*_*_legacy.bin"))


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_old_pytorch_model(path, tmp_path):
    name = path.stem.removesuffix("_legacy")
    shutil.copy(FIXTURES / "heads" / name / "config.json", tmp_path)
    shutil.copy(path, tmp_path / "pytorch_model.bin")
    arrays = dict(np.load(FIXTURES / "heads" / name / "expected.npz"))
    inputs = {key: arrays.pop(key) for key in INPUTS}
    kind = name.rpartition("_")[2]
    model_class = {
        "pretraining": kb.BertPretrainer,
        "tokenclassification": kb.BertTokenClassifier,
        "maskedlm": kb.BertMaskedLM,
        "questionanswering": kb.BertSpanLabeler,
    }[kind]
    model = model_class.from_pretrained(str(tmp_path))
    assert not model.head_is_fresh
    assert "embeddings.position_ids" in model.load_report.ignored
    outputs = model(inputs)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    assert outputs.keys() == arrays.keys()
    for key, theirs in arrays.items():
        assert off(outputs[key], theirs) <= TOLERANCE, key


def test_all_old_models_are_there():
    assert len(OLD) == len(CLASSIFIERS)


# Shards.


def shard(folder, moved=()):
    """Two shards and their index; ``moved``: names that are in both, in none or elsewhere."""
    files = TensorFiles([str(folder / "model.safetensors")])
    tensors = {name: np.array(files.read(name)) for name in files}
    (folder / "model.safetensors").unlink()
    names = ["one.safetensors", "two.safetensors"]
    index = {name: names[i % 2] for i, name in enumerate(tensors)}
    for file in names:
        kept = {n: tensors[n] for n in tensors if index[n] == file}
        write(folder / file, kept)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {**index, **dict(moved)}}))
    return tensors, index


def test_shards(folder):
    expected = weights(folder)
    shard(folder)
    assert_same(weights(folder), expected)


def test_tensor_in_two_shards(folder):
    tensors, _ = shard(folder)
    name = next(iter(tensors))
    write(folder / "two.safetensors", {name: tensors[name]})
    with pytest.raises(kb.CheckpointError, match=f"{name}' is both in"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_tensor_in_no_shard(folder):
    shard(folder)
    prefix = FAMILIES[family(folder)].prefix
    tensors = TensorFiles([str(folder / "two.safetensors")])
    lost = next(name for name in tensors if name.startswith(prefix))
    left = {name: np.array(tensors.read(name)) for name in tensors if name != lost}
    write(folder / "two.safetensors", left)
    with pytest.raises(kb.CheckpointError, match=f"no shard holds: {lost}"):
        kb.BertEncoder.from_pretrained(str(folder))
    # The index may know nothing of it either.
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())["weight_map"]
    index.pop(lost)
    path.write_text(json.dumps({"weight_map": index}))
    with pytest.raises(kb.CheckpointError, match=f"missing tensor {lost.removeprefix(prefix)}"):
        kb.BertClassifier.from_pretrained(str(folder))


@pytest.mark.parametrize("place", ["../x.safetensors", "/etc/passwd", "a/x.safetensors", "..", ""])
def test_shard_outside_the_folder(bert, place):
    shard(bert, {"bert.pooler.dense.bias": place})
    with pytest.raises(kb.CheckpointError, match="outside its own folder"):
        kb.BertEncoder.from_pretrained(str(bert))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json"])
def test_brackets_without_end(bert, file):
    shard(bert)
    (bert / file).write_text('{"a": ' + "[" * 200_000)
    with pytest.raises(kb.CheckpointError, match="no valid JSON"):
        kb.BertEncoder.from_pretrained(str(bert))


# Configs.

NUMBERS = {
    field: theirs
    for field, theirs in FAMILIES["albert"].fields.items()
    if field not in ("hidden_activation", "tie_word_embeddings")
}


def refused_at_once(folder, message):
    start = time.monotonic()
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(str(folder))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("value", ["12", -1, [3], {"a": 1}, math.nan, -math.inf, True, 10**30])
def test_values_that_are_no_sizes_and_rates(folder, value):
    original = (folder / "config.json").read_bytes()
    for theirs in FAMILIES[family(folder)].fields.values():
        if theirs == "tie_word_embeddings" and value is True:
            continue
        edit_config(folder, **{theirs: value})
        refused_at_once(folder, r"config\.json|does not fit its config")
        (folder / "config.json").write_bytes(original)


@pytest.mark.parametrize("value", [10**9, 10**6, 999])
def test_sizes_that_the_tensors_do_not_have(folder, value):
    original = (folder / "config.json").read_bytes()
    fields = FAMILIES[family(folder)].fields
    sizes = ["vocab_size", "hidden_size", "num_layers", "intermediate_size", "embedding_size"]
    sizes += ["max_position_embeddings", "type_vocab_size", "num_layer_groups", "group_size"]
    for ours in sizes:
        # Layers that share their weights may be 999.
        if ours in fields and (ours, value, family(folder)) != ("num_layers", 999, "albert"):
            edit_config(folder, **{fields[ours]: value})
            refused_at_once(folder, "does not fit its config|num_attention_heads|num_layer_groups")
            (folder / "config.json").write_bytes(original)


@pytest.mark.parametrize("field", ["vocab_size", "hidden_size", "num_layers", "intermediate_size"])
def test_size_that_is_not_said(folder, field):
    theirs = FAMILIES[family(folder)].fields[field]
    edit_config(folder, **{theirs: ...})
    refused_at_once(folder, f"does not say {theirs}")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "gpt2"}, "model_type='gpt2'; what can be loaded is"),
        ({"model_type": 7}, "model_type=7"),
        ({"hidden_act": ["gelu"]}, r"hidden_act=\['gelu'\]; expected a name"),
        ({"activation": 3, "hidden_act": 3}, "(hidden_act|activation)=3; expected a name"),
        ({"architectures": "Bert"}, "architectures='Bert'; expected a list"),
        ({"id2label": ["a", "b", "c"]}, r"id2label=.*; expected a dict"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings='no'; expected true or false"),
    ],
)
def test_values_of_another_kind(bert, fields, message):
    edit_config(bert, **fields)
    refused_at_once(bert, message)


def test_config_from_before_model_type(folder):
    name = family(folder)
    edit_config(folder, model_type=...)
    assert open_checkpoint(str(folder)).family == name
    edit_config(folder, architectures=...)
    assert open_checkpoint(str(folder)).family == "bert"


def test_null_is_as_good_as_nothing(bert):
    expected = weights(bert)
    edit_config(bert, architectures=None, id2label=None, pad_token_id=None, classifier_dropout=None)
    assert_same(weights(bert), expected)


def test_labels_that_are_not_all_named(bert):
    edit_config(bert, id2label={"0": "a", "7": "b"})
    assert kb.BertClassifier.from_pretrained(str(bert)).labels == ["a", "LABEL_1", "LABEL_2"]


# Vocabularies.


def test_vocabulary_longer_than_the_embeddings(bert):
    with open(bert / "vocab.txt", "a") as file:
        file.write("onemore\n")
    with pytest.raises(ValueError, match="has 221 tokens, but .* vocab_size=220"):
        kb.BertClassifier.from_pretrained(str(bert))
    kb.BertEncoder.from_pretrained(str(bert))  # which reads no text


def test_vocabulary_shorter_than_the_embeddings(bert):
    lines = (bert / "vocab.txt").read_text().splitlines()
    (bert / "vocab.txt").write_text("\n".join(lines[:-4]) + "\n")
    with pytest.warns(UserWarning, match="has 216 tokens, the encoder's embedding 220"):
        model = kb.BertClassifier.from_pretrained(str(bert))
    assert len(model.predict(["a b c"], verbose=0)) == 1


# Folders of sentence-transformers.

POOLING = {
    "idx": 1,
    "name": "1",
    "path": "1_Pooling",
    "type": "sentence_transformers.models.Pooling",
}


def as_sentences(folder, place):
    """Puts a checkpoint where sentence-transformers keeps its encoder."""
    root = folder.parent / "sentences"
    root.mkdir()
    folder.rename(root / place if place else root / "0")
    if not place:
        for path in (root / "0").iterdir():
            path.rename(root / path.name)
        (root / "0").rmdir()
    else:
        (root / "config.json").write_text('{"__version__": "0.3.8"}')
    (root / "1_Pooling").mkdir()
    (root / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 32}')
    kind = "sentence_transformers.models.Transformer"
    encoder = {"idx": 0, "name": "0", "path": place, "type": kind}
    (root / "modules.json").write_text(json.dumps([encoder, POOLING]))
    return root


@pytest.mark.parametrize("place", ["", "0_Transformer"])
def test_sentence_transformers(folder, place):
    expected = hidden(folder)
    root = as_sentences(folder, place)
    np.testing.assert_array_equal(hidden(root), expected)
    assert open_checkpoint(str(root)).family == family(root / place)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", "[3]", '[{"path": 3}]', '[{"path": "../x"}]', '[{"path": ".."}]']
)
def test_sentence_transformers_damaged(bert, content):
    root = as_sentences(bert, "0_Transformer")
    (root / "modules.json").write_text(content)
    with pytest.raises(kb.CheckpointError, match=r"modules\.json"):
        open_checkpoint(str(root))
