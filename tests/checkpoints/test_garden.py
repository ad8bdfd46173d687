"""TF Model Garden's checkpoints: what is found, what is left out, and damaged ones."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.tf_variables import OBJECT_GRAPH

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
QUERY = "_transformer_layers/0/_attention_layer/_query_dense/kernel"


def copy_of(name, tmp_path):
    shutil.copytree(FIXTURES / "garden" / name, tmp_path / name)
    return tmp_path / name


@pytest.fixture
def folder(tmp_path):
    return copy_of("encoder_v2", tmp_path)


def edit_config(folder, **fields):
    path = folder / "bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def edit_params(folder, before, after):
    path = folder / "params.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def rewrite(folder, change):
    """Saves the checkpoint anew, with other variables or objects."""
    (index,) = folder.glob("*.index")
    prefix = str(index).removesuffix(".index")
    reader = tf.train.load_checkpoint(prefix)
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    graph = TrackableObjectGraph.FromString(values.pop(OBJECT_GRAPH))
    change(values, graph)
    values[OBJECT_GRAPH] = graph.SerializeToString()
    for path in folder.glob(f"{index.stem}*"):
        path.unlink()
    names = list(values)
    tensors = [tf.constant(values[name]) for name in names]
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
    )


def part(graph, number, path):
    for name in path.split("/"):
        parts = {child.local_name: child.node_id for child in graph.nodes[number].children}
        number = parts[name]
    return number


def outputs_of(folder):
    encoder = kb.BertEncoder.from_pretrained(str(folder))
    ids = np.random.default_rng(3).integers(0, 61, (2, 9)).astype("int32")
    return np.asarray(encoder({"input_word_ids": ids})["pooled_output"])


def test_config_is_read(folder):
    config = kb.EncoderConfig.from_pretrained(str(folder))
    assert (config.hidden_size, config.num_layers, config.num_attention_heads) == (24, 2, 2)
    assert (config.type_vocab_size, config.layer_norm_epsilon) == (3, 1e-12)
    # What the Garden calls gelu is the tanh form.
    assert config.hidden_activation == "gelu_tanh"
    assert config.use_pooler and config.embedding_size is None


def test_params_of_the_trainer(tmp_path):
    folder = copy_of("encoder", tmp_path)
    edit_params(folder, "      attention_dropout_rate: 0.1", "      attention_dropout_rate: 0.25")
    config = kb.EncoderConfig.from_pretrained(str(folder))
    assert (config.hidden_activation, config.masked_lm_activation) == ("relu", "gelu_tanh")
    assert (config.embedding_size, config.attention_dropout_rate) == (16, 0.25)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("norm_first: false", "norm_first: true", "norm_first=True; only False"),
        ("output_range: null", "output_range: 1", "output_range=1; only None"),
        ("num_layers: 2", "num_layers: 3", "num_layers=3, where the weights have 2"),
        (
            "embedding_size: 16",
            "embedding_size: 17",
            "embedding_size=17, where the weights have 16",
        ),
        ("hidden_activation: relu", "hidden_activation: snake", "activation is 'snake'"),
        ("dropout_rate: 0.1", "dropout_rate: much", "dropout_rate must be a number"),
        ("type: bert\n", "type: albert\n", "the encoder is 'albert'"),
        ("encoder:", "decoder:", "does not say task.model.encoder.bert"),
    ],
)
def test_params_that_cannot_be_loaded(tmp_path, before, after, message):
    folder = copy_of("encoder", tmp_path)
    edit_params(folder, before, after)
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(str(folder))


def test_params_that_are_no_text(tmp_path):
    folder = copy_of("encoder", tmp_path)
    (folder / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(kb.CheckpointError, match="is no text"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_without_a_config_the_shapes_tell_and_the_activation_is_guessed(folder):
    said = kb.EncoderConfig.from_pretrained(str(folder))
    (folder / "bert_config.json").unlink()
    with pytest.warns(UserWarning, match="neither bert_config.json nor params.yaml"):
        assert kb.EncoderConfig.from_pretrained(str(folder)) == said


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        # Both have 24 columns: only the third axis tells.
        ({"num_attention_heads": 3}, "num_attention_heads=3, where the weights have 2"),
        ({"hidden_size": 32}, "hidden_size=32, where the weights have 24"),
        ({"num_hidden_layers": 1}, "num_layers=1, where the weights have 2"),
        ({"vocab_size": None}, "vocab_size=None, where the weights have 61"),
        ({"embedding_size": 8}, "embedding_size=8, where the weights have None"),
        ({"hidden_act": ["gelu"]}, "the activation is .'gelu'.; known are gelu"),
    ],
)
def test_config_that_contradicts_the_weights(folder, fields, message):
    edit_config(folder, **fields)
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(str(folder))


def test_what_is_left_out_is_reported():
    folder = FIXTURES / "garden" / "pretrainer_items"
    checkpoint = open_checkpoint(str(folder))
    report = checkpoint.load(checkpoint.make_encoder(), {})
    assert report.ignored["save_counter"] == "a counter, not a weight"
    assert report.ignored["masked_lm/bias"] == "masked-language-model head"
    assert report.ignored["next_sentence/dense/kernel"] == "next-sentence head"
    # Stored as masked_lm/embedding_table, which is a shorter way to it.
    assert "encoder/_embedding_layer/embeddings" in report.loaded
    names = tf.train.load_checkpoint(str(next(folder.glob("*.index"))).removesuffix(".index"))
    count = len(names.get_variable_to_shape_map()) - 1
    assert len(report.loaded) + len(report.ignored) == count


@pytest.mark.filterwarnings("ignore:.*neither bert_config.json nor params.yaml")
def test_state_of_the_optimiser_is_left_out():
    checkpoint = open_checkpoint(str(FIXTURES / "garden" / "pretrainer"))
    report = checkpoint.load(checkpoint.make_encoder(), {})
    state = {n for n, why in report.ignored.items() if why == "state of the optimiser"}
    assert any(".OPTIMIZER_SLOT" in name for name in state) and "optimizer/iter" in state


def test_a_pooler_of_the_head_itself():
    """It takes the place of the encoder's, which reads the same token."""
    folder = str(FIXTURES / "garden" / "classifier_own_pooler")
    alone = kb.BertEncoder.from_pretrained(folder)
    with pytest.warns(UserWarning, match="takes ids only"):
        model = kb.BertClassifier.from_pretrained(folder)
    report = model.load_report
    assert report.ignored["encoder/_pooler_layer/kernel"].startswith("pooler")
    kernels = [np.asarray(encoder.pooler.kernel) for encoder in (alone, model.encoder)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1


def test_layers_that_have_numbers_only(tmp_path):
    """As in 2020: no names but of the layers' order, and attention's output beside it."""
    folder = copy_of("encoder", tmp_path)
    right = outputs_of(folder)

    def change(values, graph):
        encoder = part(graph, 0, "model")
        for number in (part(graph, encoder, f"_transformer_layers/{i}") for i in range(2)):
            attention = graph.nodes[part(graph, number, "_attention_layer")].children
            (place,) = (i for i, c in enumerate(attention) if c.local_name == "_output_dense")
            moved = graph.nodes[number].children.add()
            moved.CopyFrom(attention.pop(place))
            moved.local_name = "_attention_output_dense"
        children = graph.nodes[encoder].children
        kept = [child for child in children if not child.local_name.startswith("_")]
        del children[:]
        children.extend(kept)

    rewrite(folder, change)
    np.testing.assert_array_equal(outputs_of(folder), right)


def test_becomes_a_classifier_that_reads_text(folder):
    shutil.copy(FIXTURES / "encoder" / "gelu" / "vocab.txt", folder)
    model = kb.BertClassifier.from_pretrained(str(folder), labels=["bad", "good"])
    assert model.head_is_fresh and model.preprocessor.seq_length == 20


def test_one_variable_less(folder):
    rewrite(folder, lambda values, graph: values.pop(f"encoder/{QUERY}{VALUE}".replace("0", "1")))
    with pytest.raises(kb.CheckpointError, match="missing tensor encoder/_transformer_layers/1/_a"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_one_variable_more(folder):
    def change(values, graph):
        values["encoder/new" + VALUE] = np.ones(3, np.float32)
        node = graph.nodes.add()
        node.attributes.add(name="VARIABLE_VALUE", checkpoint_key="encoder/new" + VALUE)
        number = len(graph.nodes) - 1
        graph.nodes[1].children.add(local_name="_new_layer", node_id=number)

    rewrite(folder, change)
    with pytest.raises(kb.CheckpointError, match="unknown tensor encoder/_new_layer"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_wrong_type(folder):
    name = "encoder/_embedding_norm_layer/beta"
    rewrite(folder, lambda values, graph: values.update({name + VALUE: np.ones(24, np.int32)}))
    with pytest.raises(kb.CheckpointError, match=f"{name} does not hold floating numbers"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_heads_that_differ_in_number(folder):
    def change(values, graph):
        key = f"encoder/{QUERY}{VALUE}"
        values[key] = values[key].reshape(24, 3, 8)

    rewrite(folder, change)
    with pytest.raises(kb.CheckpointError, match="layers have .2, 3. heads"):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize("shape", [(24, 24), (24, 24, 1, 1)])
def test_a_kernel_without_heads(folder, shape):
    def change(values, graph):
        key = f"encoder/{QUERY}{VALUE}"
        values[key] = values[key].reshape(shape)

    rewrite(folder, change)
    with pytest.raises(kb.CheckpointError, match="_query_dense/kernel has shape"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_another_network(folder):
    def change(values, graph):
        graph.nodes[0].children[0].node_id = 2

    rewrite(folder, change)
    with pytest.raises(kb.CheckpointError, match="holds no encoder of TF Model Garden's BERT"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_two_encoders(folder):
    def change(values, graph):
        graph.nodes.add().CopyFrom(graph.nodes[1])
        graph.nodes[0].children[0].local_name = "one"
        graph.nodes[0].children.add(local_name="other", node_id=len(graph.nodes) - 1)

    rewrite(folder, change)
    with pytest.raises(kb.CheckpointError, match="several encoders"):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize("number", [-1, 10_000])
def test_a_graph_that_points_nowhere(folder, number):
    def change(values, graph):
        graph.nodes[1].children[0].node_id = number

    rewrite(folder, change)
    with pytest.raises(kb.CheckpointError, match="_CHECKPOINTABLE_OBJECT_GRAPH is damaged"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_a_graph_with_a_circle(folder):
    right = outputs_of(folder)

    def change(values, graph):
        graph.nodes[1].children.add(local_name="parent", node_id=0)
        graph.nodes[1].children.add(local_name="self", node_id=1)

    rewrite(folder, change)
    np.testing.assert_array_equal(outputs_of(folder), right)


@pytest.mark.parametrize("content", [np.int64(3), b"no graph"])
def test_a_graph_that_is_none(folder, content):
    (index,) = folder.glob("*.index")
    tf.raw_ops.SaveV2(
        prefix=str(index).removesuffix(".index"),
        tensor_names=[OBJECT_GRAPH],
        shape_and_slices=[""],
        tensors=[tf.constant(content)],
    )
    with pytest.raises(kb.CheckpointError, match="_CHECKPOINTABLE_OBJECT_GRAPH is damaged"):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize("keep", [0, 100, 20_000])
def test_truncated_data(folder, keep):
    (path,) = folder.glob("*.data-*")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))


def test_flipped_bits_are_noticed(folder):
    (path,) = folder.glob("*.data-*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))


@pytest.mark.parametrize("content", [b"", bytes(1000)])
def test_damaged_index(folder, content):
    (path,) = folder.glob("*.index")
    path.write_bytes(content)
    with pytest.raises(kb.CheckpointError, match="cannot be read"):
        kb.BertEncoder.from_pretrained(str(folder))


CASES = sorted(path.parent.name for path in (FIXTURES / "garden").glob("*/expected.npz"))


def found_in(folder, also):
    """{variable of the first folder's: (its value, the other's at the end of the same way)}.

    TensorFlow restores by following the names of parts on both sides at once. This does the same.
    """
    graphs = []
    for place in (folder, also):
        (index,) = place.glob("*.index")
        reader = tf.train.load_checkpoint(str(index).removesuffix(".index"))
        graph = TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH))
        graphs.append((reader, graph.nodes))
    (reader, nodes), (other_reader, other_nodes) = graphs
    values, ways = {}, [(0, 0)]
    seen = set(ways)
    while ways:
        one, other = ways.pop()
        for attribute in nodes[one].attributes:
            keys = [a.checkpoint_key for a in other_nodes[other].attributes]
            value = reader.get_tensor(attribute.checkpoint_key)
            values[attribute.checkpoint_key] = (value, other_reader.get_tensor(keys[0]))
        there = {child.local_name: child.node_id for child in other_nodes[other].children}
        for child in nodes[one].children:
            way = (child.node_id, there.get(child.local_name))
            if way[1] is not None and way not in seen:
                seen.add(way)
                ways.append(way)
    return values


def keys_of(folder):
    """What a checkpoint's variables are called here, and what there."""
    return open_checkpoint(str(folder))._tensors._keys.items()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:.*neither bert_config.json nor params.yaml")
def test_there_and_back(name, tmp_path):
    """Every variable that the Garden's models look for is where they look for it."""
    source, target = FIXTURES / "garden" / name, tmp_path / "again"
    report = kb.checkpoints.convert(str(source), str(target), format="garden")
    assert set(report.parity.values()) == {0}
    found = found_in(source, target)
    reader = tf.train.load_checkpoint(str(next(source.glob("*.index"))).removesuffix(".index"))
    keys = set(reader.get_variable_to_shape_map()) - {OBJECT_GRAPH}
    lost = {key for key in keys - set(found) if not key.startswith("optimizer/")}
    lost = {key for key in lost if ".OPTIMIZER_SLOT" not in key}
    # What has no head to belong to, or a pooler in whose place the head's own is.
    assert all("pooler" in key or "/dense/" in key for key in lost) and len(lost) <= 2
    replaced = {
        "save_counter" + VALUE,
        *(key for ours, key in keys_of(source) if ours in report.ignored),
    }
    for key, (value, again) in found.items():
        if key not in replaced:
            np.testing.assert_array_equal(value, again, err_msg=key)
    before, after = (kb.EncoderConfig.from_pretrained(str(f)) for f in (source, target))
    assert before == after


def test_from_google_and_back(tmp_path):
    """The same weights, and none lost."""
    source = FIXTURES / "google" / "bert"
    kb.checkpoints.convert(str(source), str(tmp_path / "tf2"), format="garden")
    report = kb.checkpoints.convert(str(tmp_path / "tf2"), str(tmp_path / "tf1"), format="google")
    assert set(report.parity.values()) == {0}
    readers = [
        tf.train.load_checkpoint(str(f / "bert_model.ckpt")) for f in (source, tmp_path / "tf1")
    ]
    for name in readers[1].get_variable_to_shape_map():
        np.testing.assert_array_equal(*(reader.get_tensor(name) for reader in readers))
    assert "cls/predictions/output_bias" in readers[1].get_variable_to_shape_map()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("families/roberta", "positions_skip_padding=True"),
        ("google/albert", "num_layer_groups=1"),
        ("families/distilbert", "type_vocab_size=0"),
        ("encoder/relu", "layer_norm_epsilon=0.001"),
    ],
)
def test_what_the_garden_does_not_compute(source, message, tmp_path):
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(str(FIXTURES / source)).save_pretrained(
            str(tmp_path / "new"), format="garden"
        )
    assert not list(tmp_path.iterdir())


def test_the_other_form_of_gelu(tmp_path):
    encoder = kb.BertEncoder(
        kb.EncoderConfig(20, 8, 1, 2, 8, hidden_activation="gelu", max_position_embeddings=8)
    )
    with pytest.warns(UserWarning, match="another form of GELU"):
        encoder.save_pretrained(str(tmp_path / "new"), format="garden")
    again = kb.BertEncoder.from_pretrained(str(tmp_path / "new"), verify=True)
    assert again.config.hidden_activation == "gelu_tanh"
    np.testing.assert_array_equal(again.pooler.kernel, encoder.pooler.kernel)


def test_a_projection_that_the_garden_would_not_make(tmp_path):
    encoder = kb.BertEncoder(
        kb.EncoderConfig(20, 8, 1, 2, 8, embedding_size=8, hidden_activation="relu")
    )
    with pytest.raises(kb.CheckpointError, match="embedding_size=8"):
        encoder.save_pretrained(str(tmp_path / "new"), format="garden")


@pytest.mark.skipif(
    "KERAS_BERT_GARDEN" not in os.environ,
    reason="set KERAS_BERT_GARDEN to a Python with tf-models-official",
)
@pytest.mark.filterwarnings("ignore:.*neither bert_config.json nor params.yaml")
def test_the_garden_restores_what_is_written(tmp_path):
    for name in CASES:
        source = FIXTURES / "garden" / name
        kb.checkpoints.convert(str(source), str(tmp_path / name), format="garden")
    script = FIXTURES / "make" / "garden_restore.py"
    subprocess.run([os.environ["KERAS_BERT_GARDEN"], script, tmp_path], check=True)
