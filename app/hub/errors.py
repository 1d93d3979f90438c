"""The hub dialect's error answers: ``{"ok": false, "message": sentence}``."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException

from app.http.errors import STATUS, detail, headers, log_crash
from app.http.refusals import Unprocessable
from storage.errors import Conflict, Invalid, NotFound, Refusal

AnyRequest = Request[Any, Any, Any]


def refused(_: AnyRequest, refusal: Refusal) -> Response[Any]:
    """``{"ok": false, "message": sentence}``, with the fields of a 422."""
    body: dict[str, Any] = {"ok": False, "message": refusal.message}
    status = STATUS[type(refusal)]
    match refusal:
        case Unprocessable(errors=errors):
            body["errors"] = errors
        case Invalid() | Conflict():
            status, body["errors"] = 422, {"job": [refusal.message]}
        case NotFound():
            body["message"] = "Not found."  # the same for what is not there and what is not seen
    return Response(body, status_code=status, headers=headers(refusal))


def http_error(_: AnyRequest, error: HTTPException) -> Response[Any]:
    message = "Not found." if isinstance(error, NotFoundException) else detail(error)
    status = 422 if error.status_code == 400 else error.status_code
    body: dict[str, Any] = {"ok": False, "message": message}
    if status == 422:
        body["errors"] = {"request": [message]}
    return Response(body, status_code=status, headers=error.headers)


def crashed(request: AnyRequest, error: Exception) -> Response[Any]:
    log_crash(request, error)
    return Response({"ok": False, "message": "The server failed."}, status_code=500)


HANDLERS: dict[Any, Any] = {Refusal: refused, HTTPException: http_error, Exception: crashed}
