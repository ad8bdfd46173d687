"""Exports whose weights are constants of the graph."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import keras_bert as kb
from keras_bert.export import ask, constant_weights
from keras_bert.export.signatures import make_signatures

pytestmark = pytest.mark.filterwarnings("ignore")

TABLES = {"word_embeddings", "position_embeddings", "type_embeddings"}


def constants_in(path) -> list[tuple]:
    """Shapes of the float constants of a SavedModel, for each function of its own."""
    content = saved_model_pb2.SavedModel.FromString((Path(path) / "saved_model.pb").read_bytes())
    return [
        [
            tuple(d.size for d in node.attr["value"].tensor.tensor_shape.dim)
            for node in function.node_def
            if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum
        ]
        for function in content.meta_graphs[0].graph_def.library.function
    ]


def test_kernels_are_in_the_graph_once_and_tables_beside_it(model, exported, texts, tmp_path):
    path = kb.export.saved_model(model, tmp_path / "reviews", weights="constants")
    loaded = ask.load(path)
    for answer, wanted in zip(
        ask.ask(loaded, texts), ask.ask(ask.load(str(exported)), texts), strict=True
    ):
        assert answer["label"] == wanted["label"]
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)
    reader = tf.train.load_checkpoint(str(Path(path) / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    stored = {tuple(s) for name, s in shapes.items() if name.startswith("weights/")}
    assert stored == {tuple(v.shape) for v in model.variables if v.name in TABLES}
    kernels = sorted(
        tuple(v.shape) for v in model.variables if v.name not in TABLES and len(v.shape) == 2
    )
    found = sorted(
        shape for function in constants_in(path) for shape in function if shape in kernels
    )
    assert found == kernels
    record, other = (
        json.loads((Path(p) / "keras_bert.json").read_text()) for p in (path, exported)
    )
    assert (record["weights"], other["weights"]) == ("constants", "variables")
    assert record["parameters"] == other["parameters"]
    assert all(check.get("passed", True) for check in record["checks"])


def test_values_are_those_of_the_moment_and_the_model_stays_as_it_is(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    wanted = model.predict(["I love this"])[0]["probabilities"]
    constants = constant_weights.constants_of(model)
    function = make_signatures(model, constants=constants)["serving_default"]
    for layer in model.head_layers().values():
        layer.set_weights([w * 0 for w in layer.get_weights()])
    found = function(tf.constant(["I love this"]))["probabilities"].numpy()[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.ptp(model.predict(["I love this"])[0]["probabilities"]) == 0


def test_windows_have_them_within_their_loop(tiny_checkpoint, tmp_path):
    model = kb.BertSpanLabeler.from_pretrained(
        str(tiny_checkpoint), seq_length=32, stride=8, max_query_length=8
    )
    random = np.random.default_rng(1)
    model.head.set_weights([random.normal(size=w.shape) for w in model.head.get_weights()])
    path = kb.export.saved_model(model, tmp_path / "spans", weights="constants", verify=False)
    pairs = [("where?", "the food is great and the service is bad " * 6), ("", "")]
    answers = ask.ask(ask.load(path), pairs)
    for answer, wanted in zip(answers, model.predict(pairs), strict=True):
        assert answer["text"] == wanted["text"]
        assert abs(answer["score"] - wanted["score"]) < 1e-4
    kernel = tuple(model.encoder.blocks[0].intermediate.kernel.shape)
    assert [kernel in function for function in constants_in(path)].count(True) == 1


@pytest.mark.parametrize("weights", ["constant", None, True])
def test_an_unknown_kind_is_refused(model, tmp_path, weights):
    with pytest.raises(ValueError, match="weights=.*'variables', 'constants'"):
        kb.export.saved_model(model, tmp_path / "new", weights=weights)
    assert not (tmp_path / "new").exists()


def test_more_than_a_graph_holds_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(constant_weights, "_MOST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"would put .* GiB into the graph"):
        kb.export.saved_model(model, tmp_path / "new", weights="constants")
    assert not list(tmp_path.glob("**/*.pb"))
