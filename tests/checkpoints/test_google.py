"""TensorFlow 1 checkpoints: what is found, what is left out, and damaged ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
DATA = "bert_model.ckpt.data-00000-of-00001"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(FIXTURES / "google" / "bert", tmp_path / "uncased")
    return tmp_path / "uncased"


def edit_config(folder, **fields):
    path = folder / "bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def rewrite(folder, change):
    """Saves the checkpoint anew with other variables."""
    reader = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    change(values)
    for path in folder.glob("bert_model.ckpt*"):
        path.unlink()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [
            tf.compat.v1.get_variable(name, initializer=tf.constant(value))
            for name, value in values.items()
        ]
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(variables)
        saver.save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False)
    (folder / "checkpoint").unlink()


def test_config_is_read(folder):
    config = kb.EncoderConfig.from_pretrained(str(folder))
    assert (config.hidden_size, config.num_layers, config.layer_norm_epsilon) == (24, 2, 1e-12)
    # What google-research/bert calls gelu is the tanh form.
    assert config.hidden_activation == "gelu_tanh"
    assert config.use_pooler and config.embedding_size is None


def test_sizes_of_electra_come_from_its_variables():
    config = kb.EncoderConfig.from_pretrained(str(FIXTURES / "google" / "electra"))
    assert (config.hidden_size, config.embedding_size, config.num_layers) == (64, 16, 2)
    assert (config.num_attention_heads, config.intermediate_size) == (1, 40)
    assert (config.vocab_size, config.max_position_embeddings) == (61, 20)
    assert config.type_vocab_size == 2


@pytest.mark.parametrize(
    ("said", "meant"), [("GELU", "gelu_tanh"), ("", "linear"), (None, "linear"), ("tanh", "tanh")]
)
def test_activations(folder, said, meant):
    edit_config(folder, hidden_act=said)
    assert kb.EncoderConfig.from_pretrained(str(folder)).hidden_activation == meant


def test_gelu_of_electra_is_the_erf_form():
    config = kb.EncoderConfig.from_pretrained(str(FIXTURES / "google" / "electra"))
    assert config.hidden_activation == "gelu"


def test_groups_of_albert():
    config = kb.EncoderConfig.from_pretrained(str(FIXTURES / "google" / "albert_groups"))
    assert (config.num_layers, config.num_layer_groups, config.group_size) == (3, 2, 2)
    # As wide as the hidden layers: Google's code then makes no projection.
    assert config.embedding_size is None


def test_chinese_albert_of_brightmart(folder):
    """Shared layers under a name of their own, and words in two factors."""
    rng = np.random.default_rng(3)
    factors = rng.normal(0, 0.3, (61, 8)), rng.normal(0, 0.3, (8, 24))
    factors = [factor.astype(np.float32) for factor in factors]

    def change(values):
        for name in list(values):
            if "/layer_1/" in name:
                del values[name]
            elif "/layer_0/" in name:
                values[name.replace("/layer_0/", "/layer_shared/")] = values.pop(name)
        values["bert/embeddings/word_embeddings"] = factors[0]
        values["bert/embeddings/word_embeddings_2"] = factors[1]

    plain = kb.BertEncoder.from_pretrained(str(folder))
    rewrite(folder, change)
    edit_config(folder, embedding_size=8, ln_type="postln")
    shared = kb.BertEncoder.from_pretrained(str(folder))
    assert (len(shared.blocks), shared.config.num_layers) == (1, 2)
    # The same network spelled out: both layers are the first, and the words are the product.
    plain.blocks[1].set_weights(plain.blocks[0].get_weights())
    plain.embeddings.word_embeddings.assign(factors[0] @ factors[1])
    inputs = {"input_word_ids": rng.integers(0, 61, (2, 9)).astype("int32")}
    one, other = (encoder(inputs)["pooled_output"] for encoder in (shared, plain))
    np.testing.assert_allclose(one, other, atol=1e-6)
    edit_config(folder, ln_type="preln")
    with pytest.raises(kb.CheckpointError, match="ln_type='preln'"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_what_is_left_out_is_reported(folder):
    checkpoint = open_checkpoint(str(folder))
    encoder = kb.BertEncoder(checkpoint.config)
    report = checkpoint.load(encoder, {})
    assert report.ignored["bert/pooler/dense/kernel/adam_m"] == "state of the optimiser"
    assert report.ignored["global_step"] == "state of the optimiser"
    assert report.ignored["cls/predictions/output_bias"] == "masked-language-model head"
    assert report.ignored["cls/seq_relationship/output_weights"] == "next-sentence head"
    loaded = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
    names = set(loaded.get_variable_to_shape_map())
    assert set(report.loaded) | set(report.ignored) == names


def test_becomes_a_classifier_that_reads_text(folder):
    shutil.copy(FIXTURES / "encoder" / "gelu" / "vocab.txt", folder)
    model = kb.BertClassifier.from_pretrained(str(folder), labels=["bad", "good"])
    assert model.head_is_fresh and model.preprocessor.seq_length == 20
    with pytest.warns(UserWarning, match="head"):
        assert model.predict(["a b c"])[0]["label"] in ("bad", "good")


def test_one_variable_less(folder):
    rewrite(folder, lambda values: values.pop("bert/encoder/layer_1/output/dense/bias"))
    with pytest.raises(kb.CheckpointError, match="missing tensor bert/encoder/layer_1/output"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_one_variable_more(folder):
    rewrite(folder, lambda values: values.update({"bert/new/kernel": np.ones(3, np.float32)}))
    with pytest.raises(kb.CheckpointError, match="unknown tensor bert/new/kernel"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_nan_is_told(folder):
    name = "bert/encoder/layer_0/attention/output/dense/bias"
    rewrite(folder, lambda values: values.update({name: np.full(24, np.nan, np.float32)}))
    with pytest.warns(UserWarning, match=f"{name} holds NaN"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_another_network(folder):
    rewrite(folder, lambda values: (values.clear(), values.update(a=np.ones(3, np.float32))))
    with pytest.raises(kb.CheckpointError, match="no checkpoint of Google's BERT.*: it holds a"):
        kb.EncoderConfig.from_pretrained(str(folder))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 32}, "has shape .* the config says"),
        ({"num_hidden_layers": 10**9}, "num_layers=1000000000, which is more than 1000"),
        ({"intermediate_size": 10**9}, "intermediate/dense/kernel has shape"),
        ({"max_position_embeddings": 10**12}, "position_embeddings has shape"),
        ({"type_vocab_size": 0}, "unknown tensor bert/embeddings/token_type_embeddings"),
        ({"num_hidden_layers": 3}, "missing tensor bert/encoder/layer_2/"),
        ({"num_hidden_layers": 1}, "unknown tensor bert/encoder/layer_1/"),
        ({"vocab_size": 62}, "word_embeddings has shape"),
        ({"hidden_act": "snake"}, "hidden_act='snake'; known are gelu"),
        ({"hidden_act": ["gelu"]}, "hidden_act=.'gelu'.; known are gelu"),
        ({"hidden_size": "x"}, "hidden_size must be"),
        ({"num_attention_heads": None}, "num_attention_heads must be"),
    ],
)
def test_config_that_contradicts_the_weights(folder, fields, message):
    edit_config(folder, **fields)
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize("text", ["", "{", "[1]", "\0"])
def test_damaged_config(folder, text):
    (folder / "bert_config.json").write_text(text)
    with pytest.raises(kb.CheckpointError, match="bert_config.json"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_no_config(folder):
    (folder / "bert_config.json").unlink()
    with pytest.raises(kb.CheckpointError, match="no bert_config.json or albert_config.json"):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize("keep", [0, 100, 20_000])
def test_truncated_data(folder, keep):
    (folder / DATA).write_bytes((folder / DATA).read_bytes()[:keep])
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_no_data(folder):
    (folder / DATA).unlink()
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_flipped_bits_are_noticed(folder):
    data = bytearray((folder / DATA).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / DATA).write_bytes(bytes(data))
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize("content", [b"", b"no table", bytes(1000)])
def test_damaged_index(folder, content):
    (folder / "bert_model.ckpt.index").write_bytes(content)
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_several_checkpoints(folder):
    for path in folder.glob("bert_model.ckpt*"):
        shutil.copy(path, folder / path.name.replace("bert_model.ckpt", "model.ckpt-7"))
        shutil.copy(path, folder / path.name.replace("bert_model.ckpt", "model.ckpt-9"))
        path.unlink()
    with pytest.raises(kb.CheckpointError, match="holds 2 checkpoints: model.ckpt-7, model.ckpt-9"):
        kb.BertEncoder.from_pretrained(str(folder))
    (folder / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-1"\n')
    with pytest.raises(kb.CheckpointError, match="holds 2 checkpoints"):
        kb.BertEncoder.from_pretrained(str(folder))
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"\n')
    kb.BertEncoder.from_pretrained(str(folder))


@pytest.fixture
def electra(tmp_path):
    shutil.copytree(FIXTURES / "google" / "electra_generator", tmp_path / "electra_small")
    return tmp_path / "electra_small"


def test_generator_of_electra(electra, tmp_path):
    small = open_checkpoint(str(electra / "generator"))
    assert (small.config.hidden_size, small.config.num_layers) == (24, 2)
    assert (small.config.embedding_size, small.config.intermediate_size) == (16, 96)
    assert (small.sure_heads, small.family) == (["masked_lm"], "electra")
    report = small.load(small.make_encoder(), {})
    reasons = {name.split("/")[0]: reason for name, reason in report.ignored.items()}
    assert reasons == {
        "electra": "ELECTRA's discriminator",
        "discriminator_predictions": "pretraining head",
        "generator_predictions": "pretraining head",
    }
    large = open_checkpoint(str(electra))
    assert (large.config.hidden_size, large.config.num_layers) == (64, 1)
    assert large.sure_heads == ["replaced_tokens"]
    ignored = large.load(large.make_encoder(), {}).ignored
    assert "FOLDER/generator" in ignored["generator/encoder/layer_0/output/dense/bias"]
    # On to where there is one network to a folder, and back.
    for number, name in enumerate(("huggingface", "google", "keras_bert")):
        target = str(tmp_path / str(number))
        report = kb.checkpoints.convert(f"{electra}/generator/", target, name)
        assert report.parity == {"sequence_output": 0, "masked_lm": 0}


def test_generator_with_embeddings_of_its_own(electra):
    def change(values):
        for name in [name for name in values if name.startswith("electra/embeddings/")]:
            values[name.replace("electra", "generator")] = values[name] + 1

    rewrite(electra, change)
    one, other = (
        kb.BertEncoder.from_pretrained(str(path)).embeddings.word_embeddings
        for path in (electra, electra / "generator")
    )
    np.testing.assert_array_equal(np.asarray(one) + 1, np.asarray(other))


def test_one_network_for_both_parts(electra):
    """As trained with the objective of BERT, or with `untied_generator` off."""

    def change(values):
        for name in [name for name in values if name.startswith("generator/")]:
            del values[name]
        kernel = np.arange(64 * 16, dtype=np.float32).reshape(64, 16) / 1000
        values["generator_predictions/dense/kernel"] = kernel

    rewrite(electra, change)
    assert open_checkpoint(str(electra)).sure_heads == ["replaced_tokens", "masked_lm"]
    with pytest.raises(FileNotFoundError, match="no generator of an ELECTRA"):
        open_checkpoint(str(electra / "generator"))


def test_damaged_generator(electra):
    name = "generator/encoder/layer_1/output/dense/bias"
    rewrite(electra, lambda values: values.update({f"{name}_2": values.pop(name)}))
    with pytest.raises(kb.CheckpointError, match=f"unknown tensor {name}_2; missing tensor {name}"):
        kb.BertEncoder.from_pretrained(str(electra / "generator"))
    kb.BertEncoder.from_pretrained(str(electra))


def test_no_generator(folder):
    with pytest.raises(FileNotFoundError, match="no generator of an ELECTRA"):
        open_checkpoint(str(folder / "generator"))
    for path in (folder / "other", folder / "none" / "generator"):
        with pytest.raises(FileNotFoundError, match="no checkpoint at"):
            open_checkpoint(str(path))


def test_a_config_beside_both_networks(electra):
    fields = {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 1}
    fields |= {"intermediate_size": 40, "max_position_embeddings": 20, "hidden_act": "relu"}
    (electra / "electra_config.json").write_text(json.dumps(fields))
    one, other = (open_checkpoint(str(p)).config for p in (electra, electra / "generator"))
    assert (one.hidden_size, other.hidden_size, other.num_layers) == (64, 24, 2)
    assert other.hidden_activation == "relu" and other.masked_lm_activation in (None, "relu")
