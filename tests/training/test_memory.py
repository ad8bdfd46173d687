"""Foretold memory against the models themselves, and against what their graphs keep."""

import subprocess
import sys

import pytest

import keras_bert as kb
from keras_bert.training import largest_batch, plan_memory
from keras_bert.training.memory import _Kept
from tests.layers import test_memory as graphs

TINY = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
CONFIGS = {
    "bert": {},
    "albert": {"num_layer_groups": 2, "embedding_size": 8},
    "distilbert": {"type_vocab_size": 0, "use_pooler": False},
    "untied": {"tie_word_embeddings": False},
}
GIB = 2**30


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("task", ["classification", "tagging", "masked-words"])
def test_parameters_are_those_of_the_model(name, task):
    config = kb.EncoderConfig(**TINY, **CONFIGS[name])
    plan = plan_memory(config, 1, 8, task=task)
    if task == "masked-words":
        wanted = kb.BertMaskedLM(kb.BertEncoder(config)).encoder.count_params()
        wanted += kb.BertMaskedLM(kb.BertEncoder(config)).head_layers()["masked_lm"].count_params()
        wanted -= 16 * 16 + 16 if config.use_pooler else 0
    else:
        wanted = kb.BertEncoder(config).count_params()
        wanted -= 16 * 16 + 16 if config.use_pooler and task == "tagging" else 0
    # Seeds of dropout are no parameters.
    seeds = sum(2 for v in kb.BertEncoder(config).non_trainable_variables)
    assert plan.parameters in (wanted, wanted - seeds)
    assert plan.weights == 4 * plan.parameters
    assert plan.optimizer_state == 8 * plan.parameters


@pytest.mark.parametrize(
    "activation",
    ["gelu", *(pytest.param(a, marks=pytest.mark.slow) for a in ("gelu_tanh", "relu"))],
)
def test_a_block_keeps_what_the_graph_keeps(activation):
    config = kb.EncoderConfig(
        hidden_size=graphs.HIDDEN,
        num_attention_heads=2,
        intermediate_size=4 * graphs.HIDDEN,
        hidden_activation=activation,
    )
    found = graphs.kept(3, activation) - graphs.kept(2, activation)
    found *= 4 * graphs.BATCH * graphs.TOKENS * graphs.HIDDEN
    told = _Kept(config, graphs.BATCH, graphs.TOKENS, "tagging", 4).block()
    assert told == pytest.approx(found, rel=0.05)


def test_known_sizes():
    # As published: 110M and 340M, the latter rounded up.
    assert plan_memory("base", 1, 128).parameters == 109_482_240
    assert plan_memory("large", 1, 128).parameters == 335_141_888


def test_what_needs_more():
    def peak(batch=8, length=256, sizes="base", **options):
        return plan_memory(sizes, batch, length, **options).peak

    plain = peak()
    assert peak(16) > plain and peak(length=512) > plain and peak(sizes="large") > plain
    assert peak(checkpointing=True) < plain
    assert peak(dtype="mixed_bfloat16") < plain
    assert peak(accumulate=4) == plain + 4 * 109_482_240
    assert peak(replicas=2) == peak(4) and peak(3, replicas=2) == peak(2)
    assert peak(optimizer="adam") == plain - 4 * 109_482_240
    assert peak(optimizer="sgd") == plain - 12 * 109_482_240
    assert peak(task="masked-words") > peak(task="tagging") > plain
    assert peak(1, 512, checkpointing=True) >= 16 * 109_482_240


def test_operations():
    # Six for each weight of the blocks and token, and attention's on top.
    blocks = 12 * (12 * 768 * 768)
    plan = plan_memory("base", 2, 128, task="tagging")
    attention = 12 * 4 * 128 * 768 * 128
    assert plan.flops == 2 * 3 * (2 * blocks * 128 + attention)
    again = plan_memory("base", 2, 128, task="tagging", checkpointing=True)
    assert again.flops == pytest.approx(plan.flops * 4 / 3)


def test_a_model_tells_what_learns():
    config = kb.EncoderConfig(**TINY)
    whole = plan_memory(kb.BertEncoder(config), 4, 16)
    encoder = kb.BertEncoder(config, checkpointing=True, dtype="mixed_bfloat16")
    assert plan_memory(encoder, 4, 16).activations < whole.activations
    encoder.freeze(2)
    part = plan_memory(encoder, 4, 16, checkpointing=False, dtype="float32")
    assert part.trainable < whole.trainable and part.activations < whole.activations
    assert part.gradients == 4 * part.trainable and part.weights == whole.weights
    model = kb.BertClassifier(kb.BertEncoder(config), labels=["a", "b"])
    assert plan_memory(model, 4, 16).trainable == whole.trainable + 2 * 17
    model.enable_lora(2)
    assert plan_memory(model, 4, 16).optimizer_state < whole.optimizer_state / 4


def test_the_largest_batch():
    for options in ({}, {"checkpointing": True}, {"task": "masked-words", "replicas": 4}):
        most = largest_batch("base", 16 * GIB, 512, **options)
        assert plan_memory("base", most, 512, **options).peak <= 16 * GIB
        assert plan_memory("base", most + 1, 512, **options).peak > 16 * GIB
    assert largest_batch("large", GIB, 128) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("huge", 1, 8), "base, large"),
        (("base", 0, 8), "batch_size is a whole number"),
        (("base", 1, 2.5), "seq_length is a whole number"),
        (("base", 1, 513), "positions for: 512"),
        (("base", 1, 8, {"task": "poetry"}), "Unknown task"),
        (("base", 1, 8, {"optimizer": "lion"}), "Unknown optimizer"),
        (("base", 1, 8, {"dtype": "int8"}), "Unknown dtype"),
        (("base", 1, 8, {"accumulate": 0}), "accumulate"),
        ((kb.ModernBertConfig(), 1, 8), "ModernBertConfig"),
        ((kb.EncoderConfig(bottleneck_size=96), 1, 8), "other blocks"),
    ],
)
def test_nonsense(arguments, message):
    *arguments, last = arguments
    options = last if isinstance(last, dict) else {}
    arguments = arguments if options else [*arguments, last]
    with pytest.raises(ValueError, match=message):
        plan_memory(*arguments, **options)


def test_other_nonsense():
    with pytest.raises(TypeError, match="received int"):
        plan_memory(3, 1, 8)
    with pytest.raises(ValueError, match="memory is a number of bytes"):
        largest_batch("base", 0, 8)


@pytest.mark.slow
def test_checkpointing_takes_less_memory(fixtures):
    benchmark = fixtures.parent.parent / "benchmarks" / "memory.py"
    command = [sys.executable, str(benchmark), "--cells"]
    cells = ["medium:8:256", "medium:8:256:checkpointing"]
    done = subprocess.run(
        [*command, *cells], capture_output=True, text=True, check=True, timeout=600
    )
    plain, again = (float(row.split("|")[6]) for row in done.stdout.splitlines()[2:])
    assert again < 0.7 * plain
