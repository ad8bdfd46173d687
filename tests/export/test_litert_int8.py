"""Weights and activations of 8 bits: ranges, rounding, and what is left in float32."""

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.export import ExportError, ask_litert
from keras_bert.export.litert import calibration, conversion, writing
from keras_bert.export.litert.calibration import MOST_NOISE, Range, quantized_layers
from keras_bert.export.litert.plain import plain_copy
from keras_bert.export.litert.weights import with_weights_of_8_bits

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT's interpreter")
pytestmark = pytest.mark.filterwarnings("ignore")

TEXTS = ["where is my card?", "the food is great", "bad service, never again", "I love it"] * 4


def test_noise_of_a_range():
    even, odd = Range(), Range()
    even.see([[-1.0, 1.0], [0.5, -0.5]])
    odd.see([[0.1] * 30 + [100.0]])
    steps = 2 / 255 / np.sqrt(12)
    assert even.noise == pytest.approx(steps / np.sqrt(2.5 / 4))
    assert even.noise < MOST_NOISE / 10 and even.noise < odd.noise
    assert odd.noise == pytest.approx(100 / 255 / np.sqrt(12) / 0.1)
    values = np.random.default_rng(0).uniform(-1, 1, (5000, 2)).astype(np.float32)
    seen = Range()
    seen.see(values)
    error = np.asarray(seen.rounded(values)) - values
    assert np.sqrt((error**2).mean() / (values**2).mean()) == pytest.approx(seen.noise, rel=0.05)
    odd.see([])
    assert Range().noise == np.inf


def test_layers_that_rounding_harms_are_left_alone(model):
    copy = plain_copy(model)
    ids = copy.preprocessor(TEXTS)
    layers = [x for x in copy._flatten_layers() if (x.path or "").endswith("block_0/output")]
    (layer,) = layers
    bias = layer.bias.numpy()
    bias[3] = 2000.0  # one number that leaves the others no steps
    layer.bias.assign(bias)
    plain = copy(ids).numpy()
    with quantized_layers(copy, TEXTS) as learnt:
        assert list(learnt["float_layers"]) == [layer.path]
        assert learnt["float_layers"][layer.path] > MOST_NOISE
        rounded = copy(ids).numpy()
    assert learnt["calibration_texts"] == len(TEXTS) and learnt["quantized_layers"] > 4
    assert 0 < np.abs(rounded - plain).max() < 0.1
    np.testing.assert_array_equal(copy(ids), plain)  # as it was


def test_where_all_rounding_is_too_much(model, monkeypatch):
    monkeypatch.setattr(calibration, "MOST_NOISE", 0.0)
    with pytest.raises(ExportError, match="rounding would be more than 0% of .* layer; the least"):
        with quantized_layers(plain_copy(model), TEXTS):
            pass


def test_weights_of_8_bits(model):
    copy = plain_copy(model)
    signatures, _ = writing._signatures(copy, (8,), False)
    content = conversion.convert(signatures, [v.value for v in copy.variables])
    small = with_weights_of_8_bits(content)
    assert len(small) < 0.7 * len(content)
    assert "DEQUANTIZE" in conversion.operations(small)
    ids = {n: x.numpy() for n, x in copy.preprocessor(TEXTS[:4]).items()}
    found = []
    for each in (content, small):
        run = litert.Interpreter(model_content=each).get_signature_runner("tokens")
        found.append(run(**ids)["logits"])
    difference = np.abs(found[0] - found[1]).max()
    assert 0 < difference < 0.05
    assert np.abs(found[0] - copy(ids).numpy()).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["class", "tags", "spans", "choices"])
