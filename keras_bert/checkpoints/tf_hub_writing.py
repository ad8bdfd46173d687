"""Writing a SavedModel that stands in for one of TF Hub's."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_bert.checkpoints.garden.writing import (
    add_objects,
    check_config,
    find_object,
    places,
    tables,
)
from keras_bert.checkpoints.loading import find, names_of
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.tf_hub import ACTIVATION_OPS
from keras_bert.checkpoints.writing import Parts
from keras_bert.config import ACTIVATIONS

__all__ = ["write_tf_hub"]

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
POSITIONS = "masked_lm_positions"


class _Reusable(tf.Module):
    """An object that is saved with lists of its variables, as Keras saves its models.

    ``hub.KerasLayer`` finds them by these names.
    """

    variables = trainable_variables = None


def write_tf_hub(parts: Parts, folder: str) -> None:
    """Writes ``saved_model.pb``, ``variables/`` and ``assets/vocab.txt``; our tokenizer's files.

    What ``tf.saved_model.load`` and ``hub.KerasLayer`` give of it is called as TF Hub's encoders
    are: with a dict of int32 (batch, seq) ``input_word_ids``, ``input_mask`` and
    ``input_type_ids``, and ``training``; → ``sequence_output``, ``pooled_output``, ``default``
    (the same once more) and ``encoder_outputs``. ``.mlm``, where there is such a head, also takes
    ``masked_lm_positions`` and has ``mlm_logits``. ``.vocab_file`` and ``.do_lower_case`` are
    what a tokenizer needs. It can be fine-tuned; other heads' weights go along, to be read here.

    Args:
        parts: What to write; an encoder with a pooler.
        folder: An empty folder.

    Raises:
        CheckpointError: If the Garden's BERT does not compute what the encoder does, or its
            vocabulary is not WordPiece.
    """
    _check(parts)
    root = _Reusable()
    add_objects(root, parts)
    _add_calls(root, parts)
    with tempfile.TemporaryDirectory(prefix="keras_bert-") as scratch:
        if parts.tokenizer is not None:
            path = Path(scratch) / "vocab.txt"
            text = "".join(f"{token}\n" for token in parts.tokenizer.vocabulary)
            path.write_text(text, encoding="utf-8", newline="\n")
            root.vocab_file = tf.saved_model.Asset(os.fspath(path))
            root.do_lower_case = tf.Variable(parts.tokenizer.lower_case, trainable=False)
            # What these two do not tell; `TfHubCheckpoint` reads it.
            parts.tokenizer.save_pretrained(folder, model_max_length=parts.seq_length)
            _warn_of_options(parts.tokenizer)
        tf.saved_model.save(root, folder, {"serving_default": _signature(root.__call__)})


def _check(parts: Parts) -> None:
    check_config("TF Hub", parts)
    config, tokenizer = parts.encoder.config, parts.tokenizer
    if parts.encoder.pooler is None:
        raise CheckpointError("TF Hub's encoders have a pooler; this encoder has none.")
    used = {config.hidden_activation}
    if "masked_lm" in parts.heads:
        used.add(config.masked_lm_activation or config.hidden_activation)
    used = {ACTIVATIONS[name] for name in used}
    if len(used) > 1 or not used <= set(ACTIVATION_OPS.values()):
        raise CheckpointError(
            f"A SavedModel tells its activation by its operations: that is one of "
            f"{', '.join(sorted(set(ACTIVATION_OPS.values())))}, not {' and '.join(sorted(used))}."
        )
    if tokenizer is not None and not hasattr(tokenizer, "lower_case"):
        raise CheckpointError(
            f"TF Hub's encoders have a WordPiece vocabulary; this is a {type(tokenizer).__name__}."
        )


def _warn_of_options(tokenizer: Any) -> None:
    """Warns of what others, who have a vocabulary and ``do_lower_case``, do not know."""
    usual = {"strip_accents": (None, tokenizer.lower_case), "tokenize_chinese_chars": (True,)}
    found = {name: getattr(tokenizer, name) for name in usual}
    other = [f"{name}={value!r}" for name, value in found.items() if value not in usual[name]]
    if other:
        warnings.warn(
            f"TF Hub's encoders tell their vocabulary and do_lower_case, but not "
            f"{' and '.join(other)}: keras_bert reads that from tokenizer_config.json, others will "
            "split texts otherwise.",
            stacklevel=6,
        )


def _add_calls(root: Any, parts: Parts) -> None:
    """Makes the objects callable, by our network with their variables."""
    from keras_bert.models.heads import token_logits

    encoder = parts.encoder
    variables = {name: find_object(root, place) for name, place in places(parts).items()}

    def encode(inputs, training):
        outputs = encoder(inputs, training=training)
        return {**outputs, "default": outputs["pooled_output"]}

    def score(inputs, training):
        inputs = dict(inputs)
        positions = inputs.pop(POSITIONS)
        outputs = encoder(inputs, training=training)
        sequence = outputs["sequence_output"]
        logits = token_logits(parts.heads["masked_lm"], encoder, sequence, positions)
        return {**outputs, "mlm_logits": logits}

    root.__call__ = _function(encode, INPUTS, parts, variables)
    _note(root, variables, ("encoder/",))
    if "masked_lm" in parts.heads:
        root.mlm = _Reusable()
        root.mlm.__call__ = _function(score, (*INPUTS, POSITIONS), parts, variables)
        _note(root.mlm, variables, ("encoder/", "masked_lm/"))


def _note(root, variables, prefixes):
    found = [variable for name, variable in variables.items() if name.startswith(prefixes)]
    root.variables, root.trainable_variables = found, list(found)
    root.regularization_losses = []


def _function(call: Callable, names: tuple[str, ...], parts: Parts, variables: dict) -> Any:
    """Traces a function of named ids, for training and for use, with variables in ours' place."""

    @tf.function(autograph=False)
    def function(inputs, training=False, mask=None):
        with keras.StatelessScope(state_mapping=list(_values(parts, variables))):
            return call(inputs, training)

    for training in (True, False):
        function.get_concrete_function(_specs(names), training, None)
    return function


def _signature(call):
    """The same for servers, whose outputs have to be single tensors."""

    @tf.function(autograph=False, input_signature=list(_specs(INPUTS).values()))
    def serving_default(input_word_ids, input_mask, input_type_ids):
        ids = (input_word_ids, input_mask, input_type_ids)
        outputs = call(dict(zip(INPUTS, ids, strict=True)))
        return {name: outputs[name] for name in outputs if name != "encoder_outputs"}

    return serving_default


def _specs(names):
    return {name: tf.TensorSpec((None, None), tf.int32, name) for name in names}


def _values(parts: Parts, variables: dict):
    """(variable of ours, its value made of theirs), in a graph."""
    # The encoder last: its pooler counts, not the same one once more in a next-sentence head.
    for model, table in reversed(tables(parts)):
        for path, theirs in table.items():
            variable, names = find(model, path), names_of(theirs)
            shape = (*variable.shape[:-1], variable.shape[-1] // len(names))
            values = [tf.reshape(variables[name], shape) for name in names]
            yield variable, values[0] if len(values) == 1 else tf.concat(values, axis=-1)
    for layer in (parts.encoder, *parts.heads.values()):
        for state in layer.non_trainable_variables:
            # Seeds of dropout: without this each call would drop the same.
            drawn = tf.random.uniform(state.shape, maxval=2**31 - 1, dtype=tf.int32)
            yield state, tf.cast(drawn, state.dtype)
