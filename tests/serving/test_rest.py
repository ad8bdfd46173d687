"""The REST API against TF Serving's own documents and tests.

Requests and answers named "documents" are those of tensorflow_serving/g3doc/api_rest.md; those
named "tests" are of model_servers/http_rest_api_handler_test.cc and util/json_tensor_test.cc, all
of tensorflow/serving 2.20.
"""

import base64
import json
import math
import urllib.request

import numpy as np
import pytest

HALF = "/v1/models/half_plus_three"
KINDS = "/v1/models/kinds"


def echoed(server, body, path=KINDS):
    status, answer = server.post(f"{path}:predict", body)
    assert status == 200, answer
    return answer


def refused(server, path, body, status=400):
    found, answer = server.post(path, body)
    assert found == status, answer
    assert list(answer) == ["error"]
    return answer["error"]


# Documents: "Make REST API calls to ModelServer".


def test_documents_status(server):
    assert server.get(HALF) == (
        200,
        {
            "model_version_status": [
                {
                    "version": "123",
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        },
    )
    assert server.get(f"{HALF}/versions/123") == server.get(HALF)


def test_documents_predict(server):
    answer = server.post(f"{HALF}:predict", {"instances": [1.0, 2.0, 5.0]})
    assert answer == (200, {"predictions": [3.5, 4.0, 5.5]})


def test_documents_regress(server):
    body = {
        "signature_name": "tensorflow/serving/regress",
        "examples": [{"x": 1.0}, {"x": 2.0}],
    }
    assert server.post(f"{HALF}:regress", body) == (200, {"results": [3.5, 4.0]})


def test_models_of_tensorflow_1_as_the_documents_have_it(server):
    # Their signatures say no shapes, and the regress one another type than the graph's.
    path = "/v1/models/tensorflow_1"
    assert server.get(path)[1]["model_version_status"][0]["version"] == "123"
    for body in ([1.0, 2.0, 5.0], [[1.0], [2.0], [5.0]], [[1.0, 2.0]]):
        expected = (np.array(body) / 2 + 3).tolist()
        answer = server.post(f"{path}:predict", {"instances": body})
        assert answer == (200, {"predictions": expected})
    body = {"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}
    assert server.post(f"{path}:regress", body) == (200, {"results": [3.5, 4.0]})


def test_shapes_that_kernels_would_not_look_at(server):
    # TF.Text's kernels read a scalar as a vector, which ends the process.
    for inputs in ("a text", [["a text"]]):
        message = refused(server, "/v1/models/reviews:predict", {"inputs": inputs})
        assert message.startswith("Expects text to be of shape [?] but [")


def test_documents_unknown_model(server):
    request = urllib.request.Request(f"{server.url}/v1/models/half:predict", b'{"instances": [1]}')
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 404
    assert caught.value.headers["content-type"] == "application/json"
    assert json.load(caught.value) == {"error": "Servable not found for request: Latest(half)"}


# Documents: row and column format, with the same three named inputs.

ROWS = [
    {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
    {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
]
COLUMNS = {
    "tag": ["foo", "bar"],
    "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
    "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
}


def b64(data: bytes) -> dict:
    return {"b64": base64.b64encode(data).decode()}


def test_documents_rows(server):
    expected = [{**row, "tag_bytes": b64(row["tag"].encode())} for row in ROWS]
    assert echoed(server, {"instances": ROWS}) == {"predictions": expected}


def test_documents_columns(server):
    expected = {**COLUMNS, "tag_bytes": [b64(b"foo"), b64(b"bar")]}
    assert echoed(server, {"inputs": COLUMNS}) == {"outputs": expected}


def test_documents_one_input_needs_no_name(server):
    body = {"signature_name": "reverse", "instances": ["foo", "bar", "baz"]}
    assert echoed(server, body) == {"predictions": ["foo|", "bar|", "baz|"]}
    body = {"signature_name": "reverse", "inputs": ["foo"]}
    assert echoed(server, body) == {"outputs": ["foo|"]}
    body = {"instances": [[[1, 2]], [[3, 4]]]}
    assert echoed(server, body, HALF) == {"predictions": [[[3.5, 4.0]], [[4.5, 5.0]]]}


def test_named_rows_of_one_input(server):
    body = {"signature_name": "reverse", "instances": [{"text": "foo"}]}
    assert echoed(server, body) == {"predictions": ["foo|"]}
    body = {"signature_name": "reverse", "inputs": {"text": ["foo"], "passed over": 1}}
    assert echoed(server, body) == {"outputs": ["foo|"]}


def test_documents_bytes(server):
    for data in (b"image bytes", b"\x00\xff\xfe", b""):
        row = {**ROWS[0], "tag": b64(data)}
        found = echoed(server, {"instances": [row]})["predictions"][0]
        assert base64.b64decode(found["tag_bytes"]["b64"]) == data
    body = {"signature_name": "reverse", "instances": [b64("ü".encode()), "a"]}
    assert echoed(server, body) == {"predictions": ["ü|", "a|"]}
    body = {"signature_name": "reverse", "inputs": {"text": [b64(b"x")]}}
    assert echoed(server, body) == {"outputs": ["x|"]}


def test_documents_numbers_that_json_does_not_have(server):
    body = b'{"instances": [NaN, Infinity, -Infinity, 1e1]}'
    found = echoed(server, body, HALF)["predictions"]
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf, 8.0]


def test_documents_floats_are_exact_in_float32(server):
    # "1435774380 ... will be silently converted to 1435774336"
    found = echoed(server, {"instances": [1435774380, 0.2, 1 / 3]}, HALF)["predictions"]
    expected = np.array([1435774336, 0.2, 1 / 3], np.float32) / 2 + np.float32(3)
    assert np.array_equal(np.array(found, np.float32), expected)


def test_floats_are_written_as_floats(server):
    request = urllib.request.Request(f"{server.url}{HALF}:predict", b'{"instances": [1, 2, 1e9]}')
    with urllib.request.urlopen(request) as response:
        text = response.read().decode()
    assert text == '{"predictions": [3.5,\n4.0,\n5e+08]}'


def test_types(server):
    values = {
        "bool": [True, False],
        "float64": [0.1, 1e300],
        "int8": [-128, 127],
        "int32": [-(2**31), 2**31 - 1],
        "uint8": [0, 255],
        "uint32": [0, 2**32 - 1],
        "uint64": [0, 2**64 - 1],
    }
    body = {"signature_name": "numbers", "inputs": values}
    assert echoed(server, body) == {"outputs": values}


def test_a_scalar_and_empty_batches(server):
    body = {"signature_name": "scalar", "inputs": 1.5}
    assert echoed(server, body) == {"outputs": 3.0}
    body = {"signature_name": "scalar", "instances": [1.5]}
    assert "Expects scalar to be of shape []" in refused(server, f"{KINDS}:predict", body)
    assert echoed(server, {"signature_name": "reverse", "inputs": []}) == {"outputs": []}
    columns = {"tag": [], "signal": [], "sensor": []}
    assert echoed(server, {"inputs": columns})["outputs"] == {**columns, "tag_bytes": []}


# Tests of http_rest_api_handler_test.cc.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("POST", "/v1/foo"),
        ("GET", "/v1/models/debug/model_name"),
        ("POST", "/v1/models"),
        ("GET", "/v1/models/foo:predict"),
        ("GET", "/v1/models/foo/version/50:predict"),
        ("POST", "/v1/models/foo/version/50:regress"),
        ("POST", "/v1/models/foo/versions/HELLO:regress"),
        ("POST", "/v1/models/foo/metadata"),
        ("POST", "/v1/models/foo/label/some_label:regress"),
        ("POST", "/v1/models/foo/versions/50/labels/some_label:regress"),
        ("PUT", "/v1/models/foo:predict"),
    ],
)
def test_tests_malformed(server, method, path):
    request = urllib.request.Request(server.url + path, method=method)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 400
    assert json.load(caught.value)["error"] == f"Malformed request: {method} {path}"


def test_tests_names_and_versions(server):
    assert server.get("/v1/models") == (400, {"error": "Missing model name in request."})
    one = {"instances": [1]}
    too_large = 2**64 - 1
    message = refused(server, f"/v1/models/foo/versions/{too_large}:regress", one)
    assert message == f"Failed to convert version: {too_large} to numeric."
    message = refused(server, "/v1/models/foo/versions/50:predict", one, 404)
    assert message == "Servable not found for request: Specific(foo, 50)"
    message = refused(server, f"{HALF}/versions/99:predict", one, 404)
    assert message == "Servable not found for request: Specific(half_plus_three, 99)"
    message = refused(server, f"{HALF}/labels/none:predict", one)
    assert message == "Unrecognized servable version label: none"
    assert server.get("/v1/models/foo") == (
        404,
        {"error": "Could not find any versions of model foo"},
    )
    assert server.get(f"{HALF}/versions/9") == (
        404,
        {"error": "Could not find version 9 of model half_plus_three"},
    )


def test_tests_predict(server):
    body = {"instances": [[1.0, 2.0], [3.0, 4.0]]}
    assert echoed(server, body, HALF) == {"predictions": [[3.5, 4.0], [4.5, 5.0]]}
    assert echoed(server, body, f"{HALF}/versions/123") == {"predictions": [[3.5, 4.0], [4.5, 5.0]]}
    body = {"signature_name": "serving_default", "inputs": [3.0, 4.0]}
    assert echoed(server, body, HALF) == {"outputs": [4.5, 5.0]}


def test_tests_regress_and_classify(server):
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 80.0}]}
    assert server.post(f"{HALF}:regress", body) == (200, {"results": [43.0]})
    body = {"signature_name": "classify_x_to_y", "examples": [{"x": 20.0}]}
    assert server.post(f"{HALF}/versions/123:classify", body) == (200, {"results": [[["", 13.0]]]})


