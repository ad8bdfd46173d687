"""Numbers with a checkpoint: what it was asked when it was written, and what it answered."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping

import keras
import numpy as np

from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.writing import Parts
from keras_bert.layers.heads import mean_of_tokens

__all__ = ["NUMBERS", "compare", "compute", "read_numbers", "store"]

#: The file beside the weights.
NUMBERS = "keras_bert_check.npz"

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")

#: Largest difference that counts as the same, as a share of the largest number of an output, but
#: never less than this itself. Other machines add in another order: twelve layers of BERT differ by
#: up to 1e-5 then, a wrong epsilon or activation by 1e-3.
TOLERANCE = 1e-4

#: Tokens of the longest row that is asked.
LONGEST = 16


def compute(parts: Parts) -> dict[str, np.ndarray]:
    """Inputs, and what encoder and heads compute from them.

    The rows are two: a full one of two segments, and a shorter one with padding.
    """
    config = parts.encoder.config
    length = min(LONGEST, config.max_seq_length)
    inputs = _inputs(config, length)
    return {**inputs, **_outputs(parts, inputs)}


def _inputs(config, length):
    rng = np.random.default_rng(0)
    mask = np.arange(length)[None, :] < np.array([[length], [-(-length // 2)]])
    word_ids = rng.integers(0, config.vocab_size, mask.shape)
    # Where positions count what is no padding, a token must not be the padding token by chance.
    word_ids = np.where(
        word_ids == config.pad_token_id, (word_ids + 1) % config.vocab_size, word_ids
    )
    word_ids = np.where(mask, word_ids, config.pad_token_id)
    type_ids = np.arange(length)[None, :] * max(1, min(2, config.type_vocab_size)) // length
    type_ids = np.where(mask, np.broadcast_to(type_ids, mask.shape), 0)
    arrays = dict(zip(INPUTS, (word_ids, mask, type_ids), strict=True))
    return {name: array.astype(np.int32) for name, array in arrays.items()}


def _outputs(parts, inputs):
    encoder = parts.encoder
    encoded = encoder({name: keras.ops.convert_to_tensor(ids) for name, ids in inputs.items()})
    outputs = {"sequence_output": encoded["sequence_output"]}
    if encoded["pooled_output"] is not None:
        outputs["pooled_output"] = encoded["pooled_output"]
    for kind, head in parts.heads.items():
        outputs[kind] = _head_output(kind, head, encoder, encoded, inputs["input_mask"])
    if parts.embedding is not None:
        mask = inputs["input_mask"]
        outputs["embeddings"] = parts.embedding(encoded["sequence_output"], mask)
    return {
        name: keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
        for name, output in outputs.items()
    }


def _head_output(kind, head, encoder, encoded, mask):
    from keras_bert.models.heads import token_logits

    sequence = encoded["sequence_output"]
    if kind == "masked_lm":
        # A few places: there is a number for every token of the vocabulary.
        return token_logits(head, encoder, sequence[:, 1:2])
    if kind in ("token_classifier", "span_labeler", "replaced_tokens"):
        return head(sequence)
    if kind == "beam_span_labeler":
        # Not what the best starts give: which these are may be a matter of rounding.
        start = keras.ops.zeros(sequence.shape[:1], "int32")
        given = head(sequence, start_positions=start)
        given["cls_logits"] = keras.ops.expand_dims(given["cls_logits"], 1)
        return keras.ops.concatenate(list(given.values()), axis=1)
    if kind == "next_sentence" or encoder.config.classifier_activation is None:
        return head(encoded["pooled_output"])
    is_mean = encoder.config.classifier_pooling == "mean"
    return head(mean_of_tokens(sequence, mask) if is_mean else sequence[:, 0])


def compare(source: str, numbers: Mapping[str, np.ndarray], parts: Parts) -> dict[str, float]:
    """Asks a model what stands in ``numbers``.

    Args:
        source: Where the model comes from, for the message.
        numbers: What ``compute`` returned for the original.
        parts: The model; outputs that only one of both has are passed over.

    Returns:
        Output → largest absolute difference.

    Raises:
        CheckpointError: If an output is another one.
    """
    found = _outputs(parts, {name: numbers[name] for name in INPUTS})
    differences, wrong = {}, []
    for name in (name for name in found if name in numbers):
        ours, theirs = (_of_tokens(values[name], numbers) for values in (found, numbers))
        same_shape = ours.shape == theirs.shape
        off = float(np.abs(ours - theirs).max()) if same_shape else float("inf")
        differences[name] = off
        # Also where either is not a number.
        if not off <= TOLERANCE * max(1.0, float(np.abs(theirs).max())):
            wrong.append(f"{name} by {off:.2g}")
    if wrong:
        raise CheckpointError(
            f"{source} does not compute what the original did: it differs in {', '.join(wrong)}."
        )
    return differences


def _of_tokens(output, numbers):
    """An output without the places of padding: families count positions differently there."""
    mask = numbers["input_mask"] > 0
    return output[mask] if output.shape[:2] == mask.shape else output


def store(place: str, numbers: Mapping[str, np.ndarray]) -> None:
    """Writes numbers into a checkpoint's folder, or into a ``.keras`` file."""
    if os.path.isdir(place):
        np.savez_compressed(os.path.join(place, NUMBERS), **numbers)
        return
    content = io.BytesIO()
    np.savez_compressed(content, **numbers)
    with zipfile.ZipFile(place, "a") as archive:
        archive.writestr(NUMBERS, content.getvalue())


def read_numbers(place: str) -> dict[str, np.ndarray]:
    """Reads the numbers in a checkpoint's folder, or in a ``.keras`` file.

    Raises:
        FileNotFoundError: If there are none.
        CheckpointError: If the file is damaged.
    """
    path = os.path.join(place, NUMBERS)
    try:
        # Never a pickle: NumPy refuses arrays of objects.
        with _opened(place) as content, np.load(content, allow_pickle=False) as file:
            numbers = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no {NUMBERS} in {place}, so there is nothing to verify with: "
            "keras_bert.checkpoints.save and convert put it there."
        ) from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    missing = [name for name in INPUTS if name not in numbers]
    if missing:
        raise CheckpointError(f"{path} is damaged: it lacks {', '.join(missing)}.")
    return numbers


def _opened(place):
    if os.path.isdir(place):
        return open(os.path.join(place, NUMBERS), "rb")
    with zipfile.ZipFile(place) as archive:
        if NUMBERS not in archive.namelist():
            raise FileNotFoundError(NUMBERS)
        return io.BytesIO(archive.read(NUMBERS))