def test_int8(tiny_checkpoint, tmp_path, kind):
    make, options, texts = {
        "class": (kb.BertClassifier, {}, TEXTS),
        "tags": (kb.BertTokenClassifier, {"labels": ["O", "B-X", "I-X"]}, TEXTS),
        "spans": (kb.BertSpanLabeler, {}, [("what?", text) for text in TEXTS]),
        "choices": (kb.BertMultipleChoice, {}, [("so", [text, "a"]) for text in TEXTS]),
    }[kind]
    model = make.from_pretrained(str(tiny_checkpoint), **options)
    words = [text.split() for text in TEXTS]
    calibration_ = words if kind == "tags" else texts
    path = kb.export.litert(
        model, tmp_path / "x.tflite", "int8", calibration=calibration_, max_drop=0.05, sample=texts
    )
    loaded = ask_litert.load(path)
    quantization = loaded.metadata["quantization"]
    assert quantization["mode"] == "int8" and quantization["quantized_layers"] > 4
    assert quantization["sample"]["mean_cosine"] > 0.95
    assert {"QUANTIZE", "DEQUANTIZE"} <= set(loaded.metadata["builtin_ops"])
    assert len(ask_litert.ask(loaded, texts[:2])) == 2


@pytest.mark.slow
def test_scores_before_and_after(tiny_checkpoint, tmp_path, capsys):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    examples = [("where is my card?", "question"), ("bad food", "complaint"), ("great", "praise")]
    path = tmp_path / "x.tflite"
    kb.export.litert(model, path, "dynamic_int8", evaluation=examples, max_drop=0.5)
    line = capsys.readouterr().out
    wanted = model.evaluate(examples, verbose=0)
    assert line == f"accuracy {wanted['accuracy']:.4f} -> {line.split()[3]} (dynamic_int8)\n"
    found = ask_litert.read_metadata(str(path))["quantization"]["evaluation"]
    assert found["metric"] == "accuracy"
    assert found["before"]["loss"] == pytest.approx(wanted["loss"], abs=1e-5)
    assert found["after"]["loss"] != found["before"]["loss"]
    assert found["after"]["loss"] == pytest.approx(wanted["loss"], abs=0.05)
    # A worse one is refused, and the old file stays.
    old = path.read_bytes()
    with pytest.raises(ExportError, match="mean cosine similarity is 0.9.*1e-09 is allowed"):
        kb.export.litert(model, path, "dynamic_int8", max_drop=1e-9)
    assert path.read_bytes() == old


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tags", "spans", "scored pairs", "windows", "words", "choices"])
def test_every_task_is_evaluated(tiny_checkpoint, tmp_path, kind):
    labels = ["O", "B-X", "I-X"]
    make, options, examples = {
        "tags": (
            kb.BertTokenClassifier,
            {"labels": labels, "stride": 4, "seq_length": 16},
            [(["where", "is", "it", "bad"] * 6, ["O", "B-X", "I-X", "O"] * 6)],
        ),
        "spans": (kb.BertSpanLabeler, {"seq_length": 32}, [(("what?", "the card is"), "card")]),
        "scored pairs": (
            kb.DualEncoder,
            {},
            [("my card", "the card", 0.9), ("my card", "bad food", 0.1), ("a", "b", 0.4)],
        ),
        "windows": (
            kb.BertClassifier,
            {"seq_length": 16, "stride": 4},
            [("bad food " * 20, "complaint"), ("where?", "question")],
        ),
        "words": (kb.BertMaskedLM, {}, ["the card is late and the food is bad"] * 3),
        "choices": (
            kb.BertMultipleChoice,
            {},
            [(("the food", ["is good", "is my card"]), 0), (("a", ["b", "c", "d"]), 2)],
        ),
    }[kind]
    model = make.from_pretrained(str(tiny_checkpoint), **options)
    path = kb.export.litert(
        model, tmp_path / "x.tflite", "float16", evaluation=examples, max_drop=None, strings=False
    )
    found = ask_litert.read_metadata(path)["quantization"]["evaluation"]
    assert found["after"].keys() == found["before"].keys()
    for name, value in found["before"].items():
        scale = max(1.0, abs(value))
        if name not in ("exact_match", "f1", "precision", "recall"):
            assert found["after"][name] == pytest.approx(value, abs=0.02 * scale), name
