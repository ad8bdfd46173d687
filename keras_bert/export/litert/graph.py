"""The signatures of a LiteRT file: functions of ids, and functions of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_bert.export.litert import answers
from keras_bert.models import BertClassifier, BertMaskedLM, BertMultipleChoice, DualEncoder
from keras_bert.models.answering import INPUT_SIGNATURE
from keras_bert.text.preprocessor import Preprocessor

__all__ = ["IDS", "PREDICTIONS", "TEXTS", "TOKENIZE", "id_signatures", "text_signatures"]

#: Signatures: ids → raw numbers; the same of hidden tokens alone; texts → answers; texts → ids.
IDS, PREDICTIONS, TEXTS, TOKENIZE = "tokens", "predictions", "serving_default", "tokenize"


def id_signatures(model, lengths: Sequence[int] = ()) -> dict:
    """The functions of ids, traced.

    Args:
        model: A task model in float32.
        lengths: Lengths of rows that get a signature of their own, of one row, ``tokens_32``.

    Returns:
        Name → concrete function. ``tokens`` takes rows of any number and length.
    """
    function = _of_ids(model)
    choices = (None,) if isinstance(model, BertMultipleChoice) else ()
    found = {IDS: _traced(function, _id_specs((None, *choices, None)))}
    for length in lengths:
        batch = (1, *choices)
        found[f"{IDS}_{length}"] = _traced(function, _id_specs((*batch, length)))
    if isinstance(model, BertMaskedLM):
        positions = tf.TensorSpec((None, None), tf.int32, "masked_lm_positions")
        found[PREDICTIONS] = _traced(function, [*_id_specs((None, None)), positions])
    return found


def text_signatures(model, preprocessor: Preprocessor) -> dict:
    """The functions of texts, traced: ``serving_default`` and ``tokenize``.

    Args:
        model: A task model in float32, of a task that has answers here: see ``why_no_answers``.
        preprocessor: One whose tokenizer LiteRT has kernels for.
    """
    answer = _of_texts(model, preprocessor)
    found = {TEXTS: _traced(answer, model.text_specs())}
    if model.one_row_per_text:
        texts = lambda *texts: preprocessor(texts[0] if len(texts) == 1 else texts)  # noqa: E731
        found[TOKENIZE] = _traced(texts, model.text_specs())
    return found


def why_no_answers(model) -> str | None:
    """Why there is no function of texts for a task, beside its tokenizer; None: there is one."""
    if model.preprocessor is None:
        return "the model was made without a vocabulary and takes ids only"
    if isinstance(model, BertMaskedLM):
        return (
            "gaps are found in a text by regular expressions, and LiteRT has none; fill "
            "masked_lm_positions with the places of the mask token and call the signature "
            f"{PREDICTIONS!r}"
        )
    if answers.has_answers(model) or model.one_row_per_text:
        return None
    return f"the answers of a {type(model).__name__} to texts are not known to be LiteRT's"


def _of_ids(model) -> Callable:
    """Ids → named numbers."""

    def of_ids(**ids):
        outputs = model(ids, training=False)
        if isinstance(outputs, dict):
            return outputs
        if isinstance(model, DualEncoder):
            return {"embedding": outputs}
        named = {"logits": outputs}
        if isinstance(model, BertClassifier):
            named |= answers.probabilities(model, outputs)
        return named

    return of_ids


def _of_texts(model, preprocessor: Preprocessor) -> Callable:
    """Texts → answers."""
    if answers.has_answers(model):
        return lambda *texts: answers.text_answers(model, preprocessor, texts)

    def one_row(*texts):
        ids = preprocessor(texts[0] if len(texts) == 1 else texts)
        return model.answers(model(ids, training=False))

    return one_row


def _id_specs(shape: tuple) -> list[tf.TensorSpec]:
    return [tf.TensorSpec(shape, tf.int32, name) for name in INPUT_SIGNATURE]


def _traced(function: Callable, specs: Sequence[tf.TensorSpec]):
    names = [spec.name for spec in specs]

    def named(*values):
        given = dict(zip(names, values, strict=True))
        return function(**given) if names[0] in INPUT_SIGNATURE else function(*values)

    traced = tf.function(named, input_signature=specs, autograph=False)
    return traced.get_concrete_function()
