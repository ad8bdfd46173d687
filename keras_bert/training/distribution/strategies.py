"""On what a model trains: one device, several, several machines, a TPU.

``strategy("auto")`` looks around and makes the ``tf.distribute`` strategy that fits; a model is to
be built and fitted under its scope. ``docs/distributed.md`` shows the whole of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import warnings
from collections.abc import Sequence

import tensorflow as tf

# Private, and needed: how soon a silent worker counts as lost can be set nowhere else, and the
# strategy keeps what it finds set (tests of this file fail where that changes).
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context as eager_context

from keras_bert.launching import slurm
from keras_bert.launching.clusters import check_strategy, find_cluster
from keras_bert.launching.peers import PeerLost, note_joined
from keras_bert.launching.rendezvous import meet

__all__ = ["strategy"]

_JOIN_TIMEOUT, _PEER_TIMEOUT = 600.0, 30.0
_TPU_VARIABLES = ("TPU_NAME", "KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS")


def strategy(
    name: str = "auto",
    devices: int | Sequence[str] | None = None,
    *,
    join_timeout: float | None = None,
    peer_timeout: float | None = None,
) -> tf.distribute.Strategy:
    """The ``tf.distribute`` strategy to train under; make it before anything else of TensorFlow.

    Args:
        name: "auto": the first of these that there is: a TPU, other workers of a cluster, more
            than one GPU (or ``devices``); else as "none".
            "none": the device that TensorFlow takes by itself.
            "mirrored": several devices of this machine.
            "multi_worker": several processes, on one machine or many, each with its own devices;
            they are found in ``TF_CONFIG``, Slurm's variables, or ``KERAS_BERT_WORKERS``.
            "tpu": the TPU of this machine, or that of ``TPU_NAME``.
        devices: Of "mirrored": how many, or their names; default: all GPUs, else all logical
            CPUs. Where there are no GPUs, the CPU is split into so many logical devices.
        join_timeout: Seconds to wait for the other workers at the start; default: the variable
            ``KERAS_BERT_JOIN_TIMEOUT``, else 600.
        peer_timeout: Seconds after which a worker that does not answer counts as lost; default:
            the variable ``KERAS_BERT_PEER_TIMEOUT``, else 30. One whose process ends is mostly
            noticed at once.

    Returns:
        The strategy; ``cluster_of`` tells what it has.

    Raises:
        ValueError: On an unknown name, parameter servers, or devices or a cluster that there are
            not; if ``TF_CONFIG`` and the like cannot be read.
        PeerLost: If the other workers do not come in time.
        RuntimeError: If TensorFlow has started already, so that its devices are settled.

    Source: https://www.tensorflow.org/guide/distributed_training

    Example:
        >>> strategy("none").num_replicas_in_sync
        1
    """
    check_strategy(name)
    if name == "auto":
        name = _found(devices)
    if devices is not None and name != "mirrored":
        raise ValueError(
            f'devices={devices!r} goes with strategy="mirrored", and this is "{name}". What GPUs a '
            "process sees, CUDA_VISIBLE_DEVICES says."
        )
    if name == "mirrored":
        with _without_tf_config():
            return tf.distribute.MirroredStrategy(_mirrored_devices(devices))
    if name == "multi_worker":
        return _multi_worker(
            _seconds("join_timeout", join_timeout, _JOIN_TIMEOUT),
            _seconds("peer_timeout", peer_timeout, _PEER_TIMEOUT),
        )
    if name == "tpu":
        return _tpu()
    return _default()


def _default():
    """TensorFlow's own: nothing is mirrored, and its scope does nothing."""
    if tf.distribute.has_strategy():
        raise RuntimeError("A strategy is made outside the scope of any other.")
    return tf.distribute.get_strategy()


def _found(devices):
    """What "auto" stands for here."""
    if _has_tpu():
        return "tpu"
    if find_cluster() is not None:
        return "multi_worker"
    if slurm.is_outside_a_step(os.environ):
        warnings.warn(
            f"This Slurm job has {os.environ['SLURM_NTASKS']} tasks, and this process was not "
            "started by srun: it trains alone.",
            stacklevel=3,
        )
    if devices is not None:
        return "mirrored"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "none"


def _seconds(name, value, default):
    """A time limit: as given, else from the environment, else the default."""
    variable = f"KERAS_BERT_{name.upper()}"
    source = name if value is not None else variable
    text = value if value is not None else os.environ.get(variable) or default
    try:
        seconds = float(text)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{source} is a number of seconds above 0; received {text!r}.")
    return seconds


# Several devices of this machine.


