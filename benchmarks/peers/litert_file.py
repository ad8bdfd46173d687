"""LiteRT files as a contender; see benchmarks/litert.py."""

import pathlib
import sys
import time

from worker import limit_cores, serve

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "keras_bert" / "export"))

STATE = {}


def load(file: str, threads: int, pin: bool = True) -> dict:
    """Loads a file; gives versions."""
    limit_cores(threads, pin)
    from importlib.metadata import version

    import ask_litert

    STATE["module"], STATE["model"] = ask_litert, ask_litert.load(file, threads)
    return {"ai-edge-litert": version("ai-edge-litert")}


def embed(rows: list[dict]) -> list[list[float]]:
    """Embeddings of rows of ids, one at a time."""
    call = STATE["module"].call
    return [call(STATE["model"], row, "tokens")["embedding"][0].tolist() for row in rows]


def ids(row: dict, calls: int, signature: str = "tokens") -> dict:
    """Times calls with one row of ids."""
    import numpy as np

    runner = STATE["model"].runners[signature]
    arrays = {name: np.array(values, np.int32) for name, values in row.items()}
    runner(**arrays)  # of this length from now on
    started = time.perf_counter()
    for _ in range(calls):
        runner(**arrays)
    return {"seconds": time.perf_counter() - started, "examples": calls}


def texts(texts: list[str]) -> dict:
    """Times texts, one at a time."""
    started = time.perf_counter()
    STATE["module"].ask(STATE["model"], texts)
    return {"seconds": time.perf_counter() - started, "examples": len(texts)}


serve({"load": load, "embed": embed, "ids": ids, "texts": texts})
