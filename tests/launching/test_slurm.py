"""Ranks of a Slurm step to addresses, against TensorFlow's resolver where that is right."""

import random

import pytest
import tensorflow as tf
from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver as oracle

from keras_bert.launching import slurm


def step(nodes="n[1-2]", per_node="2(x2)", rank=0, tasks=4, **more):
    return {
        "SLURM_JOB_ID": "1003",
        "SLURM_PROCID": str(rank),
        "SLURM_STEP_NUM_TASKS": str(tasks),
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_TASKS_PER_NODE": per_node,
        **more,
    }


def places(environment):
    """Host and task on it, rank by rank."""
    workers = [address.split(":") for address in slurm.find_cluster(environment).workers]
    return [(host, int(port) - 12_048) for host, port in workers]


def test_block_and_cyclic():
    block = [("n1", 0), ("n1", 1), ("n2", 0), ("n2", 1)]
    assert places(step()) == block
    assert places(step(SLURM_DISTRIBUTION="block:cyclic,NoPack")) == block
    cyclic = [("n1", 0), ("n2", 0), ("n1", 1), ("n2", 1)]
    assert places(step(SLURM_DISTRIBUTION="cyclic")) == cyclic
    uneven = step("n[1-3]", "3,1(x2)", tasks=5, SLURM_DISTRIBUTION="cyclic")
    assert places(uneven) == [("n1", 0), ("n2", 0), ("n3", 0), ("n1", 1), ("n1", 2)]


def test_nodes_keep_the_order_of_the_ranks():
    # TensorFlow 2.20 sorts n10 before n9: rank 0, on n9, would listen under n10's name.
    assert places(step("n[9-10]", "1(x2)", tasks=2)) == [("n9", 0), ("n10", 0)]


def test_against_tensorflow(monkeypatch):
    random.seed(5)
    for _ in range(20):
        nodes = random.randint(2, 5)
        counts = [random.randint(1, 3) for _ in range(nodes)]
        names = random.choice([f"n[1-{nodes}]", f"n[01-{nodes:02}]", ",".join("abcde"[:nodes])])
        environment = step(
            names,
            ",".join(map(str, counts)),
            rank=random.randrange(sum(counts)),
            tasks=sum(counts),
            KERAS_BERT_PORT="8888",
        )
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=3, gpus_per_task=1, auto_set_gpu=False
        )
        found = slurm.find_cluster(environment)
        assert list(found.workers) == resolver.cluster_spec().as_dict()["worker"]
        assert found.task_id == resolver.get_task_info()[1]


def test_lists_against_tensorflow():
    for text in ("n[1-2],m5,o[3-4,6,7-9]", "gpu[08-11]", "a,b,c", "x-1-[1-2]"):
        assert slurm.expand_hosts(text) == oracle.expand_hostlist(text)
    for text in ("3(x2),2,1", "1", "4(x100)"):
        assert slurm.expand_tasks(text) == oracle.expand_tasks_per_node(text)
    # Nodes named by rack and place, which TensorFlow cannot read.
    assert slurm.expand_hosts("r[1-2]n[1-2]") == ["r1n1", "r1n2", "r2n1", "r2n2"]


def test_ports():
    reserved = step(SLURM_STEP_RESV_PORTS="15000-15003")
    assert slurm.find_cluster(reserved).workers[1] == "n1:15001"
    assert slurm.find_cluster(step(KERAS_BERT_PORT="9000")).workers[3] == "n2:9001"
    other = slurm.find_cluster(step() | {"SLURM_JOB_ID": "1004"})
    assert other.workers != slurm.find_cluster(step()).workers


@pytest.mark.parametrize(
    "environment",
    [{}, step(tasks=1), {"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}],
)
def test_no_cluster(environment):
    assert slurm.find_cluster(environment) is None


def test_a_script_that_forgot_srun():
    assert slurm.is_outside_a_step({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4"})
    assert not slurm.is_outside_a_step({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "1"})
    assert not slurm.is_outside_a_step(step() | {"SLURM_NTASKS": "4"})
    assert not slurm.is_outside_a_step({})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SLURM_STEP_NODELIST": ""}, "SLURM_STEP_NODELIST is not set"),
        ({"SLURM_STEP_NODELIST": "n[1-"}, r"SLURM_STEP_NODELIST=n\[1- is no list"),
        ({"SLURM_STEP_NODELIST": "n[a]"}, r"\[a\] is no list of numbers"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2x2"}, "SLURM_STEP_TASKS_PER_NODE=2x2: expected"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2"}, "does not go with the nodes"),
        ({"SLURM_STEP_NUM_TASKS": "5"}, "the 5 tasks of SLURM_STEP_NUM_TASKS"),
        ({"SLURM_PROCID": "4"}, "SLURM_PROCID=4 is not among the 4 tasks"),
        ({"SLURM_PROCID": "x"}, "SLURM_PROCID=x is no number"),
        ({"SLURM_DISTRIBUTION": "plane"}, "srun --distribution=block"),
        ({"SLURM_LOCALID": "1"}, "SLURM_LOCALID=1, and from .* it should be 0"),
        ({"SLURM_NODEID": "1"}, "SLURM_NODEID=1, and from .* it should be 0"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        slurm.find_cluster(step() | changes)
