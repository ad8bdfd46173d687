"""KerasHub's presets: what is refused, and what is written; parity has tests of its own."""

import json
import re
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import CheckpointError, open_checkpoint
from keras_bert.checkpoints.hdf5 import HDF5Tensors
from tests.checkpoints.presets import WITH_TEXTS, arrays_of, texts_of, unpack
from tests.parity.comparison import INPUTS, off

FAMILIES = Path(__file__).resolve().parent.parent / "fixtures" / "families"

pytestmark = [
    pytest.mark.filterwarnings("ignore:The model takes ids only"),
    pytest.mark.filterwarnings("ignore:The vocabulary has"),
]


def edit(folder, name, change):
    """Changes the object in a JSON file of a preset."""
    path = Path(folder) / name
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def tensors_of(folder):
    """All weights of a preset, raw; without an optimiser's."""
    found = {}
    for path in sorted(Path(folder).glob("*.h5")):
        files = HDF5Tensors([str(path)])
        names = [name for name in files if not name.startswith("optimizer/")]
        found |= {(path.name.split(".")[0][:5], name): files.read(name) for name in names}
    return found


# --- reading -------------------------------------------------------------------------------------


def test_what_it_says_of_itself(tmp_path):
    folder = unpack("albert_classifier", tmp_path)
    page = str(kb.checkpoints.inspect(folder))
    assert "KerasHub" in page and "AlbertBackbone" in page and "SentencePieceTokenizer" in page
    config = kb.EncoderConfig.from_pretrained(folder)
    assert config.block_order == (0, 1, 0, 1, 2, 3, 2, 3)
    assert config.hidden_activation == "gelu_new" and config.layer_norm_epsilon == 1e-12


def test_heads_fields_are_those_of_the_task(tmp_path):
    masked = kb.EncoderConfig.from_pretrained(unpack("bert_masked_lm", tmp_path / "a"))
    assert (masked.masked_lm_activation, masked.masked_lm_epsilon) == ("gelu", 1e-5)
    classifier = kb.EncoderConfig.from_pretrained(unpack("bert_classifier", tmp_path / "b"))
    assert classifier.masked_lm_epsilon is None and classifier.classifier_dropout == 0.25


def test_names_of_earlier_versions(tmp_path):
    folder = unpack("bert_classifier", tmp_path)
    right = kb.BertClassifier.from_pretrained(folder)
    with h5py.File(f"{folder}/model.weights.h5", "a") as file:
        attention = file["layers/transformer_encoder/_self_attention_layer"]
        attention.move("query_dense", "_query_dense")
        file.move("layers", "_layer_checkpoint_dependencies")
    for name in ("config.json", "task.json", "tokenizer.json"):
        path = Path(folder, name)
        path.write_text(path.read_text().replace("keras_hub", "keras_nlp"))
    inputs = {name: arrays_of("bert_classifier")[name] for name in INPUTS}
    assert off(kb.BertClassifier.from_pretrained(folder)(inputs), np.asarray(right(inputs))) == 0


def test_task_of_another_kind_is_left_alone(tmp_path):
    folder = unpack("bert_classifier", tmp_path)
    edit(folder, "task.json", lambda f: f.update(class_name="BertTextEmbedder"))
    checkpoint = open_checkpoint(folder)
    assert checkpoint.heads == {} and checkpoint.config.classifier_dropout is None
    assert kb.BertEncoder.from_pretrained(folder) is not None


