"""Error answers of this API: ``{"detail": sentence}``, never with a status of success.

Bazarr saves the body of every answer of success as a subtitle.
"""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from app.http.errors import STATUS, detail, headers, log_crash
from app.services.calls import TranscriptionFailed
from storage.errors import Refusal

AnyRequest = Request[Any, Any, Any]


def refused(_: AnyRequest, refusal: Refusal) -> Response[Any]:
    status = STATUS.get(type(refusal), 500)
    if isinstance(refusal, TranscriptionFailed) and refusal.is_file:
        status = 422
    return Response({"detail": refusal.message}, status_code=status, headers=headers(refusal))


def http_error(_: AnyRequest, error: HTTPException) -> Response[Any]:
    return Response({"detail": detail(error)}, status_code=error.status_code, headers=error.headers)


def crashed(request: AnyRequest, error: Exception) -> Response[Any]:
    log_crash(request, error)
    return Response({"detail": "The server failed."}, status_code=500)


HANDLERS: dict[Any, Any] = {Refusal: refused, HTTPException: http_error, Exception: crashed}
