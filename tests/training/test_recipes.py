"""Recipes: what a task is trained with where nothing is said."""

import pytest

import keras_bert as kb
from keras_bert.models.task import TaskModel
from keras_bert.training import RECIPES, default_optimizer, recipe
from keras_bert.training.schedules import SCHEDULES

TASKS = ("Classifier", "TokenClassifier", "SpanLabeler", "MultipleChoice", "MaskedLM", "Pretrainer")


def test_every_task_has_one_with_its_source():
    for name in (*(f"Bert{task}" for task in TASKS), "DualEncoder"):
        assert recipe(name) is recipe(getattr(kb, name)) is RECIPES[name]
    for found in RECIPES.values():
        assert 1e-5 <= found.learning_rate <= 1e-4 and 1 <= found.epochs <= 20
        assert 16 <= found.batch_size <= 64 and 0 < found.warmup <= 0.1
        assert "et al." in found.source or "Gurevych" in found.source


def test_span_labeler():
    found = recipe("BertSpanLabeler")
    assert 2e-5 <= found.learning_rate <= 5e-5 and found.epochs in (2, 3)
    assert (found.batch_size, found.warmup) == (32, 0.1)
    assert recipe("BertSpanLabeler", "squad2").epochs == 2


def test_data_by_name_or_size():
    assert recipe("BertClassifier", "glue/rte") == recipe("BertClassifier", "RTE") == RECIPES["rte"]
    assert recipe("BertClassifier", "sst-2").epochs == 3
    assert recipe("BertClassifier", 2_490).epochs == 20
    assert recipe("BertClassifier", 10_003) == recipe("BertClassifier")
    assert recipe("BertSpanLabeler", 500) == recipe("BertSpanLabeler")


def test_unknown_ones():
    with pytest.raises(ValueError, match="no recipe for 'BertPoet'; there is one for BertClassif"):
        recipe("BertPoet")
    with pytest.raises(ValueError, match="no recipe for the data 'imdb'; .* number of training"):
        recipe("BertClassifier", "imdb")


def test_own_classes_take_that_of_what_they_are_made_of():
    class Own(kb.BertSpanLabeler):
        pass

    class Other(TaskModel):
        pass

    assert recipe(Own) == recipe("BertSpanLabeler")
    assert recipe(Other).learning_rate == 5e-5


def test_default_optimizer(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    schedule = model.optimizer._learning_rate
    assert (schedule.peak, schedule.warmup) == (5e-5, 0.1)
    model.compile(learning_rate=1e-4, layer_decay=0.9, accumulate=4)
    assert model.optimizer._learning_rate.peak == 1e-4
    assert model.optimizer.layer_decay == 0.9
    assert model.optimizer.gradient_accumulation_steps == 4
    optimizer = default_optimizer(model, warmup=0.0)
    assert optimizer._learning_rate.warmup == 0 and optimizer.layer_decay is None


def test_optimizers_and_schedules_by_name(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    model.compile("lamb", schedule="cosine", accumulate=4, layer_decay=0.9)
    assert type(model.optimizer) is kb.LAMB and model.optimizer.layer_decay == 0.9
    schedule = model.optimizer._learning_rate
    assert type(schedule) is SCHEDULES["cosine"] and schedule.warmup == 0.1
    # The authors' rule for a step of 32 · 4 texts, unless another is asked for.
    assert schedule.peak == pytest.approx(6.25e-4 / 2)
    assert default_optimizer(model, 1e-3, optimizer="lamb")._learning_rate.peak == 1e-3
    model.compile("adamw")
    assert type(model.optimizer) is kb.AdamW
    assert type(model.optimizer._learning_rate) is SCHEDULES["linear"]
    model.compile("adam")
    assert type(model.optimizer).__module__.startswith("keras.")


def test_unknown_names(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    with pytest.raises(ValueError, match="schedule is one of linear, .* received 'step'"):
        model.compile(schedule="step")
    with pytest.raises(ValueError, match="optimizer is one of adamw, lamb; received 'sgd'"):
        default_optimizer(model, optimizer="sgd")
    with pytest.raises(ValueError, match="schedule are of the default optimiser"):
        model.compile("sgd", schedule="cosine")


def test_fit_takes_the_batch_size(tiny_checkpoint, monkeypatch):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=["a", "b"])
    sizes = []
    monkeypatch.setattr(
        type(model), "_training_dataset", lambda self, x, y, size: sizes.append(size) or 1 / 0
    )
    for options in ({}, {"batch_size": 7}):
        with pytest.raises(ZeroDivisionError):
            model.fit([("good", "a")], **options)
    assert sizes == [32, 7]
