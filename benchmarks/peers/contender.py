"""The driver's side of the line protocol: starts a contender's process and asks it things."""

import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


class Contender:
    """A framework under measurement, in a process of its own.

    Args:
        name: the name in the tables.
        python: interpreter of the environment the framework is installed in.
        script: file in benchmarks/peers that serves the protocol.
        log: file that takes what the process prints to standard error.
    """

    def __init__(self, name: str, python: str, script: str, log: str | os.PathLike | None = None):
        self.name = name
        environment = dict(os.environ, PYTHONUNBUFFERED="1", TF_CPP_MIN_LOG_LEVEL="2")
        # keras_bert is found from a checkout, installed or not.
        parts = [str(HERE.parent.parent), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(part for part in parts if part)
        errors = open(log, "a") if log else None
        try:
            self.process = subprocess.Popen(
                [python, str(HERE / script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        except FileNotFoundError:
            raise SystemExit(
                f"{name}: there is no interpreter at {python}. "
                "benchmarks/peers/install.sh makes the peers' environments."
            ) from None
        finally:
            if errors:
                errors.close()

    def ask(self, do: str, **arguments):
        """Sends one request and waits for its result; a contender's error ends the benchmark."""
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: the process ended during {do!r} {arguments}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {do!r} failed:\n{answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        """Returns itself."""
        return self

    def __exit__(self, *_):
        """Ends the process."""
        self.close()
