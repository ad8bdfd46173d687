"""Which values of a metric are better."""

import pytest

from keras_bert.metrics.directions import better

LARGEST = ["accuracy", "val_macro_f1", "f1", "exact_match", "HasAns_exact", "mcc", "spearman"]
LARGEST += ["recall@10", "mrr@10", "strict_precision", "cosine_spearman", "r2", "val_auc", "PER_f1"]
SMALLEST = ["loss", "val_loss", "perplexity", "mean_squared_error", "rmse", "accuracy_loss"]


@pytest.mark.parametrize("name", LARGEST)
def test_larger_is_better(name):
    assert better(name) == "max"


@pytest.mark.parametrize("name", SMALLEST)
def test_smaller_is_better(name):
    assert better(name) == "min"


@pytest.mark.parametrize("name", ["length", "val_support", "", "f", "flossy"])
def test_others_do_not_tell(name):
    assert better(name) is None
