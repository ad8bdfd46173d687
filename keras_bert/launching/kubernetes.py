"""The pods of a StatefulSet or an Indexed Job as workers, found by their names.

Such pods are called NAME-0, NAME-1, ..., and a headless service gives each a name in the DNS:
NAME-0.SERVICE. A Kubeflow TFJob needs none of this: it sets ``TF_CONFIG``.

Source: Kubernetes documentation, "StatefulSets: stable network ID" and "Indexed Job with
Pod-to-Pod communication".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from keras_bert.launching.addresses import Addresses

__all__ = ["find_cluster"]

_PORT = "2222"


def find_cluster(environment: Mapping[str, str], hostname: str) -> Addresses | None:
    """The cluster of this pod; None where ``KERAS_BERT_WORKERS`` is not set, or 1.

    Args:
        environment: ``KERAS_BERT_WORKERS`` is the number of pods, ``KERAS_BERT_SERVICE`` the
            headless service in front of them, ``KERAS_BERT_PORT`` their port (2222).
        hostname: Of this pod, such as "bert-1".

    Raises:
        ValueError: If a variable is missing or does not fit the host name.

    Example:
        >>> find_cluster({"KERAS_BERT_WORKERS": "2", "KERAS_BERT_SERVICE": "bert"}, "run-1").workers
        ('run-0.bert:2222', 'run-1.bert:2222')
    """
    workers = environment.get("KERAS_BERT_WORKERS", "")
    if not workers:
        return None
    if not workers.isdecimal() or int(workers) < 1:
        raise ValueError(f"KERAS_BERT_WORKERS={workers} is no number of pods.")
    if int(workers) == 1:
        return None
    service = environment.get("KERAS_BERT_SERVICE", "")
    if not service:
        raise ValueError(
            f"KERAS_BERT_WORKERS={workers} needs KERAS_BERT_SERVICE, the name of the headless "
            "service by which pods find each other."
        )
    port = environment.get("KERAS_BERT_PORT", _PORT)
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(f"KERAS_BERT_PORT={port} is no port.")
    match = re.fullmatch(r"(.+)-(\d+)", hostname.split(".")[0])
    if not match or int(match[2]) >= int(workers):
        raise ValueError(
            f"KERAS_BERT_WORKERS={workers}, and this host is called {hostname!r}: expected a pod "
            f"of a StatefulSet or an Indexed Job, NAME-0 to NAME-{int(workers) - 1}."
        )
    pods = [f"{match[1]}-{i}.{service}:{port}" for i in range(int(workers))]
    return Addresses(tuple(pods), int(match[2]), "Kubernetes")