def test_classes_and_a_context(server):
    body = {
        "signature_name": "classify",
        "context": {"x": [4.0]},
        "examples": [{"other": "a"}, {"other": [1, 2]}],
    }
    row = [["half", 5.0], ["über", -5.0]]
    assert server.post(f"{HALF}:classify", body) == (200, {"results": [row, row]})


def test_tests_metadata(server):
    status, found = server.get(f"{HALF}/metadata")
    assert status == 200
    assert found["model_spec"] == {
        "name": "half_plus_three",
        "signature_name": "",
        "version": "123",
    }
    definitions = found["metadata"]["signature_def"]["signature_def"]
    unknown = {"dim": [], "unknown_rank": True}
    expected = {"dtype": "DT_FLOAT", "tensor_shape": unknown, "name": "serving_default_x:0"}
    assert definitions["serving_default"]["inputs"] == {"x": expected}
    assert definitions["serving_default"]["method_name"] == "tensorflow/serving/predict"
    shape = definitions["regress_x_to_y"]["outputs"]["outputs"]["tensor_shape"]
    assert shape["dim"] == [{"size": "-1", "name": ""}, {"size": "1", "name": ""}]
    assert shape["unknown_rank"] is False


def test_what_follows_the_document_is_passed_over(server):
    # kParseStopWhenDoneFlag
    assert echoed(server, b' {"instances": [1]} and more', HALF) == {"predictions": [3.5]}


