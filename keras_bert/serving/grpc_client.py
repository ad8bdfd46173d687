"""A client's connection over gRPC, with the messages of tensorflow-serving-api."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from keras_bert.serving.errors import ServingError
from keras_bert.serving.messages import message_of, tensors_of
from keras_bert.serving.transport import SignatureInfo, Target, TensorInfo, VersionStatus

__all__ = ["GrpcTransport"]

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcTransport:
    """A channel.

    Args:
        address: ``HOST:PORT``.
        credentials: For an encrypted channel; None for one that is not.
    """

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None):
        if credentials is None:
            self._channel = grpc.insecure_channel(address, _OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, credentials, _OPTIONS)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, target, signature, inputs, outputs, seconds):
        """See ``Transport``."""
        request = predict_pb2.PredictRequest()
        _fill(request.model_spec, target, signature)
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(message_of(value))
        answer = _called(self._predictions.Predict, request, seconds)
        return tensors_of(answer.outputs)

    def classify(self, target, signature, examples, seconds):
        """See ``Transport``."""
        request = classification_pb2.ClassificationRequest()
        _fill(request.model_spec, target, signature)
        request.input.example_list.examples.extend(map(_example, examples))
        answer = _called(self._predictions.Classify, request, seconds)
        return [
            [(found.label, found.score) for found in row.classes]
            for row in answer.result.classifications
        ]

    def regress(self, target, signature, examples, seconds):
        """See ``Transport``."""
        request = regression_pb2.RegressionRequest()
        _fill(request.model_spec, target, signature)
        request.input.example_list.examples.extend(map(_example, examples))
        answer = _called(self._predictions.Regress, request, seconds)
        return [row.value for row in answer.result.regressions]

    def signatures(self, target, seconds):
        """See ``Transport``."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        _fill(request.model_spec, target, None)
        answer = _called(self._predictions.GetModelMetadata, request, seconds)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(definitions)
        return {
            name: SignatureInfo(_infos(d.inputs), _infos(d.outputs))
            for name, d in definitions.signature_def.items()
            if not name.startswith("__saved_model")
        }

    def status(self, target, seconds):
        """See ``Transport``."""
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill(request.model_spec, target, None)
        answer = _called(self._models.GetModelStatus, request, seconds)
        states = get_model_status_pb2.ModelVersionStatus.State
        return {
            status.version: VersionStatus(
                states.Name(status.state),
                _CODES.get(status.status.error_code, "UNKNOWN"),
                status.status.error_message,
            )
            for status in answer.model_version_status
        }

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def _called(method, request, seconds: float):
    try:
        return method(request, timeout=seconds)
    except grpc.RpcError as error:
        raise ServingError(error.code().name, error.details() or "") from error


def _fill(spec, target: Target, signature: str | None) -> None:
    spec.name = target.model
    spec.signature_name = signature or ""
    if target.version is not None:
        spec.version.value = target.version
    elif target.label:
        spec.version_label = target.label


def _infos(described) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo.read(
            types_pb2.DataType.Name(info.dtype),
            [dim.size for dim in info.tensor_shape.dim],
            info.tensor_shape.unknown_rank,
        )
        for name, info in sorted(described.items())
    }


def _example(features: Mapping) -> tf.train.Example:
    example = tf.train.Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        value = value.tolist() if hasattr(value, "tolist") else value  # NumPy's
        values = list(value) if isinstance(value, list | tuple) else [value]
        if all(isinstance(item, str | bytes) for item in values):
            encoded = [v.encode() if isinstance(v, str) else v for v in values]
            feature.bytes_list.value.extend(encoded)
        elif all(isinstance(item, int) for item in values):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return example
