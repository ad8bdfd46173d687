"""Weights of 8 bits for what a LiteRT model still computes in float32.

The converter stores such weights in 8 bits when it quantises dynamically, and leaves them in
float32 when a graph has ranges for some activations. So they are replaced in the finished model,
the way that the converter itself would: dense layers get weights with a scale for each output and
round their inputs in the run; embeddings are looked up in 8 bits and turned into floats after.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

__all__ = ["with_weights_of_8_bits"]

#: Least numbers of a tensor that is worth it: the converter's own limit.
_LEAST = 1024


def with_weights_of_8_bits(content: bytes) -> bytes:
    """The same model, with the large weights of its float layers in 8 bits.

    Args:
        content: A model.

    Returns:
        A model that is a quarter of the size where it was all floats.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer, kind in _replaceable(model, schema).items():
        _replace(model, schema, buffer, kind)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _replaceable(model, schema) -> dict[int, str]:
    """Numbers of buffers with large float weights → the one kind of operation that reads them."""
    readers = defaultdict(set)
    for graph in model.subgraphs:
        for place, operator, kind in _reads(model, schema, graph):
            tensor = graph.tensors[place]
            is_weight = tensor.type == schema.TensorType.FLOAT32 and len(tensor.shape) == 2
            wanted = {"FULLY_CONNECTED": 1, "GATHER": 0}.get(kind)
            fits = is_weight and wanted is not None and operator.inputs[wanted] == place
            readers[tensor.buffer].add(kind if fits else None)
    found = {}
    for buffer, kinds in readers.items():
        data = model.buffers[buffer].data
        if len(kinds) == 1 and None not in kinds and data is not None and len(data) >= 4 * _LEAST:
            (found[buffer],) = kinds
    return found


def _reads(model, schema, graph):
    """Each tensor that an operator of a graph reads: (tensor, operator, the operator's name)."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for place in operator.inputs:
            if place >= 0:
                yield int(place), operator, name


def _replace(model, schema, buffer: int, kind: str) -> None:
    """Puts 8 bits into a buffer, and says so wherever it is read."""
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.buffer == buffer:
                shape = tuple(tensor.shape)
    values = np.frombuffer(bytes(model.buffers[buffer].data), np.float32).reshape(shape)
    axis = 1 if kind == "FULLY_CONNECTED" else None
    most = np.abs(values).max(axis=axis, keepdims=True)
    scale = np.where(most > 0, most, 1.0) / 127
    rounded = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
    model.buffers[buffer].data = np.frombuffer(rounded.tobytes(), np.uint8)
    for graph in model.subgraphs:
        for number, tensor in enumerate(graph.tensors):
            if tensor.buffer == buffer:
                tensor.type = schema.TensorType.INT8
                tensor.quantization = _parameters(schema, scale)
                if kind == "GATHER":
                    _turn_into_floats(model, schema, graph, number, scale)
                else:
                    _round_inputs(graph, number)


def _parameters(schema, scale: np.ndarray):
    parameters = schema.QuantizationParametersT()
    parameters.scale = scale.ravel().astype(np.float32)
    parameters.zeroPoint = np.zeros(scale.size, np.int64)
    parameters.quantizedDimension = 0
    return parameters


def _round_inputs(graph, weights: int) -> None:
    for operator in graph.operators:
        if len(operator.inputs) > 1 and operator.inputs[1] == weights:
            operator.builtinOptions.asymmetricQuantizeInputs = True


def _turn_into_floats(model, schema, graph, table: int, scale: np.ndarray) -> None:
    """Has what is looked up in a table of 8 bits made floats."""
    operators = []
    for operator in graph.operators:
        operators.append(operator)
        if operator.inputs is None or not len(operator.inputs) or operator.inputs[0] != table:
            continue
        (output,) = operator.outputs
        floats = graph.tensors[output]
        looked_up = schema.TensorT()
        looked_up.name = (floats.name or b"") + b"/int8"
        looked_up.type = schema.TensorType.INT8
        looked_up.shape, looked_up.shapeSignature = floats.shape, floats.shapeSignature
        looked_up.hasRank = floats.hasRank
        looked_up.quantization = _parameters(schema, scale)
        graph.tensors.append(looked_up)
        operator.outputs = np.array([len(graph.tensors) - 1], np.int32)
        dequantize = schema.OperatorT()
        dequantize.opcodeIndex = _dequantize_code(model, schema)
        dequantize.inputs = operator.outputs
        dequantize.outputs = np.array([output], np.int32)
        operators.append(dequantize)
    graph.operators = operators


def _dequantize_code(model, schema) -> int:
    """The number of the operator in the model's list, put there if it is not."""
    number = schema.BuiltinOperator.DEQUANTIZE
    for place, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == number:
            return place
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = number
    code.version = 2
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
