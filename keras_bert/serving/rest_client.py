"""A client's connection over REST.

On the standard library's ``http.client``: requests are few and simple, and a client that is put
into other programs had better bring no dependencies along.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

import numpy as np

from keras_bert.serving.errors import HTTP_STATUS, ServingError
from keras_bert.serving.transport import SignatureInfo, Target, TensorInfo, VersionStatus

__all__ = ["RestTransport"]

_CODES = {
    **{HTTP_STATUS[code]: code for code in reversed(HTTP_STATUS)},
    500: "INTERNAL",
    400: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    # Too busy, says whoever stands before a server; and what stands there when none is behind it.
    429: "UNAVAILABLE",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
}


class RestTransport:
    """Connections to ``http://`` or ``https://``, kept open and used by one call at a time.

    Args:
        url: The server's, perhaps with a path that a proxy has it under.
        headers: Sent with each request, such as a proxy's authorization.
        context: For ``https``; the system's certificates by default.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ):
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._is_https = parts.scheme == "https"
        self._context = context or (ssl.create_default_context() if self._is_https else None)
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def predict(self, target, signature, inputs, outputs, seconds):
        """See ``Transport``."""
        columns = {name: _jsonable(value) for name, value in inputs.items()}
        body = {"signature_name": signature, "inputs": columns}
        answer = self._post(target, "predict", body, seconds).get("outputs")
        if len(outputs) == 1:
            answer = {next(iter(outputs)): answer}
        if not isinstance(answer, dict) or set(answer) != set(outputs):
            raise ServingError("INTERNAL", f"Expected the outputs {sorted(outputs)}")
        return {name: _array(answer[name], info) for name, info in outputs.items()}

    def classify(self, target, signature, examples, seconds):
        """See ``Transport``."""
        results = self._post(target, "classify", _examples(signature, examples), seconds)["results"]
        return [[(label, float(np.float32(score))) for label, score in row] for row in results]

    def regress(self, target, signature, examples, seconds):
        """See ``Transport``."""
        results = self._post(target, "regress", _examples(signature, examples), seconds)["results"]
        return [float(np.float32(value)) for value in results]

    def signatures(self, target, seconds):
        """See ``Transport``."""
        answer = self._request("GET", f"{_path(target)}/metadata", None, seconds)
        definitions = answer["metadata"]["signature_def"]["signature_def"]
        return {
            name: SignatureInfo(_infos(d.get("inputs")), _infos(d.get("outputs")))
            for name, d in definitions.items()
            if not name.startswith("__saved_model")
        }

    def status(self, target, seconds):
        """See ``Transport``."""
        answer = self._request("GET", _path(target), None, seconds)
        return {
            int(version["version"]): VersionStatus(
                version["state"],
                version.get("status", {}).get("error_code", "OK"),
                version.get("status", {}).get("error_message", ""),
            )
            for version in answer["model_version_status"]
        }

    def close(self) -> None:
        """Closes the connections that are not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _post(self, target: Target, method: str, document, seconds: float) -> dict:
        body = json.dumps(document, ensure_ascii=False).encode()
        return self._request("POST", f"{_path(target)}:{method}", body, seconds)

    def _request(self, method: str, path: str, body: bytes | None, seconds: float) -> dict:
        status, content = self._exchanged(method, self._base + path, body, seconds)
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if status != 200:
            message = document.get("error") if isinstance(document, dict) else None
            message = message or content[:200].decode("utf-8", "replace") or f"HTTP status {status}"
            code = _CODES.get(status, "UNKNOWN")
            raise ServingError(code, str(message), http_status=status)
        if not isinstance(document, dict):
            raise ServingError("INTERNAL", f"The answer is no JSON object: {content[:200]!r}")
        return document

    def _exchanged(self, method, path, body, seconds: float) -> tuple[int, bytes]:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            is_used = connection is not None
            connection = connection or self._connection(seconds)
            try:
                connection.timeout = seconds
                if connection.sock is not None:
                    connection.sock.settimeout(seconds)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    # A server may answer before it has read everything: that it is too much.
                    connection.request(method, path, body, self._headers)
                response = connection.getresponse()
                content = response.read()
            except BaseException as error:
                connection.close()
                # A server may close what was kept open; that says nothing of the request.
                if is_used and isinstance(error, _GONE):
                    continue
                with contextlib.suppress(TypeError):
                    raise _as_serving_error(error, self._address) from error
                raise
            if not response.will_close:
                with self._lock:
                    self._idle.append(connection)
            return response.status, content

    @property
    def _address(self) -> str:
        return f"{self._host}:{self._port}" if self._port else str(self._host)

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        if self._is_https:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=seconds, context=self._context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=seconds)


_GONE = (ConnectionError, http.client.BadStatusLine)


def _as_serving_error(error: BaseException, address: str) -> ServingError:
    if isinstance(error, TimeoutError | socket.timeout):
        return ServingError("DEADLINE_EXCEEDED", f"No answer from {address} in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        return ServingError("UNAUTHENTICATED", f"{address}: {error}")
    if isinstance(error, OSError | http.client.HTTPException):
        what = str(error) or type(error).__name__
        return ServingError("UNAVAILABLE", f"Cannot reach {address}: {what}")
    raise TypeError


def _path(target: Target) -> str:
    path = f"/v1/models/{quote(target.model, safe='')}"
    if target.version is not None:
        return f"{path}/versions/{target.version}"
    return f"{path}/labels/{quote(target.label, safe='')}" if target.label else path


def _jsonable(value: np.ndarray):
    if value.dtype != object:
        return value.tolist()
    if value.ndim:
        return [_jsonable(item) if isinstance(item, np.ndarray) else _text(item) for item in value]
    return _text(value.item())


def _text(value: bytes):
    """Bytes as a string where they are UTF-8, else as REST takes bytes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _examples(signature: str | None, examples: Sequence[Mapping]) -> dict:
    document = {"signature_name": signature} if signature else {}
    records = [{name: _feature(value) for name, value in e.items()} for e in examples]
    return {**document, "examples": records}


def _feature(value):
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return [_feature(item) for item in value] if isinstance(value, list | tuple) else value


def _infos(described) -> dict[str, TensorInfo]:
    infos = {}
    for name, info in sorted((described or {}).items()):
        shape = info.get("tensor_shape", {})
        sizes = [int(dim["size"]) for dim in shape.get("dim", [])]
        infos[name] = TensorInfo.read(info["dtype"], sizes, shape.get("unknown_rank", False))
    return infos


def _array(value, info: TensorInfo) -> np.ndarray:
    if info.dtype != "object":
        array = np.array(value, info.dtype)
    else:
        values: list = []
        shape = _flattened(value, values)
        array = np.empty(len(values), object)
        array[:] = values
        array = array.reshape(shape)
    if array.size == 0 and info.shape is not None:
        # An empty list says nothing of the axes inside it.
        array = array.reshape(array.shape + (0,) * (len(info.shape) - array.ndim))
    return array


def _flattened(value, values: list) -> tuple[int, ...]:
    if isinstance(value, list):
        shapes = [_flattened(item, values) for item in value]
        return (len(value), *(shapes[0] if shapes else ()))
    values.append(base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode())
    return ()
