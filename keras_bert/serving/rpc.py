"""TF Serving's gRPC services, on the messages of tensorflow-serving-api."""

from __future__ import annotations

import grpc
import grpc.aio
from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from keras_bert.serving import inference
from keras_bert.serving.errors import ServingError
from keras_bert.serving.messages import examples_of, message_of, tensors_of
from keras_bert.serving.servable import DEFAULT_SIGNATURE
from keras_bert.serving.service import Service

__all__ = ["make_grpc_server"]

_SIGNATURES = "signature_def"
_CLASSIFY, _REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def make_grpc_server(service: Service) -> grpc.aio.Server:
    """A gRPC server with PredictionService and ModelService; has no port and is not started."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", service.limits.request_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port would share its requests without a word.
            ("grpc.so_reuseport", 0),
        ]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _PredictionService(service), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(service), server)
    return server


def _of_spec(request):
    """Name, version and label of the model that a request is for."""
    spec = request.model_spec
    version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
    return spec.name, version, spec.version_label or None


def _say(spec, servable, signature_name: str = "") -> None:
    """Writes which version has answered."""
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature_name


async def _fail(context, error: ServingError):
    await context.abort(getattr(grpc.StatusCode, error.code), error.message)


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(self, service: Service):
        self._service = service

    async def _answered(self, request, context, api: str, answer):
        """Runs ``answer`` on the version asked for, in time, counted, its errors as gRPC's."""
        name, version, label = _of_spec(request)
        try:
            with self._service.counted(name, api, "GRPC"):
                with self._service.library.lease(name, version, label) as servable:
                    return await self._service.in_time(answer(servable))
        except ServingError as error:
            await _fail(context, error)

    async def Predict(self, request, context):
        """Named tensors in, named tensors out."""

        async def answer(servable):
            wanted = request.model_spec.signature_name
            outputs = await inference.predict(
                self._service.scheduler.run,
                servable,
                wanted,
                tensors_of(request.inputs),
                request.output_filter,
            )
            response = predict_pb2.PredictResponse()
            _say(response.model_spec, servable, wanted or DEFAULT_SIGNATURE)
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(message_of(value))
            return response

        return await self._answered(request, context, "Predict", answer)

    async def Classify(self, request, context):
        """Records in, classes with scores out."""

        async def answer(servable):
            wanted = request.model_spec.signature_name
            response = classification_pb2.ClassificationResponse()
            results = await self._classified(servable, wanted, request.input)
            response.result.CopyFrom(results)
            _say(response.model_spec, servable, wanted or DEFAULT_SIGNATURE)
            return response

        return await self._answered(request, context, "Classify", answer)

    async def Regress(self, request, context):
        """Records in, numbers out."""

        async def answer(servable):
            wanted = request.model_spec.signature_name
            response = regression_pb2.RegressionResponse()
            response.result.CopyFrom(await self._regressed(servable, wanted, request.input))
            _say(response.model_spec, servable, wanted or DEFAULT_SIGNATURE)
            return response

        return await self._answered(request, context, "Regress", answer)

    async def _classified(self, servable, signature_name, records):
        examples = self._examples(servable, records)
        results = await inference.classify(
            self._service.scheduler.run, servable, signature_name, examples
        )
        message = classification_pb2.ClassificationResult()
        for result in results:
            classes = message.classifications.add().classes
            for label, score in result:
                classes.add(label=label, score=score)
        return message

    async def _regressed(self, servable, signature_name, records):
        examples = self._examples(servable, records)
        results = await inference.regress(
            self._service.scheduler.run, servable, signature_name, examples
        )
        message = regression_pb2.RegressionResult()
        for value in results:
            message.regressions.add(value=value)
        return message

    def _examples(self, servable, records) -> list[bytes]:
        examples = examples_of(records)
        self._service.metrics.examples(servable.name, len(examples))
        return examples

    async def MultiInference(self, request, context):
        """Several classify and regress tasks of one model on the same records."""
        try:
            _check_tasks(request.tasks)
        except ServingError as error:
            await _fail(context, error)

        async def answer(servable):
            response = inference_pb2.MultiInferenceResponse()
            for task in request.tasks:
                result = response.results.add()
                wanted = task.model_spec.signature_name
                if task.method_name == _CLASSIFY:
                    found = await self._classified(servable, wanted, request.input)
                    result.classification_result.CopyFrom(found)
                else:
                    found = await self._regressed(servable, wanted, request.input)
                    result.regression_result.CopyFrom(found)
                _say(result.model_spec, servable, wanted or DEFAULT_SIGNATURE)
            return response

        return await self._answered(request.tasks[0], context, "MultiInference", answer)

    async def GetModelMetadata(self, request, context):
        """The signatures of a version."""
        try:
            return self._metadata(request)
        except ServingError as error:
            await _fail(context, error)

    def _metadata(self, request):
        _check_spec(request)
        for field in request.metadata_field:
            if field != _SIGNATURES:
                raise ServingError("INVALID_ARGUMENT", f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        name, version, label = _of_spec(request)
        with self._service.library.lease(name, version, label) as servable:
            _say(response.model_spec, servable)
            if request.metadata_field:
                definitions = get_model_metadata_pb2.SignatureDefMap()
                for key, definition in servable.signature_defs.items():
                    definitions.signature_def[key].CopyFrom(definition)
                packed = any_pb2.Any()
                packed.Pack(definitions)
                response.metadata[_SIGNATURES].CopyFrom(packed)
        return response


def _check_spec(request) -> None:
    if not request.HasField("model_spec"):
        raise ServingError("INVALID_ARGUMENT", "Missing ModelSpec")


def _check_tasks(tasks) -> None:
    if not tasks:
        raise ServingError("INVALID_ARGUMENT", "Inference request must have at least one task")
    names = {task.model_spec.name for task in tasks}
    if "" in names:
        raise ServingError("INVALID_ARGUMENT", "Found ModelSpec with an empty model name.")
    if len(names) > 1:
        raise ServingError(
            "INVALID_ARGUMENT",
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        )
    seen = set()
    for task in tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise ServingError("INVALID_ARGUMENT", f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if task.method_name not in (_CLASSIFY, _REGRESS):
            raise ServingError(
                "UNIMPLEMENTED", f"Unsupported signature method_name: {task.method_name}"
            )


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; the configuration is the command line's and cannot be changed from here."""

    def __init__(self, service: Service):
        self._service = service

    async def GetModelStatus(self, request, context):
        """States of the versions of a model."""
        try:
            _check_spec(request)
            name, version, _ = _of_spec(request)
            states = self._service.library.status(name, version)
        except ServingError as error:
            await _fail(context, error)
        response = get_model_status_pb2.GetModelStatusResponse()
        kinds = get_model_status_pb2.ModelVersionStatus.State
        for number, state in states.items():
            status = response.model_version_status.add(
                version=number, state=kinds.Value(state.state)
            )
            status.status.error_code = _code_number(state.code)
            status.status.error_message = state.message
        return response

    async def HandleReloadConfigRequest(self, request, context):
        """Not offered: what is served is what is in the folders."""
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "The development server takes its models from its command line",
        )


def _code_number(code: str) -> int:
    return getattr(grpc.StatusCode, code).value[0]
