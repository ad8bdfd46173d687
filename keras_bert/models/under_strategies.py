"""Models under ``tf.distribute`` strategies: their steps, and what their workers share."""

from __future__ import annotations

__all__ = ["UnderStrategies"]


class UnderStrategies:
    """What ``fit`` and ``evaluate`` do otherwise under a strategy, for a ``TaskModel``, which see.

    Upwards on purpose: how replicas train together belongs to training, as what a model is compiled
    with does.
    """

    def make_train_function(self, force=False):
        """The function that runs steps: Keras' own, or under a strategy one that is right."""
        if self._distribute_strategy is None:
            return super().make_train_function(force)
        from keras_bert.training.distribution import make_train_function

        if self.train_function is None or force:
            self.train_function = make_train_function(self)
        return None

    def make_test_function(self, force=False):
        """As ``make_train_function``, for ``evaluate``."""
        if self._distribute_strategy is None:
            return super().make_test_function(force)
        from keras_bert.training.distribution import make_test_function

        if self.test_function is None or force:
            self.test_function = make_test_function(self)
        return None

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras' own draws a batch and puts those of all replicas together, which fails on several
        # workers.
        if self._distribute_strategy is None:
            return super()._maybe_symbolic_build(iterator, data_batch)
        from keras_bert.training.distribution import build_metrics

        if iterator is not None:
            build_metrics(self, iterator._distributed_dataset.element_spec)
        return None

    def _shared(self, number):
        """A random number that all workers have to have the same of."""
        from keras_bert.training.distribution import shared_number

        return shared_number(self.distribute_strategy, number)

    def _sharded(self, dataset):
        """A dataset whose batches a strategy cuts into parts."""
        from keras_bert.training.distribution import shared_by_examples

        if self._distribute_strategy is None:
            return dataset
        return shared_by_examples(dataset, self.distribute_strategy.num_replicas_in_sync)
