"""Losses of embeddings and of masked tokens, in ``keras.ops`` alone."""

from __future__ import annotations

import keras
from keras import ops

__all__ = [
    "DISTANCES",
    "MaskedTokens",
    "additive_margin",
    "contrastive",
    "cosine",
    "multiple_negatives",
    "triplet",
]

#: Least length that a vector is divided by, as in ``torch.nn.functional.normalize``.
LEAST_NORM = 1e-12

#: Score of an answer that is not there; not -inf, whose product with 0 is no number.
LOWEST = -1e9


def multiple_negatives(embeddings, scale=20.0, symmetric=False, present=None):
    """Cross entropy of finding each first text's second among all texts of the batch but firsts.

    The second texts of the other examples are the wrong answers, and so are the third and later
    texts (hard negatives) of all examples.

    Args:
        embeddings: (batch, texts, dim), texts 2 or more: anchor, positive, negatives.
        scale: What cosines are multiplied by: 1 / temperature.
        symmetric: Whether to take the mean with the cross entropy of finding each second text's
            first among the firsts.
        present: (batch,) bool: which examples are there; None: all. Others are no wrong answers,
            and the mean over the batch is that over those that are there.

    Returns:
        (batch,) float32.

    Source: Henderson et al. 2017 (arXiv:1705.00652), section 4; ``MultipleNegativesRankingLoss``
    in sentence-transformers.

    Example:
        >>> same = keras.ops.convert_to_tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
        >>> float(keras.ops.sum(multiple_negatives(same))) < 1e-6
        True
    """
    scores = _cosines_within(embeddings) * scale
    scores = _between_present(scores, present, embeddings.shape[1] - 1)
    loss = _own_first(scores)
    if symmetric:
        loss = (loss + _own_first(_of_seconds(scores))) / 2.0
    return _over_present(loss, present)


def additive_margin(embeddings, margin=0.3, scale=20.0, present=None):
    """As ``multiple_negatives`` in both directions, whose sum it is, and with a margin.

    The right answer's cosine has to be larger than the others' by ``margin``.

    Args:
        embeddings: As for ``multiple_negatives``.
        margin: What is taken from the cosines of right answers.
        scale: What cosines are multiplied by, the margin taken off; 1 is the paper's formula.
        present: As for ``multiple_negatives``.

    Returns:
        (batch,) float32.

    Source: Yang et al. 2019 (arXiv:1902.08564), equations 4 to 6.
    """
    cosines = _cosines_within(embeddings)
    batch, answers = ops.shape(cosines)
    own = ops.cast(
        ops.expand_dims(ops.arange(batch), 1) == ops.expand_dims(ops.arange(answers), 0), "float32"
    )
    scores = (cosines - margin * own) * scale
    scores = _between_present(scores, present, embeddings.shape[1] - 1)
    return _over_present(_own_first(scores) + _own_first(_of_seconds(scores)), present)


def cosine(embeddings, scores):
    """Squared difference between the cosine of two texts and what it should be.

    Args:
        embeddings: (batch, 2, dim).
        scores: (batch,), from -1 to 1.

    Returns:
        (batch,) float32.

    Source: Reimers & Gurevych 2019 (arXiv:1908.10084), section 3; ``CosineSimilarityLoss`` in
    sentence-transformers.
    """
    return ops.square(_cosines(embeddings) - ops.cast(scores, "float32"))


def contrastive(embeddings, labels, margin=0.5):
    """Pulls similar texts together and pushes others apart, as far as a margin.

    Args:
        embeddings: (batch, 2, dim).
        labels: (batch,), 1 for similar texts and 0 for others.
        margin: Cosine distance from which on texts are far enough apart.

    Returns:
        (batch,) float32.

    Source: Hadsell et al. 2006, equation 4; ``ContrastiveLoss`` in sentence-transformers.
    """
    distances, labels = 1.0 - _cosines(embeddings), ops.cast(labels, "float32")
    near = labels * ops.square(distances)
    return (near + (1.0 - labels) * ops.square(ops.relu(margin - distances))) / 2.0


