"""Optimiser steps in replica functions, by gradients that are summed over the replicas already.

Keras sums gradients in the optimiser, after it has clipped them, and assigns from outside of the
replica functions (``merge_call``), where neither a condition nor XLA may stand between. That is why
with Keras alone clipping depends on the number of replicas, accumulating and skipping steps fail,
and XLA does. A replica that has the sum needs nobody: all compute the same and each writes its own
copy.

Of Keras' private parts this replaces, in the line of an optimiser's classes, the one that knows of
``tf.distribute`` (``TFOptimizer``) by what that overrides in ``BaseOptimizer``; see ``_HOOKS``.
"""

from __future__ import annotations

import functools

import keras
import tensorflow as tf

__all__ = ["apply_reduced", "on_this_replica", "several_replicas", "summed_over_replicas"]

#: Methods of ``TFOptimizer`` that reach for all replicas' copies, as of Keras 3.15, and that do in
#: ``BaseOptimizer`` the same to one copy: the decay of weights, the step, what ``use_ema`` puts in
#: the weights' place, and adding to the gradients that are accumulated.
_HOOKS = (
    "_apply_weight_decay",
    "_backend_update_step",
    "_overwrite_model_variables_with_average_value",
    "_backend_increment_gradient_accumulators",
)


def apply_reduced(optimizer, gradients, variables):
    """Takes an optimiser's step in a replica function; what is not to be summed any more.

    Clips, accumulates, averages, skips and counts as ``optimizer.apply`` does on one device, in
    every replica by itself: no ``merge_call`` and no second sum, so that it may stand in a
    ``tf.cond`` and in ``tf.function(jit_compile=True)``. Rows of embeddings that a batch uses
    several times are summed first, which ``keras.optimizers`` leave out.

    Args:
        optimizer: Any of ``keras.optimizers`` or of this package, made and built in the strategy's
            scope: ``optimizer.build(model.trainable_variables)``. What ``LossScaleOptimizer``
            wraps takes no step where a gradient of any replica was not finite.
        gradients: The gradients, the same on all replicas: tensors, ``tf.IndexedSlices``, or None
            for a variable that the loss does not depend on.
        variables: The variables, one for each gradient.

    Raises:
        ValueError: If it is called outside of a replica function, or a variable was made outside
            of the strategy's scope.

    Example:
        >>> w = keras.Variable([1.0, 2.0])
        >>> optimizer = keras.optimizers.SGD(0.5)
        >>> optimizer.build([w])
        >>> def step():
        ...     context = tf.distribute.get_replica_context()
        ...     gradient = context.all_reduce("SUM", tf.constant([1.0, 0.0]))
        ...     apply_reduced(optimizer, [gradient], [w])
        >>> tf.distribute.get_strategy().run(step)
        >>> print(w.numpy())
        [0.5 2. ]
    """
    variables = list(variables)
    if tf.distribute.in_cross_replica_context():
        raise ValueError(
            "apply_reduced is for replica functions: strategy.run(step), where step calls it. "
            "This call is in the scope of a strategy, outside of them."
        )
    if several_replicas():
        _require_mirrored(optimizer, variables)
    if not getattr(optimizer, "sums_rows", False):
        gradients = dense(gradients)
    on_this_replica(optimizer).apply(gradients, variables)


def several_replicas() -> bool:
    """Whether the current strategy has more than one replica."""
    return tf.distribute.get_strategy().num_replicas_in_sync > 1


def summed_over_replicas(gradients):
    """Gradients that are summed over all replicas, for ``apply_reduced``; None stays None.

    Args:
        gradients: This replica's gradients; those of ``IndexedSlices`` come back dense.
    """
    given = [gradient for gradient in dense(gradients) if gradient is not None]
    summed = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, given))
    return [None if gradient is None else next(summed) for gradient in gradients]


def dense(gradients) -> list:
    """Gradients with all rows written out, and rows that come several times summed."""
    return [None if g is None else tf.convert_to_tensor(g) for g in gradients]


