"""Losses of DualEncoder: names, options, and which examples they take."""

import keras
import numpy as np
import pytest

from keras_bert.training import embedding_losses as losses
from tests.training.test_losses import CASES

PAIRS, TRIPLETS = [("a", "b")] * 2, [("a", "b", "c")] * 2
SCORES = np.array([0.5, 1.0])


@pytest.mark.parametrize("loss", [loss for loss, _ in CASES.values()])
def test_losses_are_saved_with_their_options(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()


def test_names_and_bad_options():
    assert losses.embedding_loss("cosine").takes_scores
    assert losses.embedding_loss(len) is len
    with pytest.raises(ValueError, match="loss='cosin'; expected one of multiple_negatives"):
        losses.embedding_loss("cosin")
    with pytest.raises(ValueError, match="distance='manhattan'; expected one of euclidean, cosine"):
        losses.Triplet(distance="manhattan")
    with pytest.raises(ValueError, match="scale=0; expected a number above 0"):
        losses.MultipleNegatives(scale=0)


@pytest.mark.parametrize(
    "loss, scored, texts, expected",
    [
        (losses.LossByExamples(), False, 3, "multiple_negatives"),
        (losses.LossByExamples(), True, 2, "cosine"),
        (losses.Triplet(), False, 3, "triplet"),
        (losses.Triplet(), False, 2, "multiple_negatives"),
        (losses.Triplet(), True, 2, "cosine"),
        (losses.Contrastive(), True, 2, "contrastive"),
        (losses.Contrastive(), False, 2, "multiple_negatives"),
    ],
)
def test_the_loss_that_takes_the_examples(loss, scored, texts, expected):
    assert losses.fitting_loss(loss, scored, texts).name == expected


@pytest.mark.parametrize(
    "loss, texts, scores, message",
    [
        ("triplet", PAIRS, None, "takes examples of 3 texts without a score; received .* 2 texts"),
        ("cosine", PAIRS, None, "takes examples of 2 texts with a score; .* without a score"),
        (
            "multiple_negatives",
            PAIRS,
            SCORES,
            "of 2 or more texts without a score; .* with a score",
        ),
        (None, TRIPLETS, SCORES, "A score is of two texts; received examples of 3"),
        (None, PAIRS, SCORES * 5, "example 0 is 2.5; loss='cosine' takes scores from -1 to 1"),
        ("contrastive", PAIRS, -SCORES, "example 0 is -0.5; loss='contrastive' takes .* 0 to 1"),
    ],
)
def test_examples_that_a_loss_cannot_take(loss, texts, scores, message):
    loss = losses.LossByExamples() if loss is None else losses.embedding_loss(loss)
    with pytest.raises(ValueError, match=message):
        losses.check_examples(loss, texts, scores)


def test_examples_that_it_can_take():
    losses.check_examples(losses.LossByExamples(), PAIRS, SCORES)
    losses.check_examples(losses.LossByExamples(), TRIPLETS, None)
    losses.check_examples(keras.losses.MeanSquaredError(), PAIRS, SCORES * 9)
