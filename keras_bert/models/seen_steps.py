"""SeenSteps: what the last training step was given and came to, for whoever watches a run."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["LastStep", "SeenSteps", "named_tensors"]

#: What an element of a dataset is made of, in order.
PARTS = ("", "targets", "sample_weight")

#: Under which name a step returns it; no metric may be called so.
_SEEN = "keras_bert/seen"


class LastStep:
    """What the last training step was given and came to.

    Tensors where they were computed: only who reads a value waits for it. All are None before the
    first step, and where the function that trains does not tell.

    Attributes:
        loss: Scalar: the loss of this step's batch, over all replicas, not the epoch's mean.
        batch: Name → tensor (batch, ...), or one per replica, as ``named_tensors`` names them; of
            several steps that run as one (``steps_per_execution``) the last one's.
        previous: The ``batch`` before that.
    """

    __slots__ = ("batch", "loss", "previous")

    def __init__(self):
        self.loss = self.batch = self.previous = None

    def note(self, loss=None, batch=None):
        """Notes a step."""
        self.loss = loss
        self.previous, self.batch = self.batch, batch

    def forget(self):
        """Lets the tensors go."""
        self.note()
        self.previous = None


class SeenSteps:
    """Has a model's training steps leave behind what they were given: ``model.last_step``.

    Nothing is computed or copied for it. Under a strategy the function that trains is another one,
    which calls ``model.last_step.note``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.last_step = LastStep()
        self._traced = LastStep()

    # Keras' train_step calls this for the loss, and says nowhere else what a single step's was: its
    # logs are means of the epoch so far.
    def _compute_loss(self, *args, **kwargs):
        loss = super()._compute_loss(*args, **kwargs)
        self._traced.loss = loss
        return loss

    def train_step(self, data):
        """As Keras' own; returns what it saw, too."""
        if tf.distribute.has_strategy():
            return super().train_step(data)
        logs = super().train_step(data)
        seen = {"loss": self._traced.loss, "batch": named_tensors(data)}
        self._traced.forget()
        return {**logs, _SEEN: {name: value for name, value in seen.items() if value is not None}}

    def make_train_function(self, force=False):
        """As Keras' own, whose steps' losses and batches are kept from its logs."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        train, last_step = self.train_function, self.last_step

        def train_and_note(iterator):
            logs = train(iterator)
            if not isinstance(logs, dict) or _SEEN not in logs:
                return logs
            last_step.note(**logs[_SEEN])
            return {name: value for name, value in logs.items() if name != _SEEN}

        self.train_function = train_and_note


def named_tensors(data) -> dict:
    """Names the tensors that a step is given.

    Args:
        data: What an element of the dataset is: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``; of
            tensors, or of one per replica (``tf.distribute.DistributedValues``).

    Returns:
        Name → tensor: those of ``x`` as they are called there (else "inputs"), "targets" and
        "sample_weight"; of nests with the path behind: "targets/starts".

    Example:
        >>> list(named_tensors(({"input_word_ids": tf.constant([[1, 2]])}, tf.constant([0]))))
        ['input_word_ids', 'targets']
    """
    parts = data if isinstance(data, tuple) else (data,)
    named = {}
    for part, value in zip(PARTS, parts, strict=False):
        for path, tensor in keras.tree.flatten_with_path(value):
            if _is_batch(tensor):
                names = [part, *map(str, path)] if part else list(map(str, path))
                named["/".join(names) or "inputs"] = tensor
    return named


def _is_batch(value):
    """Whether a value is a dense tensor, or those of several replicas."""
    if isinstance(value, tf.distribute.DistributedValues):
        return True
    return tf.is_tensor(value) and not isinstance(value, tf.RaggedTensor | tf.SparseTensor)
