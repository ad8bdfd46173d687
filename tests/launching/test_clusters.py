"""What TF_CONFIG says, and what is said of one that says it wrong."""

import json
import random

import pytest
from tensorflow.python.distribute import multi_worker_util

from keras_bert.launching.addresses import Addresses
from keras_bert.launching.clusters import check_strategy, find_cluster, from_tf_config, tf_config

TWO = ["a:2222", "b:2222"]


def config(cluster, kind="worker", index=0, **more):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}, **more})


def test_workers_in_their_order():
    assert from_tf_config(config({"worker": TWO}, index=1)) == Addresses(tuple(TWO), 1, "TF_CONFIG")
    assert from_tf_config(config({"worker": TWO}, index="1")).task_id == 1


@pytest.mark.parametrize("chief", ["chief", "master"])
def test_a_chief_is_the_first(chief):
    # As a TFJob sets it, whose evaluator is not in it.
    cluster = {"worker": TWO, chief: ["c.default.svc:2222"], "evaluator": ["e:1"], "ps": []}
    found = from_tf_config(config(cluster, chief, environment="cloud"))
    assert found.workers == ("c.default.svc:2222", *TWO)
    assert found.is_chief
    assert [from_tf_config(config(cluster, index=i)).task_id for i in range(2)] == [1, 2]


def test_against_tensorflow():
    random.seed(3)
    for _ in range(50):
        cluster = {"worker": [f"w{i}:{random.randint(1, 65535)}" for i in range(3)]}
        cluster |= random.choice([{}, {"chief": ["[::1]:9"]}])
        kind = random.choice(list(cluster))
        index = random.randrange(len(cluster[kind]))
        found = from_tf_config(config(cluster, kind, index))
        assert found.task_id == multi_worker_util.id_in_cluster(cluster, kind, index)
        assert len(found.workers) == multi_worker_util.worker_count(cluster, kind)
        assert found.is_chief == multi_worker_util.is_chief(cluster, kind, index)
        assert from_tf_config(tf_config(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"task": {"type": "worker", "index": 0}}',
        config({}),
        config({"worker": []}),
        config({"worker": ["a:1"]}),
        config({"chief": ["a:1"]}, "chief"),
        config({"worker": ["a:1"], "evaluator": ["b:1"]}),
    ],
)
def test_one_worker_is_no_cluster(text):
    assert from_tf_config(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{worker", "TF_CONFIG is no JSON: .*; it is '{worker'"),
        ("[1]", r"expected an object \{...\}; received '\[1\]'"),
        (config("a:1"), "cluster: expected .*; received 'a:1'"),
        (config({"worker": "a:1"}), r"cluster.worker: expected a list .*; received 'a:1'"),
        (config({"worker": {"0": "a:1"}}), "cluster.worker: expected a list"),
        (config({"workers": TWO}), "cluster.workers: there are no such tasks; expected chief"),
        (config({"worker": ["a:1", "b"]}), r"cluster.worker\[1\]: expected \"host:port\".*'b'"),
        (config({"worker": ["a:1", 7]}), r"cluster.worker\[1\]: expected .*; received 7"),
        (config({"worker": ["a:1", ":7"]}), r"cluster.worker\[1\]"),
        (config({"worker": ["a:1", "b:0"]}), "'b:0', whose port is no number from 1 to 65535"),
        (config({"worker": ["a:1", "b:70000"]}), "port is no number"),
        (config({"worker": ["a:1", "grpc://b:1"]}), r"cluster.worker\[1\]"),
        (config({"worker": ["a:1", "::1:1"]}), "an IPv6 address goes in brackets"),
        (config({"worker": ["a:1", "a:1"]}), r"\[1\]: 'a:1' is cluster.worker\[0\] already"),
        (config({"worker": TWO, "chief": ["a:2222"]}), "already"),
        (config({"worker": TWO, "chief": ["c:1", "d:1"]}), "cluster.chief: expected one chief"),
        (config({"worker": TWO, "chief": ["c:1"], "master": ["d:1"]}), "expected one chief"),
        (config({"worker": TWO, "ps": ["p:1"]}), "cluster.ps: parameter servers are not"),
        (json.dumps({"sparseCluster": {}}), "sparseCluster: workers that come and go"),
        (json.dumps({"cluster": {"worker": TWO}}), "task: expected .*; received None"),
        (config({"worker": TWO}, "chief"), "task.type: expected one of worker; received 'chief'"),
        (config({"worker": TWO}, None), "task.type: expected one of worker; received None"),
        (config({"worker": TWO}, "evaluator"), "task.type: an evaluator has nothing to do here"),
        (
            config({"worker": TWO}, index=2),
            "task.index: expected 0 to 1, a place in cluster.wo",
        ),
        (config({"worker": TWO}, index=-1), "task.index: expected 0 to 1"),
        (config({"worker": TWO}, index=None), "task.index: .*received None"),
        (config({"worker": TWO}, index=True), "task.index: .*received True"),
        (config({"worker": TWO}, index=0.5), "task.index"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(ValueError, match=message) as failure:
        from_tf_config(text)
    assert str(failure.value).startswith("TF_CONFIG")


def test_the_order_of_places():
    slurm = {
        "SLURM_PROCID": "1",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "n[1-2]",
        "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
        "SLURM_JOB_ID": "1",
    }
    pods = {"KERAS_BERT_WORKERS": "2", "KERAS_BERT_SERVICE": "s"}
    tf = {"TF_CONFIG": config({"worker": TWO})}
    assert find_cluster(tf | slurm | pods, "x-0").source == "TF_CONFIG"
    assert find_cluster({"TF_CONFIG": " "} | slurm | pods, "x-0").source == "Slurm"
    assert find_cluster(pods, "x-0").source == "Kubernetes"
    assert find_cluster({}, "x-0") is None


def test_names_of_strategies():
    with pytest.raises(ValueError, match="'parameter_server': .*who was faster.*multi_worker"):
        check_strategy("parameter_server")
    with pytest.raises(ValueError, match=r"one of auto, none, mirrored.*received 'mirror'"):
        check_strategy("mirror")