def test_head_without_weights_is_new(tmp_path):
    folder = unpack("bert_classifier", tmp_path)
    Path(folder, "task.weights.h5").unlink()
    assert kb.BertClassifier.from_pretrained(folder, labels=["a", "b", "c"]).load_report.fresh == [
        "classifier"
    ]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda f: f.update(class_name="GemmaBackbone"), "GemmaBackbone"),
        ("config.json", lambda f: f.pop("config"), "no config"),
        ("config.json", lambda f: f.update(class_name=3), "no class_name"),
        ("config.json", lambda f: f["config"].pop("num_heads"), "does not say num_heads"),
        ("config.json", lambda f: f["config"].update(num_heads=3), "no multiple"),
        ("config.json", lambda f: f["config"].update(hidden_dim="16"), "whole number"),
        ("config.json", lambda f: f["config"].update(dtype="int8_from_float32"), "dtype="),
        (
            "config.json",
            lambda f: f["config"]["dtype"].update(class_name="QuantizedDTypePolicy"),
            "QuantizedDTypePolicy",
        ),
        ("task.json", lambda f: f["config"].update(activation="softmax"), "softmax"),
        ("task.json", lambda f: f["config"].update(hidden_dim=8), "hidden_dim=8"),
        ("task.json", lambda f: f["config"].update(num_classes="3"), "num_classes="),
        (
            "task.json",
            lambda f: f["config"]["backbone"]["config"].update(num_heads=4),
            "contradict each other about num_heads",
        ),
        ("tokenizer.json", lambda f: f["config"].update(split=False), "split=False"),
        ("tokenizer.json", lambda f: f.update(class_name="GemmaTokenizer"), "GemmaTokenizer"),
    ],
)
def test_descriptions_that_are_refused(tmp_path, name, change, message):
    folder = unpack("bert_classifier", tmp_path)
    edit(folder, name, change)
    if name == "config.json":
        Path(folder, "task.json").unlink()
    with pytest.raises(ValueError, match=message):
        kb.BertClassifier.from_pretrained(folder, labels=["a", "b", "c"])


def test_groups_that_do_not_divide_the_layers(tmp_path):
    folder = unpack("albert_masked_lm", tmp_path)
    edit(folder, "config.json", lambda f: f["config"].update(num_layers=5, num_groups=2))
    Path(folder, "task.json").unlink()
    with pytest.raises(CheckpointError, match="num_groups=2"):
        open_checkpoint(folder).config  # noqa: B018


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("bert_classifier", field) for field in ("vocabulary_size", "hidden_dim", "num_layers")),
        *(("bert_classifier", f) for f in ("intermediate_dim", "max_sequence_length")),
        ("bert_classifier", "num_segments"),
        *(("albert_classifier", f) for f in ("embedding_dim", "num_inner_repetitions")),
    ],
)
def test_giant_sizes_are_refused_before_an_encoder_is_made(tmp_path, name, field):
    folder = unpack(name, tmp_path)
    edit(folder, "config.json", lambda f: f["config"].update({field: 2**40}))
    Path(folder, "task.json").unlink()
    with pytest.raises(CheckpointError, match="does not fit its config"):
        open_checkpoint(folder).config  # noqa: B018


def test_as_many_classes_as_the_weights_have(tmp_path):
    folder = unpack("bert_classifier", tmp_path)
    edit(folder, "task.json", lambda f: f["config"].update(num_classes=2**40))
    with pytest.raises(CheckpointError, match="does not fit its task: task/layers/dense/vars/1"):
        open_checkpoint(folder).heads  # noqa: B018


def replace(file, name, value):
    del file[name]
    file[name] = value