def test_bytes_that_are_not_utf8_go_through(server):
    body = b'{"signature_name": "reverse", "instances": ["a\xff", "\xc3\xbc"]}'
    assert echoed(server, body) == {"predictions": ["a\ufffd|", "ü|"]}


def test_paths_in_any_case_and_encoded_names(server):
    status, answer = server.post("/V1/Models/half_plus_three:Predict", {"instances": [1.0]})
    assert (status, answer) == (200, {"predictions": [3.5]})
    status, answer = server.post("/v1/models/half%5Fplus%5Fthree:predict", {"instances": [1.0]})
    assert (status, answer) == (200, {"predictions": [3.5]})


def test_an_exported_model(server, reviews):
    from keras_bert.export import ask

    texts = ["I love this service", "", "naïve 我的卡 🙂", "Why was my card refused? " * 40]
    expected = ask.ask(ask.load(str(reviews)), texts)
    status, answer = server.post("/v1/models/reviews:predict", {"instances": texts})
    assert status == 200
    for found, wanted in zip(answer["predictions"], expected, strict=True):
        assert found["label"] == wanted["label"]
        probabilities = np.array(found["probabilities"], np.float32)
        assert np.abs(probabilities - wanted["probabilities"]).max() < 1e-6


def test_health_and_what_is_not_there(server):
    status, answer = server.get("/healthz")
    assert (status, answer["status"], answer["missing"]) == (200, "ok", [])
    assert server.get("/livez")[0] == 200
    status, answer = server.get("/nothing/here")
    assert (status, list(answer)) == (404, ["error"])
