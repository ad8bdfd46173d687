"""What is checked and shared before a run under a strategy."""

import types

import keras
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.training.distribution import check_scope, shared_by_examples, shared_number
from keras_bert.training.distribution.loss_shares import loss_share
from keras_bert.training.losses import MaskedTokens

pytestmark = pytest.mark.filterwarnings("ignore")


def test_asynchronous_training_is_refused():
    kind = tf.distribute.experimental.ParameterServerStrategy
    model = types.SimpleNamespace(_distribute_strategy=object.__new__(kind))
    with pytest.raises(ValueError, match="ParameterServerStrategy is not supported: its workers"):
        check_scope(model)


def test_a_model_is_trained_where_it_was_made(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    with (
        tf.distribute.OneDeviceStrategy("CPU:0").scope(),
        pytest.raises(ValueError, match="no strategy and is used under OneDeviceStrategy"),
    ):
        model.fit([("a", "praise"), ("b", "question")], verbose=0)


def test_one_device_strategy_trains_and_scores(tiny_checkpoint):
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    before = model.head.logits.kernel.numpy()
    examples = [("where is it?", "question"), ("bad", "complaint"), ("good", "praise")] * 3
    history = model.fit(examples, batch_size=2, epochs=2, verbose=0, validation_data=examples)
    assert len(history.history["val_loss"]) == 2
    assert not (model.head.logits.kernel.numpy() == before).all()
    assert len(model.predict(["good", "bad"])) == 2


def test_datasets_are_shared_by_examples():
    dataset = shared_by_examples(tf.data.Dataset.range(3))
    policy = dataset.options().experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.DATA


def test_windows_of_texts_are_not_cut_apart(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), seq_length=8, stride=2)
    _, dataset = model._labelled_data([("where is my card? " * 3, "question")])
    assert shared_by_examples(dataset, replicas=1) is not None
    with pytest.raises(ValueError, match="cannot be cut into 2 replicas' parts: it has more"):
        shared_by_examples(dataset, replicas=2)


def test_one_device_has_its_own_number():
    assert shared_number(tf.distribute.get_strategy(), 7) == 7


def test_losses_over_different_things_are_refused():
    model = types.SimpleNamespace(
        loss_of=lambda x, y: {"a": MaskedTokens(), "b": keras.losses.MeanSquaredError()},
        distribute_strategy=types.SimpleNamespace(num_replicas_in_sync=2),
    )
    y = {"a": tf.constant([[1, -1]]), "b": tf.constant([1.0])}
    with pytest.raises(ValueError, match="means over the same things; received examples, what it"):
        loss_share(model, {"input_word_ids": y["a"]}, y, None)
