"""TensorFlow 1 checkpoints against Google's own code; see fixtures/make/google_checkpoints.py."""

from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "google"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))


def read(name):
    """(inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / name / "expected.npz"))
    return {name: arrays.pop(name) for name in INPUTS}, arrays


def test_all_cases_are_there():
    assert CASES == [
        "albert",
        "albert_groups",
        "bert",
        "bert_answers",
        "bert_classifier",
        "electra",
        "electra_generator",
        "mobilebert",
        "mobilebert_answers",
        "mobilebert_classifier",
        "mobilebert_teacher",
    ]


@pytest.mark.parametrize("name", CASES)
def test_encoder(name):
    inputs, expected = read(name)
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / name))
    outputs = encoder(inputs)
    assert off(outputs["sequence_output"], expected["sequence_output"]) <= TOLERANCE
    # MobileBERT's code counts the embeddings among the layers.
    layers = expected["encoder_outputs"][-len(outputs["encoder_outputs"]) :]
    assert off(outputs["encoder_outputs"], layers) <= TOLERANCE
    assert (outputs["pooled_output"] is not None) == ("pooled_output" in expected)
    if "pooled_output" in expected:
        assert off(outputs["pooled_output"], expected["pooled_output"]) <= TOLERANCE


@pytest.mark.parametrize(
    "name, model_class",
    [
        ("albert", kb.BertPretrainer),
        ("bert", kb.BertPretrainer),
        ("bert_answers", kb.BertSpanLabeler),
        ("bert_classifier", kb.BertClassifier),
        ("electra", kb.BertPretrainer),
        ("mobilebert", kb.BertPretrainer),
        ("mobilebert_answers", kb.BertSpanLabeler),
        ("mobilebert_classifier", kb.BertClassifier),
        ("mobilebert_teacher", kb.BertPretrainer),
    ],
)
@pytest.mark.filterwarnings("ignore:The model takes ids only")
def test_heads(name, model_class):
    inputs, expected = read(name)
    model = model_class.from_pretrained(str(FOLDER / name))
    assert not model.load_report.fresh and not model.head_is_fresh
    ignored = set(model.load_report.ignored.values())
    assert ignored <= {"state of the optimiser", "pooler, which this model has no use for"}
    outputs = model(inputs)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    for key, ours in outputs.items():
        assert off(ours, expected[key]) <= TOLERANCE, key


@pytest.mark.filterwarnings("ignore:The model takes ids only")
def test_both_networks_of_electra():
    inputs, expected = read("electra_generator")
    folder = str(FOLDER / "electra_generator")
    found = kb.BertPretrainer.from_pretrained(folder)
    assert found.objectives == ("replaced_tokens",) and not found.load_report.fresh
    assert off(found(inputs)["replaced_tokens"], expected["replaced_tokens"]) <= TOLERANCE
    generator = kb.BertMaskedLM.from_pretrained(f"{folder}/generator")
    assert not generator.load_report.fresh and not generator.head_is_fresh
    sequence = generator.encoder(inputs)["sequence_output"]
    assert off(sequence, expected["generator_output"]) <= TOLERANCE
    assert off(generator(inputs), expected["masked_lm"]) <= TOLERANCE
