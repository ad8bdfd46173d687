"""What an export says of itself: ``keras_bert.json`` for programs, ``MODEL_CARD.md`` for people."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from keras_bert.export.ask import METADATA
from keras_bert.export.constant_weights import ConstantWeights
from keras_bert.export.graph_ops import oldest_serving, outside_core
from keras_bert.export.signatures import input_specs

__all__ = ["CARD", "make_record", "package_versions", "write_record"]

CARD = "MODEL_CARD.md"


def make_record(
    model,
    folder: Path,
    functions: Mapping,
    ops: set[str],
    checks: Sequence[Mapping],
    constants: ConstantWeights | None = None,
) -> dict:
    """What there is to say of an export.

    Args:
        model: The task model.
        folder: The SavedModel, written.
        functions: Signature → the function that was written.
        ops: Names of its operations.
        checks: What it has passed.
        constants: The weights that became constants of the graph; None: all are variables.

    Returns:
        A dict that JSON can hold.
    """
    preprocessor, encoder = model.preprocessor, model.encoder
    return {
        "task": type(model).__name__,
        "inputs": list(model.text_inputs),
        "labels": list(getattr(model, "labels", None) or []),
        "signatures": {name: _signature(function) for name, function in functions.items()},
        "seq_length": preprocessor.seq_length,
        "stride": preprocessor.stride,
        "encoder": {
            "config": type(encoder.config).__name__,
            "num_layers": encoder.config.num_layers,
            "hidden_size": encoder.config.hidden_size,
            "vocabulary": preprocessor.tokenizer.vocabulary_size,
        },
        "weights": "constants" if constants else "variables",
        "parameters": sum(math.prod(v.shape) for v in _weights(model, functions, constants)),
        "bytes": {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
        "versions": package_versions(),
        "ops_outside_core_tensorflow": outside_core(ops),
        "oldest_tensorflow_serving": oldest_serving(ops),
        "checks": list(checks),
    }


def _weights(model, functions, constants):
    """Those of the model that the functions read."""
    read = {id(v) for function in functions.values() for v in function.variables}
    known = constants.read if constants else set()
    return [v for v in model.variables if id(v) in known or id(v.value) in read]


def _signature(function) -> dict:
    outputs = function.structured_outputs
    return {
        "inputs": {name: _described(spec) for name, spec in input_specs(function).items()},
        "outputs": {name: _described(tensor) for name, tensor in outputs.items()},
    }


def _described(tensor) -> dict:
    return {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}


def package_versions() -> dict[str, str]:
    """Versions of what an export was made with."""
    # Upwards, but only for the number: the package is there, or this would not run.
    import keras_bert

    found = {"keras_bert": keras_bert.__version__, "tensorflow": tf.__version__}
    with contextlib.suppress(ImportError):  # a LiteRT file of ids does without it
        import tensorflow_text

        found["tensorflow_text"] = tensorflow_text.__version__
    return {**found, "keras": keras.__version__}


def write_record(folder: Path, name: str, record: Mapping) -> None:
    """Writes both.

    Args:
        folder: The SavedModel.
        name: What the model is called.
        record: From ``make_record``.
    """
    text = json.dumps(record, indent=2, ensure_ascii=False)
    for file, content in ((METADATA, text + "\n"), (CARD, _card(name, record))):
        (folder / file).write_text(content, encoding="utf-8", newline="\n")


def _card(name: str, record: Mapping) -> str:
    """The record as a page of Markdown."""
    encoder, versions = record["encoder"], record["versions"]
    lines = [
        f"# {_plain(name)}",
        "",
        f"A `{record['task']}` of keras_bert {versions['keras_bert']}, exported for TensorFlow "
        f"Serving: {encoder['num_layers']} layers of width {encoder['hidden_size']} "
        f"(`{encoder['config']}`), {record['parameters']:,} parameters, "
        f"{sum(record['bytes'].values()) / 2**20:.1f} MiB.",
        "",
        "## What it takes and answers",
        "",
        "| signature | inputs | outputs |",
        "|---|---|---|",
        *(
            f"| `{key}` | {_columns(one['inputs'])} | {_columns(one['outputs'])} |"
            for key, one in record["signatures"].items()
        ),
        "",
        _limits(record),
        "",
    ]
    if record["labels"]:
        lines += ["## Labels", "", ", ".join(f"`{_plain(x)}`" for x in record["labels"]), ""]
    lines += ["## Checks", "", *_checks(record["checks"]), ""]
    lines += [
        "## Where it runs",
        "",
        f"TensorFlow Serving {record['oldest_tensorflow_serving']} or newer, going by the names of "
        "its operations. Those that TensorFlow itself does not have: "
        + (", ".join(f"`{op}`" for op in record["ops_outside_core_tensorflow"]) or "none")
        + ". Made with "
        + ", ".join(f"{package} {version}" for package, version in versions.items())
        + ".",
        "",
    ]
    return "\n".join(lines)


def _limits(record: Mapping) -> str:
    if record["stride"] is None:
        return f"A text is cut after {record['seq_length']} tokens, special tokens included."
    return (
        f"Long texts are read in windows of {record['seq_length']} tokens, of which each repeats "
        f"{record['stride']} of the one before."
    )


def _columns(tensors: Mapping) -> str:
    return ", ".join(
        f"`{name}` {one['dtype']} ({', '.join(map(_size, one['shape']))})"
        for name, one in tensors.items()
    )


def _size(number) -> str:
    return "any" if number is None else str(number)


def _checks(checks: Sequence[Mapping]) -> list[str]:
    lines = []
    for check in checks:
        if "max_difference" in check:
            found = (
                f"largest difference {check['max_difference']:.1g}, "
                f"{check['tolerance']:.0g} allowed, {check['texts']} texts"
            )
        else:
            found = "yes" if check["passed"] else "no"
        lines.append(f"- {check['check']}: {found}")
    return lines or ["- none: it was exported with `verify=False`"]


def _plain(text: str) -> str:
    """A name without what Markdown would take for more than text."""
    return " ".join(str(text).split()).replace("`", "'").replace("|", "¦")
