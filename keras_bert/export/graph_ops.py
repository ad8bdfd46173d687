"""The operations in a SavedModel's graph, and which TF Serving has them all."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from keras_bert.export.errors import ExportError

__all__ = ["graph_ops", "oldest_serving", "outside_core"]

#: The release that keras_bert is made for: TensorFlow 2.20 with tensorflow-text 2.20.
CURRENT = "2.20"
#: The first that has tensorflow-text 2.12.1, with the normaliser and the fast tokenizer.
#: Source: `WORKSPACE`, `tensorflow_serving/workspace.bzl` and `model_servers/BUILD` at its tags.
OLDEST = "2.12"
#: Of tensorflow-text's, what 2.12.1's `ops_lib` has among what tokenizers here are made of.
TEXT_OPS_OF_OLDEST = frozenset(
    {
        "FastBertNormalize",
        "TFText>FastWordpieceTokenizeWithOffsets",
        "FastWordpieceTokenizeWithOffsets",
        "TFText>FastSentencepieceTokenize",
        "FastSentencepieceTokenize",
        "SentencepieceOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "TFText>FastBertNormalize",
        "RegexSplitWithOffsets",
        "NormalizeUTF8",
        "CaseFoldUTF8",
    }
)
#: Of TensorFlow 2.20's, what 2.12 lacks and a graph without training may hold: the difference of
#: their `tf.raw_ops`.
NEWER_CORE_OPS = frozenset(
    {
        "Conv",
        "FFTND",
        "IFFTND",
        "IRFFTND",
        "RFFTND",
        "RaggedFillEmptyRows",
        "SegmentMaxV2",
        "SegmentMinV2",
    }
)


def graph_ops(folder: Path) -> set[str]:
    """Returns the names of all operations in a SavedModel.

    Raises:
        ExportError: If the graph asks for XLA, which TF Serving refuses to run.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = content.meta_graphs[0].graph_def
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]
    if any(item.attr["_XlaMustCompile"].b for item in [*functions, *nodes]):
        raise ExportError(
            "The export was not kept: the model calls a function with jit_compile=True, which TF "
            "Serving refuses to run ('XLA compilation disabled'). Take it out of the model's call."
        )
    own = {function.signature.name for function in functions}
    return {op for op in {node.op for node in nodes} - own if not op.startswith("_")}


def outside_core(ops: set[str]) -> list[str]:
    """Those that TensorFlow itself does not have.

    Example:
        >>> outside_core({"MatMul", "FastBertNormalize"})
        ['FastBertNormalize']
    """
    return sorted(op for op in ops if not hasattr(tf.raw_ops, op))


def oldest_serving(ops: set[str]) -> str:
    """The oldest release of TF Serving that has all operations, going by their names.

    What is known are the first release with tensorflow-text's normaliser and tokenizer, 2.12, and
    the one that keras_bert is made for, 2.20: whatever the first lacks is said to need the second.

    Example:
        >>> oldest_serving({"MatMul", "FastBertNormalize"})
        '2.12'
    """
    unknown = set(outside_core(ops)) - TEXT_OPS_OF_OLDEST
    return CURRENT if unknown or ops & NEWER_CORE_OPS else OLDEST
