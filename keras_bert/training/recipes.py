"""How each task is trained where nothing else is said: the papers' settings, as one table."""

from __future__ import annotations

import dataclasses

from keras_bert.training.lamb import LAMB
from keras_bert.training.optimizers import AdamW
from keras_bert.training.schedules import SCHEDULES

__all__ = ["OPTIMIZERS", "RECIPES", "Recipe", "accumulation_steps", "default_optimizer", "recipe"]

_BERT = "Devlin et al. 2018 (arXiv:1810.04805)"
_DOMAIN = "Gururangan et al. 2020 (arXiv:2004.10964), appendix B"
_SHORT = "Mosbach et al. 2021 (arXiv:2006.04884), sections 3 and 6"
_SENTENCES = "Reimers & Gurevych 2019 (arXiv:1908.10084)"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a task is trained.

    Attributes:
        learning_rate: Peak learning rate of AdamW. LAMB's is another, see ``default_optimizer``.
        epochs: Passes over the data.
        batch_size: Texts per step.
        warmup: Share of the steps in which the learning rate rises.
        source: Where that comes from.

    Example:
        >>> recipe("BertMultipleChoice").fit_options()
        {'epochs': 3, 'batch_size': 16}
    """

    learning_rate: float
    epochs: int
    batch_size: int
    warmup: float
    source: str

    def compile_options(self) -> dict:
        """What ``compile`` of a task model takes of it; by itself it takes the task's."""
        return {"learning_rate": self.learning_rate, "warmup": self.warmup}

    def fit_options(self) -> dict:
        """What ``fit`` of a task model takes of it; of epochs it takes one by itself."""
        return {"epochs": self.epochs, "batch_size": self.batch_size}


#: Class of a task model, then names of data sets → recipe. Of the rates and numbers that a paper
#: chose from by the validation data: 5e-5 where its authors name it first or 2e-5 where data is
#: short, and the middle number of epochs. BERT's own warm-up is the first 10 % of all runs
#: (``run_classifier.py`` and ``run_squad.py`` of google-research/bert).
RECIPES = {
    "BertClassifier": Recipe(5e-5, 3, 32, 0.1, f"{_BERT}, appendix A.3"),
    "BertTokenClassifier": Recipe(5e-5, 3, 32, 0.1, f"{_BERT}, section 5.3 and appendix A.3"),
    "BertSpanLabeler": Recipe(5e-5, 3, 32, 0.1, f"{_BERT}, section 4.2"),
    "BertMultipleChoice": Recipe(2e-5, 3, 16, 0.1, f"{_BERT}, section 4.4"),
    "DualEncoder": Recipe(2e-5, 1, 64, 0.1, f"{_SENTENCES}, section 3.1; batch: its authors' code"),
    "BertMaskedLM": Recipe(1e-4, 3, 32, 0.06, _DOMAIN),
    "BertPretrainer": Recipe(1e-4, 3, 32, 0.06, _DOMAIN),
    "TaskModel": Recipe(5e-5, 3, 32, 0.1, f"{_BERT}, appendix A.3"),
    "squad": Recipe(5e-5, 3, 32, 0.1, f"{_BERT}, section 4.2"),
    "squad2": Recipe(5e-5, 2, 48, 0.1, f"{_BERT}, section 4.3"),
    "swag": Recipe(2e-5, 3, 16, 0.1, f"{_BERT}, section 4.4"),
    "cola": Recipe(2e-5, 20, 16, 0.1, _SHORT),
    "mrpc": Recipe(2e-5, 20, 16, 0.1, _SHORT),
    "rte": Recipe(2e-5, 20, 16, 0.1, _SHORT),
    "stsb": Recipe(2e-5, 20, 16, 0.1, f"{_SHORT}, as for data of its size"),
    "wnli": Recipe(2e-5, 3, 32, 0.1, f"{_BERT}, section 4.1; left out there, nothing is learnt"),
    "mnli": Recipe(2e-5, 3, 32, 0.1, f"{_BERT}, section 4.1"),
    "qnli": Recipe(2e-5, 3, 32, 0.1, f"{_BERT}, section 4.1"),
    "qqp": Recipe(2e-5, 3, 32, 0.1, f"{_BERT}, section 4.1"),
    "sst2": Recipe(2e-5, 3, 32, 0.1, f"{_BERT}, section 4.1"),
    "conll2003": Recipe(5e-5, 3, 32, 0.1, f"{_BERT}, section 5.3 and appendix A.3"),
}