def _require_mirrored(optimizer, variables):
    """Every replica must have a copy of its own: of the weights, and of all the optimiser has."""
    if not optimizer.built:
        raise ValueError(
            "The optimiser's variables must be there before the first step: call "
            "optimizer.build(model.trainable_variables) in strategy.scope()."
        )
    for variable in (*variables, *optimizer.variables):
        inner = variable.value if isinstance(variable, keras.Variable) else variable
        if not isinstance(inner, tf.distribute.DistributedValues):
            raise ValueError(
                f"{variable.name!r} was made outside of the scope of "
                f"{type(tf.distribute.get_strategy()).__name__}, so that its replicas have no "
                "copies of it. Make and compile the model, or make the optimiser, inside: "
                "with strategy.scope(): ..."
            )


class _OwnCopy(keras.Variable):
    """A view of a variable, of which this replica's copy alone is assigned.

    Keras counts steps in a variable with an aggregation, whose assignment is a ``merge_call``.
    """

    def _direct_assign(self, value):
        # Private: what every assignment of a Keras variable comes down to. Handles, in a replica
        # function, are of its own copy.
        value = tf.cast(value, self.value.dtype)
        tf.raw_ops.AssignVariableOp(resource=self.value.handle, value=value)


class _LossScaled:
    """What a view of ``LossScaleOptimizer`` does otherwise."""

    def _tf_apply(self, grads, trainable_variables=None):
        # Private: looks at the first replica's gradients alone, and steps from outside.
        self._common_apply(grads, trainable_variables)

    @property
    def inner_optimizer(self):
        return on_this_replica(self.__dict__["inner_optimizer"])


class _Several:
    """What a view of ``MultiOptimizer`` does otherwise."""

    @property
    def _inner_optimizers(self):
        return [on_this_replica(inner) for inner in self.__dict__["_inner_optimizers"]]


#: Optimisers that hold others → what comes before them in their views.
_WRAPPERS = {
    keras.optimizers.LossScaleOptimizer: _LossScaled,
    keras.optimizers.MultiOptimizer: _Several,
}


def on_this_replica(optimizer):
    """A view of an optimiser for use in replica functions: the same state, nothing is copied.

    Its ``apply`` takes gradients that are summed already. Call ``apply_reduced``, which checks and
    prepares them.

    Raises:
        NotImplementedError: If this Keras makes its optimisers otherwise.
    """
    if getattr(optimizer, "_is_on_this_replica", False):
        return optimizer
    return _seen_as(_view_class(type(optimizer)), optimizer)


def _seen_as(kind, thing):
    """An object of another class with the same attributes, not copies of them."""
    view = object.__new__(kind)
    object.__setattr__(view, "__dict__", thing.__dict__)
    return view


@functools.cache
def _view_class(kind):
    first = [view for wrapper, view in _WRAPPERS.items() if issubclass(kind, wrapper)]
    # After the optimiser's own classes, so that what these override stays, before TFOptimizer.
    line = (*first, kind, _one_copy_each())
    return type(f"{kind.__name__}OnThisReplica", line, {"_is_on_this_replica": True})


@functools.cache
def _one_copy_each():
    """What stands in views between an optimiser's own classes and ``TFOptimizer``."""
    try:
        with_strategies, without = keras.optimizers.Optimizer.__bases__
        replaced = {name: vars(without)[name] for name in _HOOKS if vars(with_strategies)[name]}
    except (KeyError, ValueError) as error:
        raise NotImplementedError(
            f"Optimisers of Keras {keras.__version__} are made otherwise than those of Keras 3.15, "
            f"of which keras_bert replaces {', '.join(_HOOKS)}: {error!r}."
        ) from error
    own_count = property(lambda self: _seen_as(_OwnCopy, self.__dict__["_iterations"]))
    return type("_OneCopyEach", (with_strategies,), {**replaced, "_iterations": own_count})