BLOCK = "layers/transformer_encoder"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop(f"{BLOCK}_1/_feedforward_layer_norm/vars/1"), "missing tensor"),
        (lambda f: f.update({"layers/more/vars/0": np.ones(3)}), "unknown tensor layers/more"),
        # One layer more than the config says.
        (
            lambda f: f.copy(f"{BLOCK}_1", f"{BLOCK}_2"),
            "unknown tensor layers/transformer_encoder_2",
        ),
        (
            # As wide, but of other heads.
            lambda f: replace(
                f, f"{BLOCK}/_self_attention_layer/key_dense/vars/0", np.zeros((16, 4, 4), "f4")
            ),
            "key_dense/vars/0 has shape",
        ),
        (lambda f: replace(f, "layers/dense/vars/0", np.zeros((16, 17))), "has shape"),
        (lambda f: replace(f, "layers/dense/vars/0", np.zeros((16, 16), int)), "floating"),
        (
            lambda f: f.copy(
                f"{BLOCK}/_self_attention_layer/key_dense",
                f"{BLOCK}/_self_attention_layer/_key_dense",
            ),
            "are the same one",
        ),
        (
            lambda f: replace(f, "layers/dense/vars/0", h5py.ExternalLink("/etc/passwd", "/")),
            "is a link",
        ),
    ],
)
def test_weights_that_are_refused(tmp_path, change, message):
    folder = unpack("bert_classifier", tmp_path)
    with h5py.File(f"{folder}/model.weights.h5", "a") as file:
        change(file)
    with pytest.raises(CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(folder)


@pytest.mark.parametrize("name", ["model.weights.h5", "task.weights.h5"])
def test_truncated(tmp_path, name):
    folder = unpack("bert_classifier", tmp_path)
    path = Path(folder, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="truncated"):
        kb.BertClassifier.from_pretrained(folder)


def test_no_weights(tmp_path):
    folder = unpack("bert_classifier", tmp_path)
    Path(folder, "model.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match="neither model.weights.h5 nor"):
        kb.BertEncoder.from_pretrained(folder)


@pytest.mark.parametrize(
    ("shard", "message"),
    [("../x.h5", "outside"), ("/etc/passwd", "outside"), ("..", "outside"), ("x.h5", "not in")],
)
def test_shards_that_are_not_there(tmp_path, shard, message):
    folder = unpack("bert_sharded", tmp_path)
    edit(folder, "model.weights.json", lambda f: f["weight_map"].update({"/layers/x": [shard]}))
    with pytest.raises(CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(folder)


@pytest.mark.parametrize("content", ["nonsense", "[]", '{"weight_map": 3}', "{}"])
def test_damaged_index(tmp_path, content):
    folder = unpack("bert_sharded", tmp_path)
    Path(folder, "model.weights.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"model\.weights\.json"):
        kb.BertEncoder.from_pretrained(folder)


def test_vocabulary_that_is_missing(tmp_path):
    folder = unpack("bert_classifier", tmp_path)
    shutil.rmtree(f"{folder}/assets")
    with pytest.raises(FileNotFoundError, match=r"vocabulary\.txt"):
        kb.Tokenizer.from_pretrained(folder)


# --- writing -------------------------------------------------------------------------------------

#: One of each family and each kind of task. Without a tokenizer nothing tells XLM-RoBERTa from
#: RoBERTa, which computes the same.
WRITTEN = [
    *("bert_classifier", "bert_sharded", "roberta_classifier", "xlm_roberta_masked_lm"),
    *("distil_bert_masked_lm", "albert_classifier", "electra", "electra_unprojected"),
]


@pytest.mark.parametrize("name", WRITTEN)
def test_there_and_back(tmp_path, name):
    source, target = unpack(name, tmp_path / "source"), tmp_path / "target"
    report = kb.checkpoints.convert(source, target, format="kerashub")
    assert max(report.parity.values()) == 0
    right, written = tensors_of(source), tensors_of(target)
    assert right.keys() == written.keys()
    for key, theirs in right.items():
        assert written[key].tobytes() == theirs.tobytes() and written[key].shape == theirs.shape
    if name in WITH_TEXTS:
        expected, tokenizer = texts_of(name), kb.Tokenizer.from_pretrained(str(target))
        assert tokenizer.tokenize(expected["texts"]).to_list() == expected["ids"]
        assert open_checkpoint(str(target)).seq_length == expected["sequence_length"]
    for file in ("config.json", "task.json", "preprocessor.json", "tokenizer.json"):
        if not Path(source, file).is_file():
            continue
        theirs, ours = (json.loads(Path(f, file).read_text()) for f in (source, target))
        if file == "config.json":
            assert ours == theirs
        assert differing(ours, theirs) <= HARMLESS, file


#: Options that KerasHub writes out and that have these values where they are not said.
HARMLESS = {
    ("sequence_length", None),
    ("add_bos", False),
    ("add_eos", False),
    ("split", True),
    ("suffix_indicator", "##"),
    ("special_tokens", None),
    ("special_tokens_in_strings", False),
    ("unsplittable_tokens", "</s> <mask> <pad> <s>"),
    # Neither is in the files of a tokenizer with merges.
    ("vocabulary", "more"),
    ("merges", "more"),
}


def differing(ours, theirs):
    """(name, value of theirs) where ours has another value or none, at any depth."""
    found = {(name, "more") for name in ours.keys() - theirs.keys()}
    for name, value in theirs.items():
        if name in ours and isinstance(value, dict) and isinstance(ours[name], dict):
            found |= differing(ours[name], value)
        elif name not in ours or ours[name] != value:
            found.add((name, " ".join(sorted(value)) if isinstance(value, list) else value))
    return found


def test_roberta_of_fairseq_loses_its_rows_of_padding_and_its_type(tmp_path):
    source, target = str(FAMILIES / "roberta"), str(tmp_path / "target")
    report = kb.checkpoints.convert(source, target, format="kerashub")
    assert max(report.parity.values()) < 2e-6
    was, now = (kb.EncoderConfig.from_pretrained(folder) for folder in (source, target))
    assert (was.max_position_embeddings, now.max_position_embeddings) == (20, 18)
    assert was.max_seq_length == now.max_seq_length and now.type_vocab_size == 0
    arrays = dict(np.load(FAMILIES / "roberta" / "expected.npz"))
    # Rows with padding on the right; the first has it in its middle, where positions differ.
    inputs = {name: arrays[name][1:] for name in INPUTS}
    found = np.asarray(kb.BertEncoder.from_pretrained(target)(inputs)["sequence_output"])
    tokens = inputs["input_mask"] > 0
    assert off(found[tokens], arrays["sequence_output"][1:][tokens]) <= 2e-5


@pytest.mark.parametrize("name", ["albert", "distilbert", "xlm_roberta"])
def test_huggingface_to_kerashub(tmp_path, name):
    report = kb.checkpoints.convert(str(FAMILIES / name), tmp_path / "new", format="kerashub")
    assert "classifier" in report.parity and max(report.parity.values()) < 2e-6


SIZES = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 10,
}
BERT = {**SIZES, "hidden_activation": "gelu_new"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_activation": "relu"}, "BertBackbone, which has no words for hidden_activation"),
        ({"embedding_projection": "trigrams"}, "embedding_projection='trigrams'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon=1e-06"),
        ({"embedding_size": 8}, "embedding_size=8"),
        (
            {"embedding_size": 8, "num_layers": 3, "num_layer_groups": 2},
            "num_layer_groups=2",
        ),
        (
            {"hidden_activation": "gelu", "layer_norm_epsilon": 1e-5, "type_vocab_size": 2},
            "BertBackbone, which has no words for layer_norm_epsilon=1e-05",
        ),
    ],
)
def test_networks_that_kerashub_has_not(tmp_path, fields, message):
    encoder = kb.BertEncoder(kb.EncoderConfig(**{**BERT, **fields}))
    with pytest.raises(CheckpointError, match=re.escape(message)):
        kb.checkpoints.save(encoder, tmp_path / "new", format="kerashub")
    assert not (tmp_path / "new").exists()


def test_heads_that_kerashub_has_not(tmp_path):
    encoder = kb.BertEncoder(kb.EncoderConfig(**BERT))
    spans = kb.BertSpanLabeler(encoder)
    with pytest.raises(CheckpointError, match="no words for the head span_labeler"):
        kb.checkpoints.save(spans, tmp_path / "new", format="kerashub")
    # KerasHub's head has an activation and an epsilon of its own.
    masked = kb.BertMaskedLM(encoder)
    with pytest.raises(CheckpointError, match="masked_lm_epsilon=1e-12"):
        kb.checkpoints.save(masked, tmp_path / "new", format="kerashub")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"use_pooler": False}, "pooled output will be zeros"),
        ({"type_vocab_size": 0}, None),
        ({"attention_dropout_rate": 0.0}, "attention_dropout_rate=0.0 becomes 0.1"),
        (
            {"hidden_activation": "gelu", "layer_norm_epsilon": 1e-5, "type_vocab_size": 1},
            "has no pooler",
        ),
    ],
)
def test_the_same_by_other_weights(tmp_path, fields, message):
    encoder = kb.BertEncoder(kb.EncoderConfig(**{**BERT, **fields}))
    rng = np.random.default_rng(0)
    for variable in encoder.weights:
        variable.assign(rng.normal(0.1, 0.5, variable.shape))
    inputs = {"input_word_ids": rng.integers(0, 30, (2, 9)).astype(np.int32)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kb.checkpoints.save(encoder, tmp_path / "new", format="kerashub")
    said = [str(w.message) for w in caught if "KerasHub" in str(w.message)]
    assert [message in text for text in said] == ([True] if message else [])
    again = kb.BertEncoder.from_pretrained(str(tmp_path / "new"))
    outputs, right = again(inputs), encoder(inputs)
    assert off(outputs["sequence_output"], np.asarray(right["sequence_output"])) < 1e-5
    if message and "zeros" in message:
        assert not np.asarray(outputs["pooled_output"]).any()


@pytest.mark.parametrize("fields", [{}, {"embedding_size": 6}])
def test_the_other_form_of_gelu_is_written_with_a_warning(tmp_path, fields):
    config = kb.EncoderConfig(**{**BERT, "hidden_activation": "gelu", **fields})
    model = kb.BertClassifier(kb.BertEncoder(config), labels=["a", "b", "c"])
    if fields:  # KerasHub's ELECTRA has no tasks
        model = model.encoder
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.normal(0.1, 0.5, variable.shape))
    with pytest.warns(UserWarning, match="another form of GELU"):
        kb.checkpoints.save(model, tmp_path / "new", format="kerashub")
    # The numbers beside it are those of the form that is computed there.
    again = type(model).from_pretrained(str(tmp_path / "new"), verify=True)
    assert kb.EncoderConfig.from_pretrained(str(tmp_path / "new")).hidden_activation == "gelu_new"
    for right, variable in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(variable, right)