#: Fewer examples than that are few for a classifier: it is trained longer, at a lower rate.
FEW = 10_000
_FEW_EXAMPLES = Recipe(2e-5, 20, 16, 0.1, _SHORT)


def recipe(task, data: str | int | None = None) -> Recipe:
    """How a task is trained where nothing else is said.

    Args:
        task: A task model, its class or the class' name.
        data: Name of a data set, such as ``"rte"`` or ``"squad2"``, or the number of examples,
            which counts for classifiers. Default: neither is known.

    Raises:
        ValueError: If there is no recipe for such a task or data set; the message names those that
            there are.

    Example:
        >>> recipe("BertSpanLabeler").learning_rate, recipe("BertSpanLabeler", "squad2").epochs
        (5e-05, 2)
        >>> recipe("BertClassifier", 2_490).epochs
        20
    """
    names = [task] if isinstance(task, str) else _class_names(task)
    found = next((RECIPES[name] for name in names if name in RECIPES), None)
    if found is None:
        raise ValueError(
            f"There is no recipe for {names[0]!r}; there is one for {', '.join(RECIPES)}."
        )
    if isinstance(data, str):
        name = data.lower().replace("glue/", "").replace("-", "").replace("_", "")
        if name not in RECIPES:
            sets = [name for name in RECIPES if name.islower()]
            raise ValueError(
                f"There is no recipe for the data {data!r}; there is one for {', '.join(sets)}. "
                "Give the number of training examples instead."
            )
        return RECIPES[name]
    if data is not None and data < FEW and "BertClassifier" in names:
        return _FEW_EXAMPLES
    return found


def _class_names(task):
    kind = task if isinstance(task, type) else type(task)
    return [base.__name__ for base in kind.__mro__]


#: Names that ``default_optimizer`` and ``compile`` take.
OPTIMIZERS = {"adamw": AdamW, "lamb": LAMB}


def default_optimizer(
    model,
    learning_rate=None,
    warmup=None,
    layer_decay=None,
    accumulate=None,
    optimizer="adamw",
    schedule="linear",
):
    """The optimiser that a task model is compiled with where none is given.

    Args:
        model: The model; what is None comes from its recipe.
        learning_rate: Peak learning rate. LAMB's is not in recipes; default: that which its
            authors pretrain with, 6.25e-4 · √(texts per step / 512).
        warmup: Share of the steps in which the learning rate rises.
        layer_decay: As ``AdamW`` takes it.
        accumulate: Batches to a step.
        optimizer: "adamw" or "lamb".
        schedule: What the learning rate does after warm-up: "linear", "polynomial" or "cosine", all
            down to 0, or "constant".

    Raises:
        ValueError: If ``accumulate`` is no number from 1 on, or there is no such optimiser or
            schedule.
    """
    defaults = recipe(model)
    kind = _named(OPTIMIZERS, "optimizer", optimizer)
    decay = _named(SCHEDULES, "schedule", schedule)
    if learning_rate is None:
        learning_rate = defaults.learning_rate
        if kind is LAMB:
            learning_rate = _lamb_rate(defaults.batch_size * (accumulate or 1))
    warmup = defaults.warmup if warmup is None else warmup
    return kind(
        decay(learning_rate, warmup=warmup),
        layer_decay=layer_decay,
        gradient_accumulation_steps=accumulation_steps(accumulate),
    )


def _named(table, what, name):
    if name not in table:
        raise ValueError(f"{what} is one of {', '.join(table)}; received {name!r}.")
    return table[name]


def _lamb_rate(batch_size):
    """5/(2³·10³) for 512 and the rule of the root: You et al. 2020 (arXiv:1904.00962)."""
    return 6.25e-4 * (batch_size / 512) ** 0.5


def accumulation_steps(accumulate: int | None) -> int | None:
    """What Keras' optimisers call it: None where every batch makes a step.

    Raises:
        ValueError: If it is no number from 1 on.
    """
    if accumulate is None or accumulate == 1:
        return None
    if not isinstance(accumulate, int) or accumulate < 1:
        raise ValueError(f"accumulate is a number of batches, from 1 on; received {accumulate!r}.")
    return accumulate
