"""A contender's side of the line protocol: one JSON object in per line, one JSON object out.

A request is `{"do": NAME, ...arguments}`; the answer is `{"result": ...}` or `{"error": TEXT}`.
Between requests the process sleeps in a read, so that idle contenders take nothing from the one
that is being measured.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable


def serve(actions: dict[str, Callable]) -> None:
    """Answers requests from standard input with `actions` until the input ends.

    Whatever the frameworks print goes to standard error: the answers' channel is taken away from
    file descriptor 1 first, because C++ code writes there without asking Python.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": actions[request.pop("do")](**request)}
        except Exception:  # The driver decides whether to go on: it gets the whole story.
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def limit_cores(threads: int, pin: bool) -> None:
    """Holds this process to `threads` cores. Call it before the framework is imported.

    Thread-pool settings bind only the pools that know them: TensorFlow's tf.data and the
    tokenizers' own pools would still use every core. Pinning (Linux) makes "one thread" mean one
    core.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
    if pin and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
