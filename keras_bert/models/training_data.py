"""TrainingData: what task models take of users' data, and what batches they make of it."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from keras_bert.data.batch_plan import BatchPlan
from keras_bert.data.batching import sorted_batches, without_autotuning
from keras_bert.data.inputs import is_texts
from keras_bert.data.passes import Position, random_pass, rest_of
from keras_bert.data.tf_elements import text_elements

__all__ = ["TrainingData", "split_validation"]


class TrainingData:
    """The data of ``fit`` and ``evaluate``, for a ``TaskModel``, which see."""

    #: Where training stands in its data.
    data_position = None
    #: The ``ExactResume`` of the ``fit`` that is going on; None: it keeps no checkpoints.
    _run = None
    #: The ``BatchPlan`` of the ``fit`` that is going on; None: what batches hold is not known.
    _batch_plan = None

    def _training_dataset(self, x, y, batch_size):
        if isinstance(x, tf.data.Dataset):
            x = x if self._run is None else self._run.from_position(x, batch_size)
            return self._fixed_dataset(self._map_dataset(x, batch_size), batch_size)
        texts, labels = self.read_labelled(x, y)
        self._note_pairs(isinstance(texts[0], tuple | list))
        rows = self.labelled_rows(texts, labels)
        position = self.data_position or Position()
        position.examples = (texts, labels)
        seed = self._draw_seed("shuffling")

        batches_of = functools.partial(random_pass, rows.lengths, batch_size, seed)
        plan = self._batch_plan = BatchPlan(rows, batches_of, texts)
        batches = rest_of(plan.batches, position)
        return self._sharded(rows.dataset(batches, self._shapes_of(batch_size)))

    def _draw_seed(self, what):
        """A seed from NumPy's global generator, which keras.utils.set_random_seed decides.

        All workers take the first one's; a run that goes on takes the one it was started with.
        """
        seed = self._shared(int(np.random.randint(2**31)))
        return seed if self._run is None else self._run.seed(what, seed)

    def run_options(self) -> dict:
        """What training depends on and is no argument of ``TaskModel.fit``: name → value."""
        return {}

    def _note_pairs(self, pairs):
        # RoBERTa and DistilBERT tell texts apart by the separators between them alone.
        by_types = self.preprocessor is not None and self.preprocessor.tokenizer.segment_types
        if pairs and by_types and self.encoder.config.type_vocab_size == 1:
            raise ValueError(
                "These are pairs of texts, whose tokens get segment types 0 and 1, and this "
                "encoder has type_vocab_size=1."
            )
        self.takes_pairs = pairs

    def _labelled_data(self, x, y=None, batch_size=None):
        """The examples, where they can be had, and what Keras evaluates: of any form of data."""
        if isinstance(x, tf.data.Dataset):
            if not is_texts(x):
                return None, x
            data = self._map_dataset(x, batch_size or 32)
            return None, self._fixed_dataset(data, batch_size)
        if not is_texts(x):
            return None, (x, y) if y is not None else x
        texts, labels = self.read_labelled(x, y)
        rows = self.evaluated_rows(texts, labels)
        batches = sorted_batches(rows.lengths, batch_size or 32)
        shapes = self._shapes_of(batch_size or 32)
        return (texts, labels), self._sharded(rows.dataset(lambda: batches, shapes))

    def _map_dataset(self, dataset, batch_size):
        """A user's dataset of (text or pair, label), tokenised batch by batch."""
        dataset = text_elements(dataset, with_labels=True)
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) < 2:
            raise ValueError(
                f"Expected a tf.data.Dataset of (text, label); received elements {spec}."
            )
        if not tf.nest.flatten(spec)[0].shape.rank:
            dataset = dataset.batch(batch_size)
        self._note_pairs(len(tf.nest.flatten(spec[0])) == 2)

        def to_ids(texts, labels, *rest):
            texts = tuple(tf.nest.flatten(texts)) if self.takes_pairs else texts
            return (self.text_preprocessor()(texts), self.graph_targets(labels), *rest)

        dataset = dataset.map(to_ids, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
        return without_autotuning(dataset)

    def graph_targets(self, labels: tf.Tensor) -> tf.Tensor:
        """``targets`` for tensors, in a ``tf.data`` pipeline."""
        raise NotImplementedError


def split_validation(data):
    """(texts, labels) as Keras takes it, against a tuple of two (text, label) items."""
    if (
        isinstance(data, tuple)
        and len(data) == 2
        and all(isinstance(part, list | np.ndarray | tf.Tensor) for part in data)
    ):
        return data
    return data, None
