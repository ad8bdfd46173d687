"""What callbacks know of a run, taken from them for a checkpoint and given back to them."""

from __future__ import annotations

import contextlib
import os
import warnings

import keras
import numpy as np

__all__ = ["give_back", "is_weights", "keep_logs", "state_of", "states_of", "with_states"]

#: Keras' callbacks that remember something from one batch or epoch to another, and what.
REMEMBERED = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: (
        "best",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
    ),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.TensorBoard: ("_global_train_batch", "_global_test_batch"),
}


def state_of(callback) -> dict | None:
    """What a callback remembers; None where it is not known to remember anything.

    A callback of a user's says it by ``get_state()``, which returns a dict of what JSON has and of
    lists of arrays, and takes it in ``set_state(state)``, after ``on_train_begin``.
    """
    if hasattr(callback, "get_state") and hasattr(callback, "set_state"):
        return callback.get_state()
    if isinstance(callback, keras.callbacks.CSVLogger):
        callback.csv_file.flush()
        return {"bytes": os.path.getsize(callback.filename)}
    for kind, names in REMEMBERED.items():
        if isinstance(callback, kind):
            return {name: getattr(callback, name, None) for name in names}
    return None


def states_of(callbacks) -> list[tuple[str, dict]]:
    """Class and state of each callback that has a state, in their order."""
    pairs = ((type(callback).__name__, state_of(callback)) for callback in callbacks)
    return [(name, state) for name, state in pairs if state is not None]


def with_states(callbacks, states) -> list[tuple]:
    """Pairs of callbacks and what was remembered by those that stood in their places.

    Args:
        callbacks: Those of this run.
        states: What ``states_of`` said of the run that is gone on with.

    What does not fit together is warned of and starts anew.
    """
    left, pairs = list(states), []
    for callback in callbacks:
        name = type(callback).__name__
        place = next((i for i, (known, _) in enumerate(left) if known == name), None)
        if place is not None:
            pairs.append((callback, left.pop(place)[1]))
    if left:
        warnings.warn(
            f"The run was started with callbacks that are not there now: "
            f"{', '.join(name for name, _ in left)}.",
            stacklevel=3,
        )
    return pairs


def give_back(callback, state: dict) -> None:
    """Has a callback remember, once training has begun."""
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    if isinstance(callback, keras.callbacks.CSVLogger):
        return
    for name, value in state.items():
        setattr(callback, name, value)


def keep_logs(callback, state: dict) -> None:
    """Has a table of epochs go on where the checkpoint was, before training begins."""
    if isinstance(callback, keras.callbacks.CSVLogger):
        callback.append = True
        with contextlib.suppress(FileNotFoundError):
            size = os.path.getsize(callback.filename)
            os.truncate(callback.filename, min(size, state["bytes"]))


def is_weights(value) -> bool:
    """Whether something is a list of arrays, which is no matter for JSON."""
    return isinstance(value, list) and any(isinstance(part, np.ndarray) for part in value)
