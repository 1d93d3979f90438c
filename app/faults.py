"""From what went wrong to a status and an envelope."""

import logging
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from actors.kernel.mailbox import Crashed, NoAnswer
from storage.errors import (
    Busy,
    Conflict,
    Invalid,
    NoSpace,
    NotFound,
    NotReady,
    Refusal,
)

log = logging.getLogger(__name__)


class TooSlow(Refusal):
    """The client stopped sending in the middle of its request."""

    code = "too_slow"


STATUS: dict[type[Refusal], int] = {
    Invalid: 400,
    NotFound: 404,
    TooSlow: 408,
    Conflict: 409,
    Busy: 503,
    NoAnswer: 503,
    NotReady: 503,
    NoSpace: 507,
}
BUSY_RETRY_S = 5

AnyRequest = Request[Any, Any, Any]


def native_refusal(_: AnyRequest, no: Refusal) -> Response[Any]:
    """``{"error": sentence}``, and what the guide adds to a 503."""
    if isinstance(no, NotReady):
        body = {"error": no.code, "state": no.state, "retry_after_secs": no.retry_after}
        return Response(body, status_code=503, headers={"Retry-After": str(no.retry_after)})
    headers = {"Retry-After": str(BUSY_RETRY_S)} if isinstance(no, Busy) else None
    return Response({"error": no.message}, status_code=STATUS[type(no)], headers=headers)


def native_http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    match error:
        case NotFoundException():
            sentence = f"no such route: {request.method} {request.url.path}"
        case MethodNotAllowedException():
            sentence = f"method {request.method} is not allowed for {request.url.path}"
        case _:
            sentence = error.detail
    return Response({"error": sentence}, status_code=error.status_code, headers=error.headers)


def native_crash(request: AnyRequest, error: Exception) -> Response[Any]:
    """The guide's word for a crash of whatever should have answered."""
    if not isinstance(error, Crashed):
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Response({"error": "worker channel closed"}, status_code=500)


HANDLERS: dict[Any, Any] = {
    Refusal: native_refusal,
    HTTPException: native_http,
    Exception: native_crash,
}
