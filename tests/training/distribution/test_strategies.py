"""Which strategy is chosen, and what is said where none can be made."""

import inspect
import json
import re
import warnings

import pytest
import tensorflow as tf
from tensorflow.python.distribute import collective_all_reduce_strategy
from tensorflow.python.eager import context

from keras_bert.training import cluster_of, strategy
from keras_bert.training.distribution import strategies

from ...text.fresh_process import last_line

PLACES = ("TF_CONFIG", "TPU_NAME", "KERAS_BERT_WORKERS", "SLURM_PROCID", "SLURM_JOB_ID")
TWO_WORKERS = json.dumps(
    {"cluster": {"worker": ["a.invalid:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hardware(monkeypatch):
    """Has TensorFlow see so many devices of a kind; CPUs are as they are."""
    real = tf.config.list_physical_devices

    def see(**counts):
        def devices(kind=None):
            number = counts.get(kind, 0)
            return real(kind) if kind == "CPU" else [f"{kind}:{i}" for i in range(number)]

        monkeypatch.setattr(tf.config, "list_physical_devices", devices)

    return see


@pytest.fixture
def made(monkeypatch):
    """What would be made: names of strategies, none of which is."""
    names = []
    monkeypatch.setattr(strategies, "_multi_worker", lambda *limits: names.append(limits))
    monkeypatch.setattr(strategies, "_tpu", lambda: names.append("tpu"))
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", names.append)
    return names


def test_auto(monkeypatch, hardware, made):
    hardware(GPU=1)
    assert strategy() is tf.distribute.get_strategy()
    hardware(GPU=2)
    strategy()
    strategy(devices=["CPU:0"])
    monkeypatch.setenv("TF_CONFIG", TWO_WORKERS)
    strategy()
    monkeypatch.setenv("TPU_NAME", "local")
    strategy()
    hardware(TPU=8)
    monkeypatch.delenv("TPU_NAME")
    strategy()
    assert made == [["GPU:0", "GPU:1"], ["CPU:0"], (600.0, 30.0), "tpu", "tpu"]


def test_none_ignores_what_there_is(monkeypatch, hardware):
    hardware(GPU=2, TPU=8)
    monkeypatch.setenv("TF_CONFIG", TWO_WORKERS)
    assert strategy("none") is tf.distribute.get_strategy()


def test_a_single_worker_is_no_cluster(monkeypatch):
    alone = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(alone))
    assert strategy() is tf.distribute.get_strategy()
    with pytest.raises(ValueError, match="nothing says who the other workers are"):
        strategy("multi_worker")


def test_a_slurm_script_that_forgot_srun(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with pytest.warns(UserWarning, match="has 4 tasks, and this process was not started by srun"):
        strategy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strategy("none")


def test_time_limits(monkeypatch, made):
    monkeypatch.setenv("TF_CONFIG", TWO_WORKERS)
    monkeypatch.setenv("KERAS_BERT_JOIN_TIMEOUT", "7")
    strategy("multi_worker", peer_timeout=3)
    assert made == [(7.0, 3.0)]
    with pytest.raises(ValueError, match="join_timeout is a number of seconds.*received 0"):
        strategy("multi_worker", join_timeout=0)
    monkeypatch.setenv("KERAS_BERT_PEER_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="KERAS_BERT_PEER_TIMEOUT is .*; received 'soon'"):
        strategy("multi_worker")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["parameter_server"], "who was faster.*ParameterServerStrategy"),
        (["mirror"], "one of auto, none, mirrored, multi_worker, tpu; received 'mirror'"),
        (["none", 2], r"devices=2 goes with strategy=\"mirrored\", and this is \"none\""),
        (["tpu"], "there is none: TPU_NAME is not set"),
        (["mirrored", 0], "number from 1 on, or names .*; received 0"),
        (["mirrored", "CPU:0"], "number from 1 on, or names .*; received 'CPU:0'"),
        (["mirrored", []], r"received \[\]"),
        (["mirrored", True], "received True"),
        (["mirrored", ["TPU:0"]], 'called such as "GPU:0" or "CPU:1"; received \'TPU:0\''),
        (["mirrored", ["GPU:64"]], r"devices=\['GPU:64'\], and TensorFlow sees \d+ GPUs"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        strategy(*arguments)


def test_a_broken_variable_is_no_reason_to_train_alone(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", TWO_WORKERS.replace('"type"', '"kind"'))
    with pytest.raises(ValueError, match=r"TF_CONFIG: task.type"):
        strategy()


def test_too_late(monkeypatch):
    tf.constant(1)
    with pytest.raises(RuntimeError, match="cannot be split into 5 devices: TensorFlow has start"):
        strategy("mirrored", devices=5)
    monkeypatch.setenv("TF_CONFIG", TWO_WORKERS)
    with pytest.raises(RuntimeError, match="cannot be connected: TensorFlow has started"):
        strategy()


def test_inside_another():
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        with pytest.raises(RuntimeError, match="outside the scope of any other"):
            strategy("none")


def test_what_tensorflow_keeps_private():
    """The time after which a silent worker is lost is set beforehand, and kept."""
    found = inspect.signature(context.Context.configure_coordination_service).parameters
    assert {"heartbeat_timeout_in_ms", "cluster_register_timeout_in_ms"} <= set(found)
    source = inspect.getsource(collective_all_reduce_strategy.CollectiveAllReduceExtended)
    assert re.search(r"if context\.context\(\)\.coordination_service is None:", source)
    assert hasattr(context.context(), "_context_handle")


def test_logical_cpus():
    script = """
        import json
        import keras_bert as kb
        import tensorflow as tf

        made = kb.training.strategy("mirrored", devices=2)
        with made.scope():
            inside = kb.training.cluster_of()
            value = tf.Variable(3.0)
        total = made.run(lambda: tf.distribute.get_replica_context().all_reduce("SUM", value * 1))
        kb.training.wait(made)
        with kb.training.lost_peers(made):
            pass
        again = kb.training.strategy("mirrored")  # what the CPU is split into by now
        print(json.dumps([
            len(tf.config.list_logical_devices("CPU")),
            [inside.is_chief, inside.task_id, inside.workers, inside.replicas],
            inside.local_replicas,
            [float(part) for part in made.experimental_local_results(total)],
            again.num_replicas_in_sync,
        ]))
    """
    found = json.loads(last_line(script, CUDA_VISIBLE_DEVICES="", TF_CONFIG=""))
    assert found == [2, [True, 0, 1, 2], 2, [6.0, 6.0], 2]


def test_cluster_of_the_default():
    assert cluster_of() == cluster_of(tf.distribute.get_strategy())
    assert cluster_of().local_replicas == 1
