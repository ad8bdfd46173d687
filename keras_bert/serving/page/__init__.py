"""The page at ``/``: a person types text and sees what a model answers."""

from __future__ import annotations

import dataclasses
import functools
from importlib import resources

from keras_bert.serving.errors import ServingError
from keras_bert.serving.library import Library

__all__ = ["PageFile", "described_models", "page_file"]

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/answers.js": ("answers.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@dataclasses.dataclass(frozen=True)
class PageFile:
    """A file of the page."""

    content: bytes
    media_type: str
    headers: dict[str, str]


def page_file(path: str) -> PageFile | None:
    """The file at a path of the server; None if there is none."""
    return _read(*_FILES[path]) if path in _FILES else None


@functools.cache
def _read(name: str, media_type: str) -> PageFile:
    content = resources.files(__package__).joinpath(name).read_bytes()
    return PageFile(content, media_type, _HEADERS)


def described_models(library: Library) -> dict:
    """What the page needs to know of the models: versions, inputs, outputs, what they say."""
    return {"models": [_model(library, name) for name in library.names]}


def _model(library: Library, name: str) -> dict:
    try:
        states = library.status(name)
    except ServingError:
        states = {}
    versions = []
    for number, state in states.items():
        version = {"version": number, "state": state.state, "message": state.message}
        if state.state == "AVAILABLE":
            version |= _described(state.servable)
        versions.append(version)
    return {"name": name, "versions": versions}


def _described(servable) -> dict:
    signature = servable.signature(None)
    if signature is None:
        return {"inputs": None}
    record = servable.record
    named = [name for name in record.get("inputs") or [] if name in signature.inputs]
    names = named if len(named) == len(signature.inputs) else list(signature.inputs)
    return {
        "inputs": [
            {
                "name": name,
                "dtype": signature.inputs[name].dtype.name,
                "several": len(signature.inputs[name].shape or ()) > 1,
            }
            for name in names
        ],
        "outputs": {name: spec.dtype.name for name, spec in signature.outputs.items()},
        "labels": [str(label) for label in record.get("labels") or []],
        "task": str(record.get("task") or ""),
    }
