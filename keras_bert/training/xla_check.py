"""Whether a TPU could run a training step: what is in its graph, and what XLA makes of it.

No TPU is needed. What is found is what such a device refuses (operations it has no kernels for,
strings, calls of Python) or suffers from (shapes that depend on values, float64). What is not: how
several cores exchange gradients, how batches get there, and the numbers themselves.
"""

from __future__ import annotations

import dataclasses
import re
import sysconfig
from collections import Counter
from pathlib import Path
from site import getsitepackages
from typing import NamedTuple

import tensorflow as tf

from keras_bert.training.schedules import run_schedule
from keras_bert.training.tpu_ops import TPU_OPS

__all__ = ["Finding", "NotTpuReadyError", "TpuReport", "check_tpu_ready"]

#: What tracing puts into graphs that is no operation of theirs: inputs.
_INPUTS = frozenset({"Placeholder", "_Arg", "_Retval"})

#: Operation → why a TPU has none, where more can be said than that.
_ON_HOST = {
    "EagerPyFunc": "calls Python, which runs on the host: use TensorFlow operations",
    "PyFunc": "calls Python, which runs on the host: use TensorFlow operations",
    "PyFuncStateless": "calls Python, which runs on the host: use TensorFlow operations",
    "PrintV2": "prints, which is done on the host: log from a callback",
    "Print": "prints, which is done on the host: log from a callback",
    "HashTableV2": "looks names up on the host: do it in the dataset",
    "LookupTableFindV2": "looks names up on the host: do it in the dataset",
    "WriteScalarSummary": "writes a log on the host: do it in a callback",
    "WriteHistogramSummary": "writes a log on the host: do it in a callback",
}

#: Operations whose result is as long as the values in it say. XLA compiles them with a bound, and a
#: TPU then does the work of the bound, or refuses what is made of the result.
_SHAPED_BY_VALUES = {
    "Where": "finds places (tf.where with one argument, tf.boolean_mask): multiply by a mask",
    "Unique": "finds different values (also for IndexedSlices): use a segment sum of fixed size",
    "UniqueV2": "finds different values: use a segment sum of fixed size",
    "DynamicPartition": "sorts rows into parts: multiply by a mask for each part",
    "ListDiff": "finds values missing elsewhere: multiply by a mask",
    "NonMaxSuppressionV3": "chooses so many boxes as there are",
    "NonMaxSuppressionV4": "chooses so many boxes as there are",
}

#: Of these alone strings do no harm: they are messages that are never shown.
_SILENT = frozenset({"Assert", "Const"})

#: Where code is that is nobody's who reads a report.
_LIBRARIES = (sysconfig.get_path("stdlib"), *{sysconfig.get_path("purelib"), *getsitepackages()})

