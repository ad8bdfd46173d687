"""The gRPC services, asked by the stubs of tensorflow-serving-api."""

import random

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

NAME = "half_plus_three"


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


@pytest.fixture(scope="module")
def predictions(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(name=NAME, signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def with_examples(request, signature, numbers, name=NAME):
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for number in numbers:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(number)
    return request


def refused(call, request) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20)
    return caught.value.code().name, caught.value.details()


def test_predict(predictions):
    request = predict_request(x=np.array([1, 2, 5], np.float32))
    response = predictions.Predict(request)
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [3.5, 4.0, 5.5]
    assert response.model_spec.name == NAME
    assert response.model_spec.version.value == 123
    assert response.model_spec.signature_name == "serving_default"
    # What a filter names, and nothing else.
    request = predict_request("kinds", tag=["a"], signal=[[1]], sensor=[[[1.0]]])
    request.inputs["signal"].CopyFrom(tf.make_tensor_proto([[1]], tf.int64))
    request.output_filter.extend(["tag", "sensor"])
    assert sorted(predictions.Predict(request).outputs) == ["sensor", "tag"]


def test_tensors_of_fields_and_of_content(predictions):
    for data in ([1.0, 2.0], [7.0]):
        request = predict_request()
        tensor = request.inputs["x"]
        tensor.dtype = tf.float32.as_datatype_enum
        tensor.tensor_shape.dim.add(size=2)
        tensor.float_val.extend(data)  # The last value stands for the rest.
        found = tf.make_ndarray(predictions.Predict(request).outputs["y"])
        assert found.tolist() == [x / 2 + 3 for x in (data * 2)[:2]]
    request = predict_request(x=np.array([[1, 2]], np.float32))
    assert request.inputs["x"].tensor_content
    assert tf.make_ndarray(predictions.Predict(request).outputs["y"]).tolist() == [[3.5, 4.0]]


def test_classify_and_regress(predictions):
    request = with_examples(classification_pb2.ClassificationRequest(), "classify", [4, 8])
    response = predictions.Classify(request)
    found = [[(c.label, c.score) for c in row.classes] for row in response.result.classifications]
    assert found == [[("half", 5.0), ("über", -5.0)], [("half", 7.0), ("über", -7.0)]]
    assert response.model_spec.signature_name == "classify"
    request = with_examples(regression_pb2.RegressionRequest(), "regress_x_to_y", [4, 8])
    assert [row.value for row in predictions.Regress(request).result.regressions] == [5.0, 7.0]
    # The context's features are each record's.
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, "regress_x_to_y"
    shared = request.input.example_list_with_context
    shared.context.features.feature["x"].float_list.value.append(10.0)
    shared.examples.add()
    shared.examples.add().features.feature["y"].float_list.value.append(1.0)
    assert [row.value for row in predictions.Regress(request).result.regressions] == [8.0, 8.0]


def multi_request(*tasks):
    request = inference_pb2.MultiInferenceRequest()
    for signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = NAME, signature
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(4.0)
    return request


def test_multi_inference(predictions):
    tasks = (("classify_x_to_y", "classify"), ("regress_x_to_y", "regress"))
    classified, regressed = predictions.MultiInference(multi_request(*tasks)).results
    assert classified.classification_result.classifications[0].classes[0].score == 5.0
    assert regressed.regression_result.regressions[0].value == 5.0
    assert regressed.model_spec.signature_name == "regress_x_to_y"
    assert refused(predictions.MultiInference, multi_request(tasks[0], tasks[0])) == (
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: classify_x_to_y",
    )
    code, _ = refused(predictions.MultiInference, multi_request(("classify", "predict")))
    assert code == "UNIMPLEMENTED"
    assert refused(predictions.MultiInference, multi_request())[0] == "INVALID_ARGUMENT"


def test_metadata(predictions):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = NAME
    response = predictions.GetModelMetadata(request)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(definitions)
    info = definitions.signature_def["serving_default"].inputs["x"]
    assert (info.dtype, info.tensor_shape.unknown_rank) == (tf.float32.as_datatype_enum, True)
    assert response.model_spec.version.value == 123
    request.metadata_field.append("other")
    assert refused(predictions.GetModelMetadata, request) == (
        "INVALID_ARGUMENT",
        "Metadata field other is not supported",
    )
    empty = get_model_metadata_pb2.GetModelMetadataRequest()
    assert refused(predictions.GetModelMetadata, empty)[1] == "Missing ModelSpec"


def test_status(models):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = NAME
    (status,) = models.GetModelStatus(request).model_version_status
    kinds = get_model_status_pb2.ModelVersionStatus
    assert (status.version, status.state) == (123, kinds.AVAILABLE)
    assert status.status.error_code == 0
    request.model_spec.version.value = 5
    assert refused(models.GetModelStatus, request)[0] == "NOT_FOUND"
    assert refused(models.GetModelStatus, get_model_status_pb2.GetModelStatusRequest()) == (
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    )
    reload = model_management_pb2.ReloadConfigRequest()
    assert refused(models.HandleReloadConfigRequest, reload)[0] == "UNIMPLEMENTED"


def test_errors_of_predict(predictions):
    one = np.array([1], np.float32)

    def fails(**kwargs):
        return refused(predictions.Predict, predict_request(**kwargs))

    assert fails(name="foo", x=one) == (
        "NOT_FOUND",
        "Servable not found for request: Latest(foo)",
    )
    assert fails(name="", x=one) == ("INVALID_ARGUMENT", "ModelSpec has no name specified.")
    assert fails(signature="none", x=one) == (
        "FAILED_PRECONDITION",
        'Serving signature key "none" not found.',
    )
    code, message = fails()
    assert code == "INVALID_ARGUMENT"
    assert message == (
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. "
        "Missing but required: {x}."
    )
    code, message = fails(x=["a text"])
    assert (code, message) == (
        "INVALID_ARGUMENT",
        "Expects x to be float32 but string is provided",
    )
    request = predict_request(x=one)
    request.output_filter.append("z")
    assert (
        "output tensor alias not found in signature: z" in refused(predictions.Predict, request)[1]
    )
    request.output_filter[:] = ["y", "y"]
    assert refused(predictions.Predict, request)[1] == "duplicate output tensor alias: y"
    code, message = fails(name="kinds", signature="picky", index=np.array([5], np.int32))
    assert code == "INVALID_ARGUMENT"


def test_tensors_that_contradict_themselves(predictions):
    huge = predict_request(x=np.array([1], np.float32))
    huge.inputs["x"].tensor_shape.dim[0].size = 2**40
    code, message = refused(predictions.Predict, huge)
    assert code == "INVALID_ARGUMENT" and "tensor parsing error: x" in message
    short = predict_request(x=np.ones(4, np.float32))
    short.inputs["x"].tensor_shape.dim[0].size = 3
    assert refused(predictions.Predict, short)[0] == "INVALID_ARGUMENT"
    negative = predict_request(x=np.ones(4, np.float32))
    negative.inputs["x"].tensor_shape.dim[0].size = -1
    assert refused(predictions.Predict, negative)[0] == "INVALID_ARGUMENT"
    strings = predict_request("kinds", "reverse", text=["a", "b", "c"])
    del strings.inputs["text"].string_val[:1]
    assert refused(predictions.Predict, strings)[0] == "INVALID_ARGUMENT"


def test_too_large_a_message(predictions):
    request = predict_request(x=np.zeros(2**18, np.float32))
    assert refused(predictions.Predict, request)[0] == "RESOURCE_EXHAUSTED"


def test_what_is_no_message(channel, predictions):
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    chance = random.Random(7)
    good = predict_request(x=np.array([1, 2], np.float32)).SerializeToString()
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            raw(bytes(data[: chance.randrange(len(data) + 1)]), timeout=20)
        except grpc.RpcError as error:
            assert error.code().name in (
                "INTERNAL",
                "INVALID_ARGUMENT",
                "NOT_FOUND",
                "FAILED_PRECONDITION",
                "UNKNOWN",
            ), error
    response = predictions.Predict(predict_request(x=np.array([1], np.float32)))
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [3.5]


def test_the_same_answer_as_rest(server, predictions):
    texts = ["I love this service", "", "naïve 我的卡 🙂"]
    response = predictions.Predict(predict_request("reviews", text=texts))
    _, rest = server.post("/v1/models/reviews:predict", {"inputs": texts})
    probabilities = tf.make_ndarray(response.outputs["probabilities"])
    found = np.array(rest["outputs"]["probabilities"], np.float32)
    assert np.array_equal(probabilities, found)