def _mirrored_devices(devices):
    """Names such as ["GPU:0", "GPU:1"]."""
    gpus = tf.config.list_physical_devices("GPU")
    if devices is None:
        kind, count = ("GPU", len(gpus)) if gpus else ("CPU", len(_logical_cpus() or "1"))
        return [f"{kind}:{i}" for i in range(count)]
    if isinstance(devices, int) and not isinstance(devices, bool) and devices >= 1:
        devices = [f"{'GPU' if gpus else 'CPU'}:{i}" for i in range(devices)]
    if isinstance(devices, int | str) or not devices:
        raise ValueError(
            f'devices is a number from 1 on, or names such as ["GPU:0", "GPU:1"]; '
            f"received {devices!r}."
        )
    numbers = {"GPU": [], "CPU": []}
    for device in devices:
        match = re.fullmatch(r"/?(?:device:)?(GPU|CPU):(\d+)", str(device), re.IGNORECASE)
        if not match:
            raise ValueError(f'A device is called such as "GPU:0" or "CPU:1"; received {device!r}.')
        numbers[match[1].upper()].append(int(match[2]))
    if numbers["GPU"] and max(numbers["GPU"]) >= len(gpus):
        raise ValueError(f"devices={list(devices)}, and TensorFlow sees {len(gpus)} GPUs.")
    if numbers["CPU"]:
        _split_cpu(max(numbers["CPU"]) + 1)
    return list(devices)


@contextlib.contextmanager
def _without_tf_config():
    """MirroredStrategy reads ``TF_CONFIG``, to ignore it, and fails where it is empty."""
    config = os.environ.pop("TF_CONFIG", None)
    try:
        yield
    finally:
        if config is not None:
            os.environ["TF_CONFIG"] = config


def _split_cpu(count):
    """Sees that there are so many logical CPU devices."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or "1") >= count:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError as error:
        raise RuntimeError(
            f"The CPU cannot be split into {count} devices: TensorFlow has started. Make the "
            "strategy first, before any model, tensor or dataset."
        ) from error


def _logical_cpus():
    """The logical devices that the CPU is set to be split into, without starting TensorFlow."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    return tf.config.get_logical_device_configuration(cpu)


# Several processes.


def _multi_worker(join_timeout, peer_timeout):
    addresses = find_cluster()
    if addresses is None:
        raise ValueError(
            'strategy="multi_worker", and nothing says who the other workers are: TF_CONFIG with '
            "two workers or more, a step of a Slurm job (srun), or KERAS_BERT_WORKERS and "
            "KERAS_BERT_SERVICE. On one machine: keras-bert launch -n 2 -- ..."
        )
    if eager_context.context()._context_handle is not None:
        raise RuntimeError(
            "The workers cannot be connected: TensorFlow has started, or this process has such a "
            "strategy. Make it once and first, before any model, tensor or dataset."
        )
    meet(addresses, join_timeout)
    _set_heartbeat(addresses, peer_timeout)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        # A chief is a worker 0, so that all see the same cluster wherever it was found.
        tf.train.ClusterSpec({"worker": list(addresses.workers)}),
        task_type="worker",
        task_id=addresses.task_id,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )
    try:
        with _ended_after(join_timeout + peer_timeout):
            made = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise PeerLost(
            f"{addresses.name(addresses.task_id)} could not join the others: {error.message}"
        ) from error
    note_joined()
    return made


def _set_heartbeat(addresses, peer_timeout):
    eager_context.context().configure_coordination_service(
        "standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=int(peer_timeout * 1000),
        heartbeat_timeout_in_ms=int(peer_timeout * 1000),
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=len(addresses.workers))
        ],
    )


@contextlib.contextmanager
def _ended_after(seconds):
    """Has the system end this process (SIGALRM) where TensorFlow waits without end.

    That a worker dies between the meeting and TensorFlow's own start is all that this is for:
    TensorFlow waits for it in C++ and lets nothing of Python run, no thread and no signal handler.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# A TPU.


def _has_tpu():
    return any(map(os.environ.get, _TPU_VARIABLES)) or bool(tf.config.list_physical_devices("TPU"))


def _tpu():
    """Written after TensorFlow's guide and not run: there was no TPU to run it on.

    Source: https://www.tensorflow.org/guide/tpu
    """
    if not _has_tpu():
        raise ValueError(
            'strategy="tpu", and there is none: TPU_NAME is not set, and TensorFlow sees no TPU of '
            "this machine. On a TPU VM, install tensorflow-tpu of the same version in place of "
            "tensorflow."
        )
    # "local" is the TPU that a TPU VM has itself.
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
        os.environ.get("TPU_NAME", "local")
    )
    try:
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        raise RuntimeError(
            f"The TPU {os.environ.get('TPU_NAME', 'of this machine')} cannot be started: {error}. "
            "Does another process have it? Is its TensorFlow version this one's, "
            f"{tf.__version__}?"
        ) from error
    return tf.distribute.TPUStrategy(resolver)
