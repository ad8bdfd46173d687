"""DualEncoder: texts, options, saving, and folders that are damaged. Its numbers: tests/parity."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb

TEXTS = ["very good", "", "a bad day and a long one", "nice"]


@pytest.fixture
def dense(fixtures, tmp_path):
    """A copy of a folder with pooling, two dense layers and normalisation."""
    source = fixtures / "sentence_transformers" / "dense"
    return shutil.copytree(source, tmp_path / "dense")


@pytest.fixture(scope="module")
def model(tiny_checkpoint):
    return kb.DualEncoder.from_pretrained(str(tiny_checkpoint))


def change(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_any_checkpoint_gets_the_mean(model):
    ids = model.preprocessor(TEXTS)
    sequence = np.asarray(model.encoder(ids)["sequence_output"])
    weights = np.asarray(ids["input_mask"])[..., None]
    expected = (sequence * weights).sum(1) / weights.sum(1)
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-5)
    assert not model.head_is_fresh


def test_order_and_batches_do_not_matter(model):
    expected = model.encode(TEXTS)
    assert expected.shape == (4, 32) and expected.dtype == np.float32
    np.testing.assert_allclose(model.encode(TEXTS, batch_size=1), expected, atol=1e-5)
    np.testing.assert_allclose(model.encode(TEXTS[::-1])[::-1], expected, atol=1e-5)


def test_pooling_and_normalize_in_place_of_the_folders(dense, tiny_checkpoint):
    model = kb.DualEncoder.from_pretrained(
        str(tiny_checkpoint), pooling=["max", "cls"], normalize=True, seq_length=8
    )
    embeddings = model.encode(TEXTS)
    assert embeddings.shape == (4, 64) and model.preprocessor.seq_length == 8
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=-1), np.ones(4), atol=1e-6)
    model = kb.DualEncoder.from_pretrained(str(dense), pooling="max", normalize=False)
    assert model.embedding.pooling.modes == ("max",) and not model.embedding.normalize


def test_similarity(model):
    found = model.similarity([[3.0, 0.0], [0.0, 0.0]], [[2.0, 0.0], [-1.0, 1.0]])
    np.testing.assert_allclose(found, [[1.0, -(0.5**0.5)], [0.0, 0.0]], atol=1e-6)
    with pytest.raises(ValueError, match="received shape .2,."):
        model.similarity([1.0, 0.0], [[1.0, 0.0]])


def test_not_a_list_of_texts(model):
    with pytest.raises(TypeError, match="Write .text."):
        model.encode("one")
    with pytest.raises(ValueError, match="no texts"):
        model.encode([])


def test_without_a_vocabulary(model):
    ids_only = kb.DualEncoder(model.encoder)
    with pytest.raises(ValueError, match="without a vocabulary"):
        ids_only.encode(TEXTS)
    assert ids_only({"input_word_ids": np.ones((2, 3), np.int32)}).shape == (2, 32)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_embeddings_are_float32(tiny_checkpoint, model, policy):
    mixed = kb.DualEncoder.from_pretrained(str(tiny_checkpoint), dtype=policy, normalize=True)
    found = mixed.encode(TEXTS)
    assert found.dtype == np.float32
    assert np.diag(model.similarity(found, model.encode(TEXTS))).min() > 0.99


def test_trains(dense):
    model = kb.DualEncoder.from_pretrained(str(dense))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(model.preprocessor(["a cat", "b"]), training=True)[:, 0])
    gradients = tape.gradient(loss, model.embedding.trainable_weights)
    assert len(gradients) == 3 and all(np.abs(g).max() > 0 for g in gradients)


def test_keras_round_trip(dense, tmp_path):
    model = kb.DualEncoder.from_pretrained(str(dense))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.encode(["a cat", "b"]), model.encode(["a cat", "b"]))
    assert again.get_config()["dense"] == model.get_config()["dense"]


def test_other_formats_have_no_words_for_it(model, tmp_path):
    with pytest.raises(kb.CheckpointError, match="'google' has no words for pooling"):
        model.save_pretrained(tmp_path / "google", format="google")
    with pytest.raises(kb.CheckpointError, match="'garden' has no words for pooling"):
        kb.checkpoints.save(model, tmp_path / "garden", "garden")
    assert not (tmp_path / "google").exists() and not (tmp_path / "garden").exists()


def test_an_activation_that_pytorch_lacks(model, tmp_path):
    dense = [{"units": 4, "activation": "quick_gelu"}]
    other = kb.DualEncoder(model.encoder, model.preprocessor, dense=dense)
    assert other.head_is_fresh
    with pytest.raises(kb.CheckpointError, match="activation 'quick_gelu'"):
        other.save_pretrained(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_inspect(dense):
    found = kb.checkpoints.inspect(str(dense))
    assert found.embeddings == (
        "pooling mean, dense tanh 16, dense gelu 10, normalized (sentence-transformers)"
    )
    assert "embeddings pooling mean, dense tanh 16" in str(found)


def test_lower_case(dense):
    change(dense / "tokenizer_config.json", do_lower_case=False)
    capitals = kb.DualEncoder.from_pretrained(str(dense)).encode(["A Cat", "a cat"])
    assert np.abs(capitals[0] - capitals[1]).max() > 1e-3
    change(dense / "sentence_bert_config.json", do_lower_case=True)
    model = kb.DualEncoder.from_pretrained(str(dense))
    assert model.preprocessor.seq_length == 24
    found = model.encode(["A Cat", "a cat"])
    np.testing.assert_allclose(found, capitals[[1, 1]], atol=1e-6)


def test_a_default_prompt_is_told_of(dense):
    prompts = {"default_prompt_name": "query", "prompts": {"query": "query: "}}
    change(dense / "config_sentence_transformers.json", **prompts)
    with pytest.warns(UserWarning, match="puts 'query: ' before every text"):
        kb.DualEncoder.from_pretrained(str(dense))


def test_before_version_2(dense):
    (dense / "0_Transformer").mkdir()
    for path in [p for p in dense.iterdir() if p.is_file() and p.name != "modules.json"]:
        path.rename(dense / "0_Transformer" / path.name)
    modules = json.loads((dense / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (dense / "modules.json").write_text(json.dumps(modules))
    expected = np.load(dense / "0_Transformer" / "expected.npz")
    model = kb.DualEncoder.from_pretrained(str(dense))
    found = model.encode(expected["texts"].tolist()[:2])
    np.testing.assert_allclose(found, expected["text_embeddings"][:2], atol=2e-5)


POOLING = {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}
FIRST = {"type": "sentence_transformers.models.Transformer", "path": ""}
DENSE = {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}
NORMALIZE = {"type": "sentence_transformers.models.Normalize", "path": "4_Normalize"}


@pytest.mark.parametrize(
    "modules, message",
    [
        ([FIRST, POOLING, {**DENSE, "path": "../2_Dense"}], "outside its own folder"),
        ([FIRST, POOLING, {**DENSE, "path": "/etc"}], "outside its own folder"),
        ([FIRST, {**POOLING, "path": 7}], "outside its own folder"),
        ([FIRST, POOLING, {**DENSE, "type": "sentence_transformers.models.LSTM"}], "LSTM"),
        ([FIRST, POOLING, {**DENSE, "type": "os.path.Dense"}], "os.path.Dense"),
        ([FIRST, POOLING, {**DENSE, "type": None}], "None"),
        ([FIRST, POOLING, NORMALIZE, DENSE], "Pooling, Normalize, Dense; expected"),
        ([FIRST, POOLING, POOLING], "Pooling, Pooling; expected"),
        ([FIRST], "lists Transformer; expected"),
        ([], "lists nothing; expected"),
        ([FIRST, {"type": "x"}], "is damaged"),
        ({"type": "x"}, "is damaged"),
        (7, "is damaged"),
    ],
)
def test_damaged_modules(dense, modules, message):
    (dense / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(kb.CheckpointError, match=message):
        kb.DualEncoder.from_pretrained(str(dense))


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000])
def test_modules_that_are_no_json(dense, text):
    (dense / "modules.json").write_text(text)
    with pytest.raises(kb.CheckpointError, match="is damaged"):
        kb.DualEncoder.from_pretrained(str(dense))


@pytest.mark.parametrize(
    "file, fields, message",
    [
        ("1_Pooling/config.json", {"pooling_mode": "median"}, "pooling_mode=.'median'."),
        ("1_Pooling/config.json", {"pooling_mode": []}, "pooling_mode=.."),
        ("1_Pooling/config.json", {"pooling_mode": [["mean"]]}, "pooling_mode="),
        ("1_Pooling/config.json", {"pooling_mode": {"mean": 1}}, "pooling_mode="),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "'os.system'"),
        ("2_Dense/config.json", {"activation_function": ["x"]}, "activation_function=..x"),
        ("2_Dense/config.json", {"out_features": 2**40}, "expected linear.weight of shape"),
        ("2_Dense/config.json", {"in_features": 7}, "expected linear.weight of shape .16, 7"),
        ("2_Dense/config.json", {"out_features": "16"}, "out_features='16'"),
        ("2_Dense/config.json", {"bias": "yes"}, "bias='yes'"),
        ("2_Dense/config.json", {"bias": False}, "unknown tensor linear.bias"),
        ("3_Dense/config.json", {"bias": True}, "missing tensor linear.bias"),
        ("2_Dense/config.json", {"use_residual": True}, "use_residual"),
        ("2_Dense/config.json", {"module_input_name": "token_embeddings"}, "token_embeddings"),
        ("1_Pooling/config.json", {"pooling_mode": ["mean", "max"]}, "has shape .16, 24."),
        ("sentence_bert_config.json", {"max_seq_length": "24"}, "max_seq_length='24'"),
        ("sentence_bert_config.json", {"max_seq_length": 0}, "max_seq_length=0"),
    ],
)
def test_damaged_files(dense, file, fields, message):
    change(dense / file, **fields)
    with pytest.raises(kb.CheckpointError, match=message):
        kb.DualEncoder.from_pretrained(str(dense))


@pytest.mark.parametrize("file", ["1_Pooling/config.json", "2_Dense/config.json"])
def test_missing_configs(dense, file):
    (dense / file).unlink()
    with pytest.raises(kb.CheckpointError, match=f"{file} is missing"):
        kb.DualEncoder.from_pretrained(str(dense))


def test_missing_and_truncated_weights(dense):
    path = dense / "2_Dense" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(kb.CheckpointError):
        kb.DualEncoder.from_pretrained(str(dense))
    path.unlink()
    with pytest.raises(kb.CheckpointError, match="asks for a dense layer there"):
        kb.DualEncoder.from_pretrained(str(dense))


def test_converted(dense, tmp_path):
    report = kb.checkpoints.convert(str(dense), str(tmp_path / "again"))
    assert report.parity["embeddings"] <= 1e-6
    expected = kb.DualEncoder.from_pretrained(str(dense))
    model = kb.DualEncoder.from_pretrained(str(tmp_path / "again"))
    np.testing.assert_allclose(model.encode(["a cat"]), expected.encode(["a cat"]), atol=1e-6)
    assert model.preprocessor.seq_length == 24
    expected.save(tmp_path / "model.keras")
    report = kb.checkpoints.convert(str(tmp_path / "model.keras"), str(tmp_path / "third"))
    assert report.parity["embeddings"] <= 1e-6
    with pytest.warns(UserWarning, match="the encoder alone is written"):
        kb.checkpoints.convert(str(dense), str(tmp_path / "google"), "google")
