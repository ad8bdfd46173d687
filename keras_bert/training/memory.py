"""What a training step needs: memory and floating-point operations, foretold from the sizes."""

from __future__ import annotations

import dataclasses
import math

from keras_bert.config import EncoderConfig

__all__ = ["OPTIMIZER_SLOTS", "SIZES", "MemoryPlan", "largest_batch", "plan_memory"]

#: Optimiser → float32 numbers that it keeps for each parameter that learns.
OPTIMIZER_SLOTS = {"adamw": 2, "adam": 2, "lamb": 2, "sgd": 0}

#: Those that write weights that have decayed before they take their step.
DECAYING = ("adamw", "lamb")

#: Policy → bytes of a number that products are computed in.
COMPUTE_BYTES = {"float32": 4, "mixed_bfloat16": 2, "mixed_float16": 2}

#: Task → whether its head reads the first token alone; None: it scores masked tokens.
TASKS = {
    "classification": True,
    "multi-label": True,
    "regression": True,
    "multiple-choice": True,
    "tagging": False,
    "question-answering": False,
    "similarity": False,
    "masked-words": None,
}

#: Name → layers, hidden size and attention heads. Source: Devlin et al. 2018, section 3; the small
#: ones: Turc et al. 2019 (arXiv:1908.08962), table 1.
SIZES = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (4, 512, 8),
    "medium": (8, 512, 8),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}

FLOAT = 4


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """What one training step needs on each device, in bytes.

    Attributes:
        parameters: Number of weights.
        trainable: Number of those that learn.
        weights: The weights, float32 under every policy.
        optimizer_state: What the optimiser keeps.
        accumulated: Sums of gradients over batches, where they are accumulated.
        gradients: The gradients of one batch.
        activations: What the way forward keeps for the way back, ids and all.
        working: What is made and dropped again around the moment of the peak.
        peak: The most that is in use at once.
        flops: Floating-point operations of one batch, on all devices; a multiply-add counts as two.
    """

    parameters: int
    trainable: int
    weights: int
    optimizer_state: int
    accumulated: int
    gradients: int
    activations: int
    working: int
    peak: int
    flops: int


