"""What the REST API says of wrong requests, in the words of TF Serving's json_tensor.cc."""

import pytest

from .test_rest import HALF, KINDS, ROWS, refused

ERRORS = [
    (b"", "JSON Parse error: The document is empty"),
    (b"instances = [1, 2]", "JSON Parse error: Invalid value."),
    (b'{"instances": [1, 2}', "JSON Parse error: Missing a comma or ] after an array element."),
    (b'{"instances": [1] "a": 1}', "Missing a comma or } after an object member."),
    (b"[1, 2]", "JSON Value: [1, 2] Is not object"),
    (b'{"instances": ["\\ud800"]}', "not of expected type: float"),
    ({"instances": ["x", "y"]}, 'JSON Value: "x" Type: String is not of expected type: float'),
    ({"instances": [True]}, "JSON Value: true Type: True is not of expected type: float"),
    ({"instances": [None]}, "JSON Value: null Type: Null is not of expected type: float"),
    ({"signature_name": 100}, "'signature_name' key must be a string value."),
    (
        {"signature_name": "none", "instances": [1]},
        'Serving signature name: "none" not found in signature def',
    ),
    ({"instances": 1}, "Expecting 'instances' to be an list/array"),
    ({"instances": []}, "No values in 'instances' array"),
    ({"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances' keys"),
    ({"other": 1}, "Missing 'inputs' or 'instances' key"),
    (
        {"instances": [[1, 2], [3]]},
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
        "Expecting tensor size: 2 but got: 1",
    ),
    ({"instances": [[1, 2], [[3, 4]]]}, "Expecting shape [2] but got: [1,2]"),
    ({"instances": [[[1, 2], [3]]]}, "Encountered list at unexpected size: 1 at level: 1"),
    ({"instances": [[[1], 2]]}, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM"),
    ({"instances": [[1, [2]]]}, "Encountered list at unexpected level: 1 expected < 1"),
    ({"instances": [1, {"x": 1}]}, "Expecting value/list but got object at item 1 of input list"),
    ({"instances": [{"x": 1}, 1]}, "Expecting object but got list at item 1 of input list"),
    ({"instances": [{"z": 1}]}, "JSON object: does not have named input: z"),
    ({"inputs": {"z": 1}}, "Missing named input: x in 'inputs' object."),
]


@pytest.mark.parametrize(("body", "message"), ERRORS)
def test_tests_errors_of_predict(server, body, message):
    assert message in refused(server, f"{HALF}:predict", body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": ["a"]}, "instances is a plain list, but expecting list of objects"),
        ({"inputs": ["a"]}, "inputs is a plain value/list, but expecting an object"),
        ({"instances": [{"tag": "a"}]}, "keys must be equal to: sensor,signal,tag"),
        (
            {"instances": [{**ROWS[0], "tag": 1}]},
            "Failed to process element: 0 key: tag of 'instances' list.",
        ),
        ({"instances": [{**ROWS[0], "signal": [1.5]}]}, "is not of expected type: int64"),
        ({"instances": [{**ROWS[0], "signal": [2**63]}]}, "is not of expected type: int64"),
        ({"signature_name": "reverse", "instances": [{"b64": "%"}]}, "Unable to base64 decode"),
        ({"signature_name": "reverse", "inputs": {"b64": 1}}, "Missing named input: text"),
        ({"signature_name": "reverse", "instances": ["\ud800"]}, "The surrogate pair in string"),
        ({"signature_name": "reverse", "inputs": [["a"]]}, "Expects text to be of shape [?]"),
    ],
)
def test_errors_of_several_inputs(server, body, message):
    assert message in refused(server, f"{KINDS}:predict", body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "key 'examples' is expected and was not found"),
        ({"examples": 1}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": [1, "a"]}]}, "Unexpected element type in feature: x"),
        ({"examples": [{"x": [2**63]}]}, "has uint64_t element. Only int64_t is supported."),
        ({"examples": [{"x": 1.0}]}, "No classification inputs found in SignatureDef"),
        (
            {"signature_name": "none", "examples": [{"x": 1.0}]},
            "No signature was found with the name: none",
        ),
        (
            {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]},
            'at least one of "classes" or "scores"',
        ),
        ({"signature_name": "classify", "examples": [{"x": "a"}]}, "x"),
    ],
)
def test_errors_of_classify(server, body, message):
    assert message in refused(server, f"{HALF}:classify", body)