def triplet(embeddings, margin=5.0, distance="euclidean", present=None):
    """How much nearer than by ``margin`` the third text is to the first than the second is.

    Args:
        embeddings: (batch, 3, dim): anchor, positive, negative.
        margin: By how much the negative should be farther away.
        distance: A name in ``DISTANCES``.
        present: As for ``multiple_negatives``.

    Returns:
        (batch,) float32, 0 or more.

    Source: Reimers & Gurevych 2019, section 3; ``TripletLoss`` in sentence-transformers.
    """
    between = DISTANCES[distance]
    near = between(embeddings[:, 0], embeddings[:, 1])
    loss = ops.relu(near - between(embeddings[:, 0], embeddings[:, 2]) + margin)
    return _over_present(loss, present)


def _unit(vectors):
    square = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    # The bound before the root, whose gradient at 0 is infinite.
    return vectors / ops.sqrt(ops.maximum(square, LEAST_NORM**2))


def _cosines(embeddings):
    """(batch, 2, dim) → (batch,)."""
    unit = _unit(ops.cast(embeddings, "float32"))
    return ops.sum(unit[:, 0] * unit[:, 1], axis=-1)


def _cosines_within(embeddings):
    """Each first text with all others: (batch, texts, dim) → (batch, (texts - 1) · batch)."""
    unit = _unit(ops.cast(embeddings, "float32"))
    # All second texts, then all third ones, so that an example's own is where its number says.
    others = ops.reshape(ops.transpose(unit[:, 1:], (1, 0, 2)), (-1, ops.shape(unit)[-1]))
    return ops.matmul(unit[:, 0], ops.transpose(others))


def _between_present(scores, present, others):
    """The scores, of so many others per example; lower than any where an example is not there."""
    if present is None:
        return scores
    answers = ops.tile(present, others)
    both = ops.logical_and(ops.expand_dims(present, 1), ops.expand_dims(answers, 0))
    return ops.where(both, scores, LOWEST)


def _over_present(losses, present):
    """Losses of examples, 0 where one is not there; their mean is that over those that are."""
    if present is None:
        return losses
    mask = ops.cast(present, losses.dtype)
    rows = ops.cast(ops.shape(mask)[0], losses.dtype)
    return losses * mask * (rows / ops.maximum(ops.sum(mask), 1.0))


def _of_seconds(scores):
    """The scores of second texts with first ones."""
    return ops.transpose(scores[:, : ops.shape(scores)[0]])


def _own_first(scores):
    """Cross entropy where the right answer of row i is column i."""
    own = ops.arange(ops.shape(scores)[0])
    return keras.losses.sparse_categorical_crossentropy(own, scores, from_logits=True)


def _euclidean(first, second):
    square = ops.sum(ops.square(first - second), axis=-1)
    return ops.sqrt(ops.maximum(square, LEAST_NORM**2))


def _cosine_distance(first, second):
    return 1.0 - ops.sum(_unit(first) * _unit(second), axis=-1)


#: How far two embeddings are apart: name → function of two (batch, dim).
DISTANCES = {"euclidean": _euclidean, "cosine": _cosine_distance}


@keras.saving.register_keras_serializable("keras_bert")
class MaskedTokens(keras.losses.Loss):
    """Cross entropy over the tokens that were hidden: ``sum(w · l) / (sum(w) + 1e-5)``.

    Call: ids (batch, predictions) int, a negative one where nothing was hidden (``w`` = 0), and
    logits (batch, predictions, vocab) → a scalar.

    Source: ``get_masked_lm_output`` in google-research/bert ``run_pretraining.py``.

    Example:
        >>> loss = MaskedTokens()([[1, -1]], keras.ops.zeros((1, 2, 4)))
        >>> round(float(loss), 3)  # log 4
        1.386
    """

    #: Rows that fill a batch up have no tokens.
    skips_absent = True

    def __init__(self, name="masked_tokens", **kwargs):
        # Divided by the number of tokens, below.
        super().__init__(name=name, **{**kwargs, "reduction": "sum"})

    def call(self, y_true, y_pred):
        """The scalar."""
        ids = ops.cast(y_true, "int32")
        weights = ops.cast(ids >= 0, "float32")
        losses = keras.losses.sparse_categorical_crossentropy(
            ops.maximum(ids, 0), y_pred, from_logits=True
        )
        return ops.sum(weights * losses) / (ops.sum(weights) + 1e-5)

    def weight_of(self, y_true):
        """The number of tokens that were hidden, which the loss is a mean over: scalar float32."""
        return ops.sum(ops.cast(ops.cast(y_true, "int32") >= 0, "float32"))