def plan_memory(
    model,
    batch_size: int,
    seq_length: int,
    *,
    task: str = "classification",
    optimizer: str = "adamw",
    dtype: str | None = None,
    checkpointing: bool | None = None,
    accumulate: int = 1,
    replicas: int = 1,
) -> MemoryPlan:
    """Foretells the memory of a training step.

    Not in it: Python, TensorFlow and the graph (0.6 to 1 GB on CPU), scratch space of oneDNN and
    cuDNN, what an allocator loses between blocks of memory, buffers of a collective, and the
    pipeline of batches.

    Args:
        model: The name of some sizes in ``SIZES``, an ``EncoderConfig``, or an encoder or task
            model, of which it counts what learns, whether checkpointing is on, and the dtype.
        batch_size: Texts per batch, on all devices together.
        seq_length: Tokens per text, padding included.
        task: As ``keras-bert train --task`` has it.
        optimizer: A name in ``OPTIMIZER_SLOTS``.
        dtype: ``"float32"``, ``"mixed_bfloat16"`` or ``"mixed_float16"``; default: the model's,
            else float32.
        checkpointing: Whether blocks are computed again for their gradients; default: the model's,
            else not.
        accumulate: Batches whose gradients make one step.
        replicas: Devices that share a batch.

    Returns:
        A ``MemoryPlan``.

    Raises:
        TypeError: If ``model`` is something else.
        ValueError: On an unknown name, a number that is none, more tokens than the encoder has
            positions for, or an encoder of other blocks than BERT's.

    Source: the tensors that ``keras_bert.layers.gradients`` says are kept. The idea, and counting
    activations by hand: Korthikanti et al. 2022 (arXiv:2205.05198), section 4. Operations:
    ``flops_computation.py`` of google-research/electra.

    Example:
        >>> plan = plan_memory("base", batch_size=8, seq_length=128)
        >>> plan.parameters
        109482240
    """
    config, module = _config_of(model)
    dtype = dtype or (module.dtype_policy.name if module is not None else "float32")
    if checkpointing is None:
        checkpointing = getattr(module, "checkpointing", False)
    _check(config, batch_size, seq_length, task, optimizer, dtype, accumulate, replicas)
    parameters = _parameters(config, task)
    total = sum(parameters.values())
    trainable, frozen = (total, 0) if module is None else _learning(module)
    parameters_all = total if module is None else module.count_params()
    rows = -(-batch_size // replicas)
    kept = _Kept(config, rows, seq_length, task, COMPUTE_BYTES[dtype])
    gradients = FLOAT * trainable
    activations, working = kept.activations(checkpointing, frozen)
    fixed = FLOAT * parameters_all
    optimizer_state = FLOAT * OPTIMIZER_SLOTS[optimizer] * trainable
    accumulated = FLOAT * trainable if accumulate > 1 else 0
    decayed = FLOAT * trainable if optimizer in DECAYING else 0
    peak = kept.peak(activations, working, gradients, parameters, decayed)
    return MemoryPlan(
        parameters=parameters_all,
        trainable=trainable,
        weights=fixed,
        optimizer_state=optimizer_state,
        accumulated=accumulated,
        gradients=gradients,
        activations=activations,
        working=working,
        peak=fixed + optimizer_state + accumulated + peak,
        flops=_flops(config, batch_size, seq_length, task, checkpointing),
    )


def largest_batch(model, memory: int, seq_length: int, **options) -> int:
    """The largest batch on all devices whose step fits.

    Args:
        model: As ``plan_memory`` takes it.
        memory: Bytes of each device.
        seq_length: As ``plan_memory`` takes it.
        **options: As ``plan_memory`` takes them.

    Returns:
        Number of texts; 0 where not one fits.

    Raises:
        ValueError: If memory is not positive; and as ``plan_memory``.

    Example:
        >>> largest_batch("base", 16 * 2**30, 128) > largest_batch("large", 16 * 2**30, 128)
        True
    """
    if not memory > 0:
        raise ValueError(f"memory is a number of bytes above 0; received {memory!r}.")

    def fits(batch):
        return plan_memory(model, batch, seq_length, **options).peak <= memory

    if not fits(1):
        return 0
    low, high = 1, 2
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


class _Kept:
    """Bytes that blocks of one step keep; ``c`` is the size of a computed number."""

    def __init__(self, config, rows, length, task, c):
        self.config, self.rows, self.length, self.c = config, rows, length, c
        self.tokens = rows * length
        self.task = task

    def block(self, first_token_only=False):
        """What a block keeps beside its input.

        Each token: query, key, value and what attention makes of them; two LayerNorms, each of
        which keeps its normalised input in float32 and has an output that the next product reads;
        the widened vector and, but for ReLU, its derivative; a byte for each number that dropout
        may drop; and the probabilities of all keys for each head.
        """
        config, c = self.config, self.c
        h, wide = config.hidden_size, config.intermediate_size
        derivative = 0 if config.hidden_activation == "relu" else wide
        masks = 2 * h * (config.dropout_rate > 0)
        probability = c + (config.attention_dropout_rate > 0)
        one = 2 * h * c + 2 * h * (FLOAT + c) + (wide + derivative) * c + masks
        one += config.num_attention_heads * self.length * probability
        queries = self.rows if first_token_only else self.tokens
        return queries * one + self.tokens * 2 * h * c

    def embeddings(self):
        """The LayerNorm's, dropout's mask, and the ids, mask and types as int32."""
        config = self.config
        width = config.embedding_width
        projected = config.hidden_size * self.c if width != config.hidden_size else 0
        masks = width * (config.dropout_rate > 0)
        return self.tokens * (width * (FLOAT + self.c) + masks + projected + 12)

    def head(self):
        """What a head keeps: that of masked tokens has a logit, and its slope, for every word."""
        config = self.config
        if TASKS[self.task] is not None:
            return self.rows * 2 * config.hidden_size * self.c
        predictions = self.rows * _predictions(self.length)
        width = config.embedding_width
        return predictions * (2 * config.vocab_size * FLOAT + width * (3 * self.c + FLOAT))

    def casts(self):
        """Weights of one block in the dtype that products are computed in."""
        return self.c * _block_parameters(self.config) if self.c != FLOAT else 0

    def working(self):
        """What the way back of one block makes and drops again.

        Of attention three tensors as large as its probabilities, in float32; of the feed-forward
        part two as wide as that.
        """
        config = self.config
        scores = 3 * config.num_attention_heads * self.length * FLOAT
        wide = 2 * config.intermediate_size * self.c
        return self.tokens * (max(scores, wide) + 2 * config.hidden_size * self.c)

    def activations(self, checkpointing, frozen):
        """What is kept on the way forward, and what is made around the peak."""
        config = self.config
        blocks = len(config.block_order)
        first_only = bool(TASKS[self.task])
        working = self.working()
        inputs = self.tokens * config.hidden_size * self.c
        learning = blocks - frozen
        outside = self.embeddings() + self.head()
        if checkpointing:
            largest = self.block(first_only and blocks == 1)
            return outside + learning * inputs, working + largest + self.casts()
        kept = max(learning - 1, 0) * self.block() + bool(learning) * self.block(first_only)
        return outside + kept + learning * self.casts(), working

    def peak(self, activations, working, gradients, parameters, decayed):
        """The most beside weights and what the optimiser keeps.

        Activations, gradients and the weights that are decayed before their step add up: so it was
        measured, where the larger of them alone came out a fifth too low. A reason may be that
        nothing makes TensorFlow compute a block's weight gradients before it goes on to the block
        below, nor one weight's step before it decays the next, so that what they are made of
        waits. In the update the gradient of the largest table is written out.
        """
        table = FLOAT * parameters["word_embeddings"]
        return gradients + decayed + max(activations + working, table - decayed)


def _predictions(length):
    """Masked tokens of a text. Source: Devlin et al. 2018, section 3.1: 15 %."""
    return max(1, round(0.15 * length))


def _block_parameters(config):
    h, wide = config.hidden_size, config.intermediate_size
    return 4 * h * h + 4 * h + 2 * h * wide + wide + h + 4 * h


def _parameters(config, task):
    """Part → number of weights."""
    h, e = config.hidden_size, config.embedding_width
    groups = len(set(config.block_order))
    tables = config.max_position_embeddings + config.type_vocab_size
    parts = {
        "word_embeddings": config.vocab_size * e,
        "embeddings": tables * e + 2 * e + (e * h + h if config.embedding_size else 0),
        "blocks": groups * _block_parameters(config),
    }
    if TASKS[task] and config.use_pooler:
        parts["pooler"] = h * h + h
    if TASKS[task] is None:
        parts["head"] = h * e + e + 2 * e + config.vocab_size
        parts["head"] += 0 if config.tie_word_embeddings else config.vocab_size * e
    return parts


def _flops(config, batch, length, task, checkpointing):
    """Two for each multiply-add of the products; the way back takes twice the way forward.

    The last block of a classifier computes most for one token alone.
    """
    h, wide = config.hidden_size, config.intermediate_size
    blocks = len(config.block_order)

    def block(queries):
        keys = 2 * length * h * 2 * h
        return keys + queries * (2 * 2 * h * h + 2 * 2 * h * wide + 2 * 2 * length * h)

    forward = (blocks - 1) * block(length) + block(1 if TASKS[task] else length)
    outside = 2 * length * (config.embedding_width * h if config.embedding_size else 0)
    if TASKS[task] is None:
        outside += 2 * _predictions(length) * config.embedding_width * (h + config.vocab_size)
    elif TASKS[task]:
        outside += 2 * h * h
    return batch * ((4 if checkpointing else 3) * forward + 3 * outside)


def _config_of(model):
    """The config, and the encoder or model if it is one."""
    if isinstance(model, str):
        if model not in SIZES:
            raise ValueError(f"Unknown sizes {model!r}; known are {', '.join(SIZES)}.")
        layers, hidden, heads = SIZES[model]
        config = EncoderConfig(
            num_layers=layers,
            hidden_size=hidden,
            num_attention_heads=heads,
            intermediate_size=4 * hidden,
        )
        return config, None
    config = getattr(getattr(model, "encoder", model), "config", None)
    module = model if config is not None else None
    config = config if config is not None else model
    if isinstance(config, EncoderConfig):
        if config.bottleneck_size is None and config.embedding_projection == "sum":
            return config, module
    elif not hasattr(config, "num_attention_heads"):
        raise TypeError(
            f"plan_memory takes the name of sizes ({', '.join(SIZES)}), an EncoderConfig, an "
            f"encoder or a task model; received {type(model).__name__}."
        )
    raise ValueError(
        "Memory is foretold for encoders of BERT's blocks alone (BERT, RoBERTa, ELECTRA, ALBERT, "
        f"DistilBERT); received a {type(config).__name__} of other blocks."
    )


def _learning(module):
    """Number of weights that learn, and of blocks at the bottom for which nothing is kept."""
    encoder = getattr(module, "encoder", module)
    trainable = sum(math.prod(weight.shape) for weight in module.trainable_variables)
    frozen = encoder.frozen_layers if encoder.frozen_embeddings else 0
    return trainable, frozen


def _check(config, batch_size, seq_length, task, optimizer, dtype, accumulate, replicas):
    for name, value in (
        ("batch_size", batch_size),
        ("seq_length", seq_length),
        ("accumulate", accumulate),
        ("replicas", replicas),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is a whole number from 1 on; received {value!r}.")
    for name, value, known in (
        ("task", task, TASKS),
        ("optimizer", optimizer, OPTIMIZER_SLOTS),
        ("dtype", dtype, COMPUTE_BYTES),
    ):
        if value not in known:
            raise ValueError(f"Unknown {name} {value!r}; known are {', '.join(known)}.")
    if seq_length > config.max_seq_length:
        raise ValueError(
            f"seq_length={seq_length} is more than the encoder has positions for: "
            f"{config.max_seq_length}."
        )
