"""TF Serving's REST API, as an ASGI application; and health, metrics and the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from urllib.parse import unquote

from google.protobuf import json_format
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keras_bert.serving import inference
from keras_bert.serving.errors import ServingError
from keras_bert.serving.json_answers import (
    classify_body,
    error_body,
    predict_body,
    regress_body,
)
from keras_bert.serving.json_documents import parse
from keras_bert.serving.json_examples import read_examples
from keras_bert.serving.json_requests import read_predict, signature_name
from keras_bert.serving.metrics import METRICS_PATH
from keras_bert.serving.page import described_models, page_file
from keras_bert.serving.service import Limits, Service

__all__ = ["RestApp"]

_LOGGER = logging.getLogger("keras_bert.serving")
# As TF Serving's http_rest_api_util.cc matches paths, in any case.
_TARGET = r"(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?"
_CALL = re.compile(rf"/v1/models/([^/:]+){_TARGET}:(classify|regress|predict)", re.IGNORECASE)
_STATUS = re.compile(rf"/v1/models(?:/([^/:]+))?{_TARGET}(?:/(metadata))?", re.IGNORECASE)
_JSON = "application/json"
# Bodies from this size on are read apart, so that others need not wait for it.
_LARGE = 2**18


class RestApp:
    """The ASGI application.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service):
        self._service = service

    async def __call__(self, scope, receive, send) -> None:
        """Answers one request, as ASGI calls it."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ServingError as error:
            response = Response(error_body(error.message), error.http_status, media_type=_JSON)
            if error.code == "UNAVAILABLE":
                response.headers["retry-after"] = "1"
        except (ClientDisconnect, asyncio.CancelledError):
            return  # Nobody is there to be answered.
        except Exception:
            _LOGGER.exception("A request failed")
            response = Response(error_body("Internal error"), 500, media_type=_JSON)
        if self._service.is_draining or getattr(request.state, "is_unread", False):
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path, method = request.scope["path"], request.method
        # Starlette's path is decoded; a name may hold an encoded slash or colon.
        raw = (request.scope.get("raw_path") or path.encode()).decode("latin-1")
        if raw[:4].lower() == "/v1/":
            return await self._api(request, method, raw)
        if method not in ("GET", "HEAD"):
            raise ServingError("INVALID_ARGUMENT", f"Malformed request: {method} {path}")
        if path == METRICS_PATH:
            return Response(self._service.metrics.text(), media_type="text/plain; version=0.0.4")
        if path in ("/healthz", "/livez"):
            is_well, body = self._service.health()
            is_well = is_well or path == "/livez"
            return Response(json.dumps(body), 200 if is_well else 503, media_type=_JSON)
        if path == "/models.json":
            body = json.dumps(described_models(self._service.library), ensure_ascii=False)
            return Response(body.encode("utf-8", "replace"), media_type=_JSON)
        file = page_file(path)
        if file is None:
            raise ServingError("NOT_FOUND", f"There is nothing at {path}")
        return Response(file.content, media_type=file.media_type, headers=file.headers)

    async def _api(self, request: Request, method: str, path: str) -> Response:
        match = _CALL.fullmatch(path) if method == "POST" else _STATUS.fullmatch(path)
        if match is None or method not in ("POST", "GET"):
            await self._body(request)
            raise ServingError("INVALID_ARGUMENT", f"Malformed request: {method} {path}")
        name, version, label, what = match.groups()
        name, label = unquote(name or ""), label and unquote(label)
        version = _number(version)
        if method == "POST":
            body = await self._called(request, name, version, label, what.lower())
        elif not name:
            raise ServingError("INVALID_ARGUMENT", "Missing model name in request.")
        elif what:
            body = self._metadata(name, version, label)
        else:
            body = _status_body(self._service.library.status(name, version))
        return Response(body, media_type=_JSON)

    async def _called(self, request, name, version, label, method) -> bytes:
        with self._service.counted(name, method, "REST"):
            body = await self._body(request)
            answer = asyncio.ensure_future(self._answer(name, version, label, method, body))
            gone = asyncio.ensure_future(_disconnected(request))
            try:
                await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    raise ClientDisconnect
                return answer.result()
            except ClientDisconnect:
                raise asyncio.CancelledError from None
            finally:
                gone.cancel()
                answer.cancel()

    async def _body(self, request: Request) -> bytes:
        """The request's body, as far as the limits go."""
        limits, most = self._service.limits, self._service.limits.request_bytes
        declared = request.headers.get("content-length", "0")
        chunks, size, more = [], 0, True
        try:
            async with asyncio.timeout(limits.request_seconds):
                while more:
                    if (declared.isdecimal() and int(declared) > most) or size > most:
                        raise _too_large(most)
                    chunk, more = await _next_chunk(request)
                    chunks.append(chunk)
                    size += len(chunk)
            if size > most:
                raise _too_large(most)
        except ServingError:
            request.state.is_unread = True
            if more:
                await _discard(request, limits)
            raise
        except TimeoutError:
            request.state.is_unread = True
            raise ServingError(
                "DEADLINE_EXCEEDED", "The request did not arrive in time", http_status=408
            ) from None
        return b"".join(chunks)

    async def _answer(self, name, version, label, method, body: bytes) -> bytes:
        service = self._service
        if method == "predict":
            return await service.in_time(self._predict(name, version, label, body))
        read = read_examples if len(body) < _LARGE else _apart(read_examples)
        request = read(body)
        request = await request if asyncio.iscoroutine(request) else request
        with service.library.lease(name, version, label) as servable:
            service.metrics.examples(name, len(request.examples))
            call = inference.classify if method == "classify" else inference.regress
            results = await service.in_time(
                call(service.scheduler.run, servable, request.signature_name, request.examples)
            )
        return classify_body(results) if method == "classify" else regress_body(results)

    async def _predict(self, name, version, label, body: bytes) -> bytes:
        is_large = len(body) >= _LARGE
        document = await asyncio.to_thread(parse, body) if is_large else parse(body)
        wanted = signature_name(document)
        with self._service.library.lease(name, version, label) as servable:
            signature = servable.signature(wanted)
            if signature is None:
                raise ServingError(
                    "INVALID_ARGUMENT",
                    f'Serving signature name: "{wanted or "serving_default"}" not found in '
                    "signature def",
                )
            if not signature.inputs:
                raise ServingError(
                    "INVALID_ARGUMENT",
                    f"Failed to get input map for signature: {wanted or 'DEFAULT'}",
                )
            arguments = (document, signature.inputs)
            request = (
                await asyncio.to_thread(read_predict, *arguments)
                if is_large
                else read_predict(*arguments)
            )
            outputs = await inference.predict(
                self._service.scheduler.run, servable, wanted, request.inputs
            )
        if sum(value.size for value in outputs.values()) > _LARGE // 8:
            return await asyncio.to_thread(predict_body, outputs, request.in_rows)
        return predict_body(outputs, request.in_rows)

    def _metadata(self, name, version, label) -> bytes:
        from tensorflow_serving.apis import get_model_metadata_pb2

        with self._service.library.lease(name, version, label) as servable:
            definitions = get_model_metadata_pb2.SignatureDefMap()
            for key, definition in servable.signature_defs.items():
                definitions.signature_def[key].CopyFrom(definition)
            spec = {"name": name, "signature_name": "", "version": str(servable.version)}
        written = json_format.MessageToDict(
            definitions, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        document = {"model_spec": spec, "metadata": {"signature_def": written}}
        return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace")


def _apart(read):
    async def in_thread(body):
        return await asyncio.to_thread(read, body)

    return in_thread


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _discard(request: Request, limits: Limits) -> None:
    """Reads some more of a body that is refused.

    A client that is still sending when the connection is closed may never see why. Of what is
    little more than allowed, all is read.
    """
    left, more = 2 * limits.request_bytes + _LARGE, True
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(min(2.0, limits.request_seconds)):
            while more and left > 0:
                chunk, more = await _next_chunk(request)
                left -= len(chunk)


async def _next_chunk(request: Request) -> tuple[bytes, bool]:
    """Some of a request's body, and whether there is more."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def _too_large(most: int) -> ServingError:
    return ServingError(
        "RESOURCE_EXHAUSTED", f"The request has more than {most} bytes", http_status=413
    )


def _number(version: str | None) -> int | None:
    if version is None:
        return None
    if len(version) > 19 or int(version) >= 2**63:
        raise ServingError(
            "INVALID_ARGUMENT", f"Failed to convert version: {version:.100} to numeric."
        )
    return int(version)


def _status_body(states) -> bytes:
    versions = [
        {
            "version": str(number),
            "state": state.state,
            "status": {"error_code": state.code, "error_message": state.message},
        }
        for number, state in states.items()
    ]
    document = {"model_version_status": versions}
    return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace")
