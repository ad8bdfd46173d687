"""Training under ``tf.distribute`` strategies with the numbers of a single device."""

from keras_bert.training.distribution.replica_seeds import part_seeds
from keras_bert.training.distribution.sharing import (
    check_scope,
    shared_by_examples,
    shared_number,
)
from keras_bert.training.distribution.steps import (
    Rounds,
    build_metrics,
    make_test_function,
    make_train_function,
)

__all__ = [
    "Rounds",
    "build_metrics",
    "check_scope",
    "make_test_function",
    "make_train_function",
    "part_seeds",
    "shared_by_examples",
    "shared_number",
]
