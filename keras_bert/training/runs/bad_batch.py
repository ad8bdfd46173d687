"""The batch that a run was stopped by, as a file to look at."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_bert.models.seen_steps import named_tensors

__all__ = ["save_bad_batch"]


def save_bad_batch(folder, facts: dict, model, pace) -> Path:
    """Writes what is known of the last step into an ``.npz`` file, without pickles.

    ``numpy.load(file)`` reads it. It has the facts by name (of ``fit``: ``step``, ``epoch``,
    ``loss``, ``learning_rate``, ``losses``, the last ones in order), and what is known of:

    =================  ==========================================================================
    name               what
    =================  ==========================================================================
    input_word_ids, …  what the model was given, (batch, …), by its names
    targets            what it should have said; nests as ``targets/NAME``
    sample_weight      how much each example counts, where they have weights
    previous/…         the same of the step before: if its gradients were no numbers, it is the one
                       that broke the weights
    rows               numbers of the examples in what ``fit`` was given, from 0, int64
    texts              these examples: strings, or (batch, 2) where they are pairs; other ones as
                       JSON. Of several steps that ran as one those of all of them
    =================  ==========================================================================

    Args:
        folder: Where to; None: the system's folder for temporary files.
        facts: Name → number or list of numbers, such as ``step`` and ``learning_rate``.
        model: What was trained; ``model.last_step`` has the batch, where there is one.
        pace: The ``Pace`` of the run, which may know the rows.

    Returns:
        The file. None that exists is replaced.

    Raises:
        OSError: If it cannot be written.
    """
    arrays = {name: np.array(value) for name, value in facts.items() if value is not None}
    last = getattr(model, "last_step", None)
    strategy = getattr(model, "distribute_strategy", None)
    arrays |= _arrays(getattr(last, "batch", None), "", strategy)
    arrays |= _arrays(getattr(last, "previous", None), "previous/", strategy)
    rows = pace.rows()
    if rows is not None:
        examples, texts = pace.examples_of(rows)
        arrays["rows"] = np.asarray(examples, np.int64)
        if getattr(last, "batch", None) is None:
            # Under a strategy, say, where each replica had a part of it.
            arrays |= _arrays(named_tensors(pace.batch_of(rows)), "", None)
        if texts is not None:
            arrays["texts"] = _strings(texts)
    folder = Path(tempfile.gettempdir() if folder is None else folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"bad-batch-step-{facts['step']}{_worker(model)}"
    with _new_file(folder, stem) as (path, file):
        np.savez(file, **arrays)
    return path


def _arrays(batch, prefix, strategy):
    """Name → array; of a batch in parts, one per replica, the parts by number."""
    named = {}
    for name, value in (batch or {}).items():
        if isinstance(value, tf.distribute.DistributedValues):
            value = strategy.experimental_local_results(value)
        if isinstance(value, tuple | list):
            named |= {f"{prefix}{name}/replica_{i}": np.asarray(x) for i, x in enumerate(value)}
        else:
            named[prefix + name] = np.asarray(value)
    return named


def _strings(texts):
    """An array of strings; what is no string, nor a tuple of as many as the others, as JSON."""
    parts = {len(text) if isinstance(text, tuple | list) else 0 for text in texts}
    flat = [part for text in texts for part in ((text,) if isinstance(text, str) else text)]
    if len(parts) == 1 and all(isinstance(part, str) for part in flat):
        return np.array(texts, np.str_)
    return np.array([json.dumps(text, ensure_ascii=False, default=str) for text in texts], np.str_)


def _worker(model):
    """What tells the files of several workers apart."""
    resolver = getattr(getattr(model, "distribute_strategy", None), "cluster_resolver", None)
    kind, number = (getattr(resolver, name, None) for name in ("task_type", "task_id"))
    return f"-{kind}-{number}" if kind else ""


@contextlib.contextmanager
def _new_file(folder, stem):
    """Opens a file that did not exist, for the user alone: texts may be private."""
    for number in itertools.count(1):
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}.npz"
        with contextlib.suppress(FileExistsError):
            file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))
            break
    try:
        with file:
            yield path, file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
