"""Errors of serving, with the codes that gRPC and TF Serving name them by."""

from __future__ import annotations

__all__ = ["HTTP_STATUS", "ServingError"]

#: Code → HTTP status, as TF Serving's http_server.cc maps them.
HTTP_STATUS = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}


class ServingError(Exception):
    """What a server answers instead of a result, on its own side and on a client's.

    Attributes:
        code: gRPC's name of what went wrong, such as ``"INVALID_ARGUMENT"``.
        message: What went wrong, in words.

    Example:
        >>> ServingError("NOT_FOUND", "there is no model 'cards'").http_status
        404
    """

    def __init__(self, code: str, message: str, http_status: int | None = None):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status or HTTP_STATUS.get(code, 500)