#: An instruction of HLO whose result has a bound in place of a size, as in ``f32[<=8,4]``.
_BOUNDED = re.compile(r"^\s*(?:ROOT )?%?(\S+) = (\S*\[[^\]]*<=[^\]]*\]\S*) (\S+?)\(")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?\S+ = ", re.MULTILINE)
_OP_NAME = re.compile(r'op_name="([^"]*)"')


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something in a step that a TPU has no use for.

    Attributes:
        kind: "host", "operation", "string", "dynamic", "float64" or "batch".
        op: The operation's kind, such as "Where"; of a batch the name of its part.
        layer: The name scope that it is in: layers from the outside in; "" at the top.
        source: "file:line" of the innermost line that is not a library's; "" where not known.
        why: What is wrong with it, and what to do.
        count: How many there are alike.
    """

    kind: str
    op: str
    layer: str
    source: str
    why: str
    count: int = 1

    def __str__(self):
        where = [f"in {self.layer}"] * bool(self.layer) + [f"({self.source})"] * bool(self.source)
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{' '.join([self.op, *where])}{times}: {self.why}."


class NotTpuReadyError(ValueError):
    """A step has something in it that a TPU cannot do."""


@dataclasses.dataclass(frozen=True)
class TpuReport:
    """What ``check_tpu_ready`` found.

    Attributes:
        problems: Findings for which a TPU would refuse the step, or take a new shape every step.
        slow: Findings that a TPU does, but slowly: float64, which is made of pairs of float32.
        error: What XLA said where it did not compile the step; None where it did.
        ops: Operation → how many there are in the step, in its branches and loops too.
        instructions: How many instructions of HLO the step became; 0 where it was not compiled.
        hlo_bytes: Size of their text, in bytes.
        hlo: The text.
    """

    problems: tuple[Finding, ...]
    slow: tuple[Finding, ...]
    error: str | None
    ops: dict[str, int]
    instructions: int
    hlo_bytes: int
    hlo: str = dataclasses.field(repr=False)

    @property
    def compiled(self) -> bool:
        """Whether XLA compiled the step."""
        return self.error is None

    @property
    def ready(self) -> bool:
        """Whether XLA compiled the step and there is no problem."""
        return self.compiled and not self.problems

    def require(self) -> TpuReport:
        """Returns the report itself.

        Raises:
            NotTpuReadyError: If the step is not ready; the message has all problems.
        """
        if not self.ready:
            raise NotTpuReadyError(str(self))
        return self

    def __str__(self):
        size = f"{sum(self.ops.values())} operations, {self.instructions} HLO instructions"
        lines = [f"Ready for a TPU: {size}." if self.ready else f"Not ready for a TPU: {size}."]
        lines += [f"  {finding}" for finding in self.problems]
        lines += [f"  XLA: {self.error}"] if self.error else []
        lines += _in_float64(self.slow)
        return "\n".join(lines)


def _in_float64(findings):
    """A line for each file that computes in float64."""
    counts = Counter()
    for finding in findings:
        counts[finding.source.partition(":")[0] or finding.layer] += finding.count
    why = "in float64, which a TPU makes of several float32"
    return [f"  Slow: {count} operations of {place} are {why}." for place, count in counts.items()]


def check_tpu_ready(model, batch, step=None) -> TpuReport:
    """Compiles a training step by XLA and looks for what a TPU cannot do.

    Weights, optimiser and scores stay as they are: the step is compiled, not run.

    Args:
        model: A compiled Keras model; it may be None where ``step`` is given.
        batch: What the step takes: (ids, targets) of arrays or tensors, with weights as a third
            part or without; or a ``tf.data.Dataset`` of such, whose shapes are checked too.
        step: A function of such a batch; default: ``model.train_step``, all of it: outputs, loss,
            gradients, the optimiser's step, metrics.

    Returns:
        A ``TpuReport``; ``report.require()`` raises where the step is not ready.

    Raises:
        ValueError: If the model is not compiled, or the dataset is empty.

    Source: the kernels of tensorflow-tpu, see ``keras_bert.training.tpu_ops``; for shapes
    https://openxla.org/xla/shapes#dynamic_dimensions.

    Example:
        >>> model.compile(keras.optimizers.SGD(0.1))                           # doctest: +SKIP
        >>> dataset = model.training_dataset(texts, labels, pad_to=128)        # doctest: +SKIP
        >>> print(check_tpu_ready(model, dataset))                             # doctest: +SKIP
        Ready for a TPU: 1557 operations, 3213 HLO instructions.
    """
    if step is None:
        if not model.compiled:
            raise ValueError("The model is not compiled, so that it has no training step.")
        _make_ready(model.optimizer, model.trainable_variables)
        step = model.train_step
    problems, batch = _read_batch(batch)
    if model is not None:
        # Private, as there is nothing else that makes what metrics and losses keep, without a step
        # being run: XLA cannot make variables while it compiles.
        model._symbolic_build(data_batch=batch)
    parts = tf.nest.flatten(batch)
    compiled = tf.function(
        lambda *parts: step(tf.nest.pack_sequence_as(batch, parts)),
        jit_compile=True,
        autograph=False,
    )
    nodes = list(_nodes_of(compiled.get_concrete_function(*parts).graph))
    findings = _counted(found for found in map(_finding, nodes) if found is not None)
    problems += [finding for finding in findings if finding.kind != "float64"]
    hlo, error = _hlo_of(compiled, parts)
    if not any(finding.kind == "dynamic" for finding in problems):
        problems += _counted(_bounded(hlo))
    return TpuReport(
        problems=tuple(problems),
        slow=tuple(finding for finding in findings if finding.kind == "float64"),
        error=error,
        ops=dict(Counter(node.op for node in nodes)),
        instructions=len(_INSTRUCTION.findall(hlo)),
        hlo_bytes=len(hlo.encode()),
        hlo=hlo,
    )


def _make_ready(optimizer, variables):
    """Makes an optimiser's variables, and starts a run that is as long as a step if none was."""
    optimizer.build(variables)
    schedule = run_schedule(optimizer)
    if schedule is not None and not schedule.total_steps:
        schedule.start_run(int(optimizer.iterations.numpy()), 1)


# --- the batch ------------------------------------------------------------------------------------


def _read_batch(batch):
    """What is wrong with a batch, and the batch as tensors."""
    problems = []
    if isinstance(batch, tf.data.Dataset):
        problems = _loose_shapes(batch.element_spec)
        batch = next(iter(batch.take(1)), None)
        if batch is None:
            raise ValueError("The dataset is empty; there is no batch to try the step with.")
    batch = tf.nest.map_structure(tf.convert_to_tensor, batch)
    for name, tensor in _named(batch):
        if tensor.dtype == tf.string:
            why = "is text, which a TPU has no type for: tokenize in the dataset"
            problems.append(Finding("batch", name, "", "", why))
    return problems, batch


def _loose_shapes(specs):
    why = "has the shape {}, and a TPU compiles for one: give pad_to=..., the length of all rows"
    return [
        Finding("batch", name, "", "", why.format(spec.shape))
        for name, spec in _named(specs)
        if not spec.shape.is_fully_defined()
    ]


