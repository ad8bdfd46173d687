"""The same training with several seeds: how much of a score is chance."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import inspect
import statistics
from typing import Any

import keras

from keras_bert.metrics.directions import better

__all__ = ["SeedRuns", "over_seeds"]


@dataclasses.dataclass(frozen=True)
class SeedRuns:
    """What runs with several seeds came to; printed, it is a table.

    Attributes:
        seeds: The seeds.
        scores: For each seed, name of a score → its value on the test data.
        best_seed: The seed of the best model.
        best_model: That model.
        chosen_by: The score that it is the best by, and on which data.
    """

    seeds: list[int]
    scores: list[dict[str, float]]
    best_seed: int
    best_model: Any
    chosen_by: str

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each score."""
        return {name: statistics.fmean(values) for name, values in self._columns().items()}

    @property
    def deviation(self) -> dict[str, float]:
        """Standard deviation of each score, of a sample (n - 1); 0 for a single seed."""
        columns = self._columns()
        return {n: statistics.stdev(v) if len(v) > 1 else 0.0 for n, v in columns.items()}

    def _columns(self):
        return {name: [scores[name] for scores in self.scores] for name in self.scores[0]}

    def __str__(self):
        names = list(self.scores[0])
        rows = [["seed", *names]]
        rows += [
            [f"{seed}{' *' if seed == self.best_seed else ''}", *(f"{s[n]:.4f}" for n in names)]
            for seed, s in zip(self.seeds, self.scores, strict=True)
        ]
        mean, deviation = self.mean, self.deviation
        rows.append(["mean ± sd", *(f"{mean[n]:.4f} ± {deviation[n]:.4f}" for n in names)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*map(str.rstrip, lines), f"* best by {self.chosen_by}"])


def over_seeds(
    make_model, train, test, seeds=5, validation=None, monitor=None, **options
) -> SeedRuns:
    """Trains and tests a model once per seed.

    Args:
        make_model: Makes a new model, compiled or not; called with the seed where it takes an
            argument. Keras' seed is set before.
        train: As ``fit`` takes it.
        test: As ``evaluate`` takes it.
        seeds: The seeds, or how many: 0, 1, 2, ...
        validation: Data to choose the best model by, and for ``fit`` to validate with. Default:
            the best is chosen on the test data, so that its own score there says too much; the
            mean does not.
        monitor: The score to choose by; default: the model's ``main_metric``.
        **options: Passed to ``fit``, such as ``epochs=3``.

    Returns:
        The scores of all runs, and the best model. Other models are not kept.

    Raises:
        ValueError: If there are no seeds, one is there twice, or there is no such score.

    Example:
        >>> import keras_bert as kb
        >>> def make():
        ...     return kb.BertClassifier.from_pretrained("minilm", labels=["bad", "good"])
        >>> runs = over_seeds(make, train, test, seeds=5, epochs=3)  # doctest: +SKIP
        >>> print(runs)  # doctest: +SKIP
    """
    seeds = _checked_seeds(seeds)
    quiet = {"verbose": options.get("verbose", 1)}
    scores, best = [], None
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = make_model(seed) if _takes_a_seed(make_model) else make_model()
        model.fit(train, validation_data=validation, **options)
        scores.append(model.evaluate(test, **quiet))
        chosen = scores[-1] if validation is None else model.evaluate(validation, **quiet)
        name, value = _main_score(model, monitor, chosen)
        sign = -1 if better(name) == "min" else 1
        if best is None or sign * value > best[0]:
            best = (sign * value, seed, model)
        # A graph and its function hold each other, and with them all weights.
        del model
        gc.collect()
    chosen_by = f"{name} on the {'test' if validation is None else 'validation'} data"
    return SeedRuns(seeds, scores, best[1], best[2], chosen_by)


def _checked_seeds(seeds):
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds is a number from 1 on, or a list of different seeds; received {seeds}."
        )
    return seeds


def _takes_a_seed(make_model):
    with contextlib.suppress(TypeError, ValueError):
        parameters = inspect.signature(make_model).parameters.values()
        return any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters)
    return False


def _main_score(model, monitor, scores):
    """Name and value of the score that models are compared by."""
    name = model.main_metric if monitor is None else monitor.removeprefix("val_")
    if name not in scores:
        raise ValueError(f"There is no score {name!r} to choose by; there are {', '.join(scores)}.")
    if better(name) is None:
        raise ValueError(f"Whether more of {name!r} is better, its name does not tell.")
    return name, scores[name]