def test_encoders_that_kerashub_has_not(tmp_path):
    config = kb.ModernBertConfig(
        vocab_size=30,
        hidden_size=8,
        num_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
        pad_token_id=0,
    )
    with pytest.raises(CheckpointError, match="for a ModernBertEncoder"):
        kb.checkpoints.save(kb.ModernBertEncoder(config), tmp_path / "new", format="kerashub")


# --- to Hugging Face -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "model_type"),
    [
        ("roberta_classifier", "roberta"),
        ("xlm_roberta_masked_lm", "xlm-roberta"),
        ("electra", "electra"),
        # As wide inside as outside: what transformers' ELECTRA is then, but for the pooler.
        ("electra_unprojected", "bert"),
        ("bert_classifier", "bert"),
        ("albert_classifier", "albert"),
        ("distil_bert_classifier", "distilbert"),
    ],
)
def test_kerashub_to_huggingface(tmp_path, name, model_type):
    source, target = unpack(name, tmp_path / "source"), str(tmp_path / "target")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = kb.checkpoints.convert(source, target)
    assert max(report.parity.values()) < 2e-6
    fields = json.loads(Path(target, "config.json").read_text())
    assert fields["model_type"] == model_type
    counted = "roberta" in name
    assert any("counts as positions only" in str(w.message) for w in caught) == counted
    arrays = arrays_of(name)
    tokens = arrays["input_mask"] > 0
    # Rows with padding on the right alone, and no padding's id among the tokens.
    rows = (np.diff(arrays["input_mask"], axis=1) <= 0).all(axis=1)
    rows &= ~((arrays["input_word_ids"] == fields["pad_token_id"]) & tokens).any(axis=1)
    assert rows.sum() >= 2
    inputs = {key: arrays[key][rows] for key in INPUTS}
    found = np.asarray(kb.BertEncoder.from_pretrained(target)(inputs)["sequence_output"])
    assert off(found[tokens[rows]], arrays["sequence_output"][rows][tokens[rows]]) <= 2e-5
    if name in WITH_TEXTS:
        expected, tokenizer = texts_of(name), kb.Tokenizer.from_pretrained(target)
        assert tokenizer.tokenize(expected["texts"]).to_list() == expected["ids"]
        assert open_checkpoint(target).seq_length == expected["sequence_length"]
    if counted:
        table = read_tensor(target, "embeddings.position_embeddings.weight")
        assert not table[:2].any() and table[2:].all()
        assert read_tensor(target, "embeddings.token_type_embeddings.weight").tolist() == [[0] * 16]


def read_tensor(folder, name):
    files = open_checkpoint(folder)._files
    return files.read(next(full for full in files if full.endswith(name)))


def test_tokenizers_that_kerashub_has_not(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxy"]
    encoder = kb.BertEncoder(kb.EncoderConfig(**BERT))

    def save(tokenizer):
        preprocessor = kb.Preprocessor(tokenizer, seq_length=8)
        model = kb.BertClassifier(encoder, preprocessor, ["a", "b"])
        kb.checkpoints.save(model, tmp_path / "new", format="kerashub")

    with pytest.raises(CheckpointError, match="tokenize_chinese_chars=False"):
        save(kb.WordPieceTokenizer(words, tokenize_chinese_chars=False))
    with pytest.raises(CheckpointError, match=r"differs in \[X\]"):
        save(kb.WordPieceTokenizer([*words[:-1], "[X]"], cls_token="[X]"))
    with pytest.raises(CheckpointError, match="no added tokens"):
        save(kb.WordPieceTokenizer(words[:-1], added_tokens=["new"]))