def _named(structure):
    """Parts of a nest with their names: ``0/input_mask``."""
    return [
        ("batch/" + "/".join(map(str, path)), part)
        for path, part in zip(_paths(structure), tf.nest.flatten(structure), strict=True)
    ]


def _paths(structure):
    """The way to each part, in the order of ``tf.nest.flatten``."""
    if isinstance(structure, dict):
        parts = [(key, structure[key]) for key in sorted(structure)]
    elif isinstance(structure, list | tuple):
        parts = list(enumerate(structure))
    else:
        return [()]
    return [(key, *path) for key, part in parts for path in _paths(part)]


# --- the graph ------------------------------------------------------------------------------------


class _Node(NamedTuple):
    """What there is to know of an operation: its kind, where it is, types of what it handles."""

    op: str
    layer: str
    source: str
    dtypes: frozenset


def _nodes_of(graph):
    """All operations that are run, those of branches and loops too."""
    functions = {f.signature.name: f for f in graph.as_graph_def().library.function}
    for op in _run_by(graph):
        dtypes = frozenset(tensor.dtype.base_dtype for tensor in (*op.inputs, *op.outputs))
        node = _Node(op.type, _layer_of(op.name), _source_of(op.traceback), dtypes)
        yield node
        yield from _nodes_within(op.node_def, node, functions, set())


def _nodes_within(caller, place, functions, seen):
    """Operations of the functions that one calls, where that one is."""
    for name in _called_by(caller):
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for inner in functions[name].node_def:
            yield place._replace(op=inner.op, dtypes=_dtypes_of(inner))
            yield from _nodes_within(inner, place, functions, seen)


def _dtypes_of(node):
    """The types that an operation says it is for; it has others besides, such as of lengths."""
    numbers = {attribute.type for attribute in node.attr.values()}
    numbers |= {number for attribute in node.attr.values() for number in attribute.list.type}
    return frozenset(tf.dtypes.as_dtype(number).base_dtype for number in numbers if number)


def _called_by(node):
    for attribute in node.attr.values():
        if attribute.HasField("func"):
            yield attribute.func.name
        yield from (func.name for func in attribute.list.func)


def _run_by(graph):
    """The operations that outputs depend on, or that do something; TensorFlow drops the others."""
    pending = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    pending += [op for op in graph.get_operations() if op.op_def and op.op_def.is_stateful]
    found = {}
    while pending:
        op = pending.pop()
        if op.name in found:
            continue
        found[op.name] = op
        pending += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return [op for op in graph.get_operations() if op.name in found]


def _layer_of(name):
    """The scopes around an operation, without that of its gradient."""
    scopes = name.split("/")[:-1]
    return "/".join(scope for scope in scopes if not scope.startswith("gradient_tape"))


def _source_of(traceback):
    """The innermost line of a traceback that is not a library's."""
    for frame in reversed(traceback):
        if not frame.filename.startswith((*_LIBRARIES, "<")) and frame.filename != __file__:
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return ""


def _finding(node):
    """What is wrong with an operation; None where nothing is."""
    kind = why = None
    if node.op in _ON_HOST:
        kind, why = "host", _ON_HOST[node.op]
    elif tf.string in node.dtypes and node.op not in _SILENT:
        kind, why = "string", "handles text, which a TPU has no type for: do it in the dataset"
    elif node.op not in TPU_OPS and node.op not in _INPUTS:
        kind, why = "operation", "is an operation that TPUs have no kernel of"
    elif node.op in _SHAPED_BY_VALUES:
        kind = "dynamic"
        why = f"{_SHAPED_BY_VALUES[node.op]}; the shape depends on values, and a TPU has fixed ones"
    elif tf.float64 in node.dtypes:
        kind, why = "float64", "computes in float64, which a TPU makes of several float32"
    return None if kind is None else Finding(kind, node.op, node.layer, node.source, why)


def _counted(findings):
    """Equal findings as one, in the order in which they came."""
    counts = Counter(findings)
    return [dataclasses.replace(finding, count=count) for finding, count in counts.items()]


# --- what XLA makes of it -------------------------------------------------------------------------


def _hlo_of(compiled, parts):
    """The text of a step as XLA has it; and what XLA says where it has nothing."""
    try:
        return compiled.experimental_get_compiler_ir(*parts)(stage="hlo"), None
    except (tf.errors.OpError, ValueError, TypeError, NotImplementedError) as error:
        # The list of all Python lines that led there says less than the findings do.
        return "", " ".join(str(error).split("The op is created at")[0].split())[:500]


def _bounded(hlo):
    """Findings of HLO whose sizes are bounds."""
    for line in hlo.splitlines():
        found = _BOUNDED.match(line)
        if found:
            name = _OP_NAME.search(line)
            why = f"has the shape {found[2]}, which depends on values, and a TPU has fixed ones"
            yield Finding("dynamic", found[3], _layer_of(name[1]) if name else "", "", why)
