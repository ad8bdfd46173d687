"""What ``fit`` was asked to show, write and watch, put together."""

import types

import keras
import pytest
import tensorflow as tf

from keras_bert.models.seen_steps import LastStep
from keras_bert.training import ProgressBar, RunLog, StopOnBadLoss
from keras_bert.training.runs.pace import Pace
from keras_bert.training.runs.watchers import Watchers


def stub(chief=True):
    """What is asked of a model: its strategy, and the last step."""
    extended = types.SimpleNamespace(should_save_summary=chief)
    strategy = types.SimpleNamespace(extended=extended)
    return types.SimpleNamespace(distribute_strategy=strategy, last_step=LastStep())


def watchers(model=None, options=None, **given):
    given = {"log": None, "progress": None, "stop": True, "tensorboard": None, **given}
    names = ("log", "progress", "stop", "tensorboard")
    values = [given[name] for name in names]
    return Watchers(model or stub(), None, *values, None, {} if options is None else options)


def kinds(callbacks):
    return [type(callback) for callback in callbacks]


def test_strategies_say_who_the_chief_is():
    """Of TensorFlow, not documented there: should it go, this fails, and others see nothing."""
    assert tf.distribute.get_strategy().extended.should_save_summary is True
    assert tf.distribute.OneDeviceStrategy("/cpu:0").extended.should_save_summary is True


def test_by_default(tmp_path):
    other = keras.callbacks.Callback()
    assert kinds(watchers().around([other])) == [
        *(Pace, keras.callbacks.Callback, StopOnBadLoss, ProgressBar)
    ]
    # The bad step's row is written before the run is stopped by it.
    assert kinds(watchers(log=tmp_path / "a").around([])) == [
        *(Pace, RunLog, StopOnBadLoss, ProgressBar)
    ]
    assert kinds(watchers(stop=False, progress="keras").around([])) == [Pace]
    own = keras.callbacks.ProgbarLogger()
    assert kinds(watchers(stop=False).around([own])) == [Pace, keras.callbacks.ProgbarLogger]


def test_nothing_shown():
    options = {"verbose": 1}
    assert ProgressBar not in kinds(watchers(options=options, progress=False).around([]))
    assert options == {"verbose": 0}


def test_others_than_the_chief_show_and_write_nothing(tmp_path):
    options = {}
    for log in (tmp_path / "run.jsonl", RunLog(tmp_path / "other.jsonl")):
        found = watchers(stub(chief=False), options, log=log).around([])
        assert kinds(found) == [Pace, RunLog, StopOnBadLoss]
        assert not found[1].is_chief
    assert options == {"verbose": 0}
    assert not (tmp_path / "run.jsonl").exists()


def test_ones_own(tmp_path):
    bar, log = ProgressBar(width=70), RunLog(tmp_path / "logs" / "run.jsonl")
    stop = StopOnBadLoss(factor=3)
    found = watchers(log=log, progress=bar, stop=stop).around([])
    assert found[1:] == [log, stop, bar]
    assert found[0] is bar.pace is log.pace is stop.pace
    other = watchers(stop=stop).around([])
    assert stop.pace is other[0]  # of the last run that it was given to


def test_what_is_none_of_them():
    with pytest.raises(TypeError, match="progress is None, False, 'keras' or a"):
        watchers(progress="fancy")
    with pytest.raises(
        TypeError, match="log is a file or a keras_bert.training.RunLog; received 3"
    ):
        watchers(log=3)


def test_the_end_closes_all(tmp_path):
    group = watchers(log=tmp_path / "run.jsonl")
    with pytest.raises(KeyboardInterrupt), group:
        raise KeyboardInterrupt
    assert group.pace._plan is None
