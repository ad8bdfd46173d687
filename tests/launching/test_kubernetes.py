"""Pods that find each other by their names."""

import pytest

from keras_bert.launching.kubernetes import find_cluster

PODS = {"KERAS_BERT_WORKERS": "3", "KERAS_BERT_SERVICE": "bert"}


@pytest.mark.parametrize("hostname", ["my-run-2", "my-run-2.bert.default.svc.cluster.local"])
def test_pods(hostname):
    found = find_cluster(PODS | {"KERAS_BERT_PORT": "99"}, hostname)
    assert found.workers == ("my-run-0.bert:99", "my-run-1.bert:99", "my-run-2.bert:99")
    assert found.task_id == 2


@pytest.mark.parametrize("environment", [{}, {"KERAS_BERT_WORKERS": "1"}])
def test_no_cluster(environment):
    assert find_cluster(environment, "run-0") is None


@pytest.mark.parametrize(
    ("changes", "hostname", "message"),
    [
        ({"KERAS_BERT_WORKERS": "two"}, "run-0", "KERAS_BERT_WORKERS=two is no number"),
        ({"KERAS_BERT_WORKERS": "0"}, "run-0", "KERAS_BERT_WORKERS=0 is no number"),
        ({"KERAS_BERT_SERVICE": ""}, "run-0", "needs KERAS_BERT_SERVICE"),
        ({"KERAS_BERT_PORT": "x"}, "run-0", "KERAS_BERT_PORT=x is no port"),
        ({}, "laptop", "called 'laptop': expected a pod .* NAME-0 to NAME-2"),
        ({}, "run-3", "NAME-0 to NAME-2"),
    ],
)
def test_what_is_wrong_is_named(changes, hostname, message):
    with pytest.raises(ValueError, match=message):
        find_cluster(PODS | changes, hostname)
