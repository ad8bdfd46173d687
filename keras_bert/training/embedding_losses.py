"""Losses of ``DualEncoder``: which examples each takes, and their names."""

from __future__ import annotations

import keras
import numpy as np

from keras_bert.training.losses import (
    DISTANCES,
    additive_margin,
    contrastive,
    cosine,
    multiple_negatives,
    triplet,
)

__all__ = [
    "EMBEDDING_LOSSES",
    "AdditiveMargin",
    "Contrastive",
    "Cosine",
    "EmbeddingLoss",
    "LossByExamples",
    "MultipleNegatives",
    "Triplet",
    "check_examples",
    "embedding_loss",
    "fitting_loss",
]


class EmbeddingLoss(keras.losses.Loss):
    """A loss of the embeddings of texts that are compared.

    Call: targets (batch,), embeddings (batch, texts, dim) → the mean over the batch.

    Attributes:
        takes_scores: Whether an example has a score beside its texts; if not, a target below 0 says
            that the example only fills the batch up and counts for nothing.
        texts: (least, most) texts per example; None: any number.
    """

    takes_scores = False
    #: Whether an example's loss depends on the other examples of its batch.
    of_whole_batch = False
    #: Least and greatest score; None: any.
    scores_from_to: tuple[float, float] | None = None
    texts: tuple[int, int | None] = (2, None)
    #: Names of the constructor's arguments, which the function takes too.
    options: tuple[str, ...] = ()

    @property
    def skips_absent(self) -> bool:
        """Whether examples that are not there are told by their targets."""
        return not self.takes_scores

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.options}}


@keras.saving.register_keras_serializable("keras_bert")
class MultipleNegatives(EmbeddingLoss):
    """Loss of ``multiple_negatives``.

    Example:
        >>> model.compile(loss=MultipleNegatives(scale=30.0))  # doctest: +SKIP
        >>> model.fit([("a question", "its answer"), ...])  # doctest: +SKIP
    """

    options = ("scale", "symmetric")
    of_whole_batch = True

    def __init__(self, scale=20.0, symmetric=False, name="multiple_negatives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.scale, self.symmetric = _positive("scale", scale), symmetric

    def call(self, y_true, y_pred):
        """(batch,) losses."""
        return multiple_negatives(y_pred, self.scale, self.symmetric, y_true >= 0)


@keras.saving.register_keras_serializable("keras_bert")
class AdditiveMargin(EmbeddingLoss):
    """Loss of ``additive_margin``."""

    options = ("margin", "scale")
    of_whole_batch = True

    def __init__(self, margin=0.3, scale=20.0, name="additive_margin", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin, self.scale = margin, _positive("scale", scale)

    def call(self, y_true, y_pred):
        """(batch,) losses."""
        return additive_margin(y_pred, self.margin, self.scale, y_true >= 0)


@keras.saving.register_keras_serializable("keras_bert")
class Cosine(EmbeddingLoss):
    """Loss of ``cosine``."""

    takes_scores = True
    scores_from_to = (-1, 1)
    texts = (2, 2)

    def __init__(self, name="cosine", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """(batch,) losses."""
        return cosine(y_pred, y_true)


@keras.saving.register_keras_serializable("keras_bert")
class Contrastive(EmbeddingLoss):
    """Loss of ``contrastive``."""

    takes_scores = True
    scores_from_to = (0, 1)
    texts = (2, 2)
    options = ("margin",)

    def __init__(self, margin=0.5, name="contrastive", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, y_true, y_pred):
        """(batch,) losses."""
        return contrastive(y_pred, y_true, self.margin)


@keras.saving.register_keras_serializable("keras_bert")
class Triplet(EmbeddingLoss):
    """Loss of ``triplet``."""

    texts = (3, 3)
    options = ("margin", "distance")

    def __init__(self, margin=5.0, distance="euclidean", name="triplet", **kwargs):
        super().__init__(name=name, **kwargs)
        if distance not in DISTANCES:
            raise ValueError(f"distance={distance!r}; expected one of {', '.join(DISTANCES)}.")
        self.margin, self.distance = margin, distance

    def call(self, y_true, y_pred):
        """(batch,) losses."""
        return triplet(y_pred, self.margin, self.distance, y_true >= 0)


def _positive(name, value):
    if not value > 0:
        raise ValueError(f"{name}={value!r}; expected a number above 0.")
    return value


#: Name → loss.
EMBEDDING_LOSSES = {
    "multiple_negatives": MultipleNegatives,
    "additive_margin": AdditiveMargin,
    "cosine": Cosine,
    "contrastive": Contrastive,
    "triplet": Triplet,
}


@keras.saving.register_keras_serializable("keras_bert")
class LossByExamples(EmbeddingLoss):
    """Stands for the default loss of what the examples are; see ``fitting_loss``."""

    def __init__(self, name="loss_by_examples", **kwargs):
        super().__init__(name=name, **kwargs)


def fitting_loss(loss, scored: bool, texts: int):
    """The loss if it takes such examples, or else the default one of such examples.

    Args:
        loss: An ``EmbeddingLoss``, or any other, which takes all.
        scored: Whether the examples have scores.
        texts: Texts per example.
    """
    if not isinstance(loss, EmbeddingLoss):
        return loss
    least, most = loss.texts
    fits = loss.takes_scores == scored and least <= texts <= (most or texts)
    if fits and not isinstance(loss, LossByExamples):
        return loss
    return Cosine() if scored else MultipleNegatives()


def check_examples(loss, texts, scores):
    """Raises where a loss cannot be trained on examples.

    Args:
        loss: As for ``fitting_loss``.
        texts: A tuple of texts per example.
        scores: (examples,), or None.

    Raises:
        ValueError: If the loss takes scores and there are none, or the other way round, or another
            number of texts; or if a score is outside the loss's range.
    """
    by_examples = isinstance(loss, LossByExamples)
    chosen = fitting_loss(loss, scores is not None, len(texts[0]))
    if chosen is not loss and not by_examples:
        raise ValueError(
            f"loss={loss.name!r} takes {_wanted(loss)}; received examples of {len(texts[0])} texts "
            f"with{'out' * (scores is None)} a score."
        )
    if scores is not None and len(texts[0]) != 2:
        raise ValueError(f"A score is of two texts; received examples of {len(texts[0])}.")
    allowed = getattr(chosen, "scores_from_to", None)
    outside = (
        [] if allowed is None else np.flatnonzero((scores < allowed[0]) | (scores > allowed[1]))
    )
    if len(outside):
        place = outside[0]
        raise ValueError(
            f"The score of example {place} is {scores[place]:g}; loss={chosen.name!r} takes scores "
            f"from {allowed[0]} to {allowed[1]}. Divide them, such as those of STS-B, from 0 to 5, "
            "by 5."
        )


def _wanted(loss):
    least, most = loss.texts
    count = f"{least}" if least == most else f"{least} or more"
    return f"examples of {count} texts with{'' if loss.takes_scores else 'out'} a score"


def embedding_loss(loss):
    """The loss of a name in ``EMBEDDING_LOSSES``; anything else as it is.

    Raises:
        ValueError: If the name is none of them.

    Example:
        >>> embedding_loss("triplet").margin
        5.0
    """
    if not isinstance(loss, str):
        return loss
    if loss not in EMBEDDING_LOSSES:
        raise ValueError(f"loss={loss!r}; expected one of {', '.join(EMBEDDING_LOSSES)}.")
    return EMBEDDING_LOSSES[loss]()
