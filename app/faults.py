"""From what went wrong to a status and an envelope."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)

from actors.kernel.mailbox import Crashed, NoAnswer
from app.limits import Allowance
from storage.errors import (
    Busy,
    Conflict,
    Invalid,
    NoSpace,
    NotFound,
    NotReady,
    OverQuota,
    Refusal,
)

log = logging.getLogger(__name__)


class TooSlow(Refusal):
    """The client stopped sending in the middle of its request."""

    code = "too_slow"


class TooLarge(Refusal):
    """The file is larger than the operator wants."""

    code = "too_large"


class Unauthenticated(Refusal):
    """Whoever asks has not shown who they are."""

    code = "unauthenticated"


class Denied(Refusal):
    """We know who asks, and they may not."""

    code = "denied"


class TooMany(Refusal):
    """Asked too often."""

    code = "too_many"

    def __init__(self, message: str, allowance: Allowance) -> None:
        super().__init__(message)
        self.allowance = allowance


class Unprocessable(Refusal):
    """Fields that cannot be right, each with its sentences."""

    code = "unprocessable"

    def __init__(
        self, errors: Mapping[str, Sequence[str]], typed: Mapping[str, str] | None = None
    ) -> None:
        """``typed``: what the fields had, for a page that shows them again."""
        super().__init__(next(iter(errors.values()))[0])
        self.errors = {field: list(sentences) for field, sentences in errors.items()}
        self.typed = dict(typed or {})


STATUS: dict[type[Refusal], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Denied: 403,
    NotFound: 404,
    TooSlow: 408,
    Conflict: 409,
    TooLarge: 413,
    Unprocessable: 422,
    OverQuota: 429,
    TooMany: 429,
    Busy: 503,
    NoAnswer: 503,
    NotReady: 503,
    NoSpace: 507,
}
BUSY_RETRY_S = 5
QUOTA_RETRY_S = 60

AnyRequest = Request[Any, Any, Any]


def native_refusal(_: AnyRequest, no: Refusal) -> Response[Any]:
    """``{"error": sentence}``, and what the guide adds to a 503."""
    if isinstance(no, NotReady):
        body = {"error": no.code, "state": no.state, "retry_after_secs": no.retry_after}
        return Response(body, status_code=503, headers={"Retry-After": str(no.retry_after)})
    return Response({"error": no.message}, status_code=STATUS[type(no)], headers=_headers(no))


def native_http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    match error:
        case NotFoundException():
            sentence = f"no such route: {request.method} {request.url.path}"
        case MethodNotAllowedException():
            sentence = f"method {request.method} is not allowed for {request.url.path}"
        case _:
            sentence = _detail(error)
    return Response({"error": sentence}, status_code=error.status_code, headers=error.headers)


def _detail(error: HTTPException) -> str:
    """What is wrong with which parameter, where that is what it is about."""
    found: Any = error.extra if isinstance(error, ValidationException) else None
    said = [f"{each['key']}: {each['message']}" for each in found or () if "key" in each]
    return "; ".join(said) or error.detail


def native_crash(request: AnyRequest, error: Exception) -> Response[Any]:
    """The guide's word for a crash of whatever should have answered."""
    if not isinstance(error, Crashed):
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Response({"error": "worker channel closed"}, status_code=500)


def hub_refusal(_: AnyRequest, no: Refusal) -> Response[Any]:
    """``{"ok": false, "message": sentence}``, with the fields of a 422."""
    body: dict[str, Any] = {"ok": False, "message": no.message}
    status = STATUS[type(no)]
    match no:
        case Unprocessable(errors=errors):
            body["errors"] = errors
        case Invalid() | Conflict():
            status, body["errors"] = 422, {"job": [no.message]}
        case NotFound():
            body["message"] = "Not found."  # the same for what is not there and what is not seen
    return Response(body, status_code=status, headers=_headers(no))


def hub_http(_: AnyRequest, error: HTTPException) -> Response[Any]:
    message = "Not found." if isinstance(error, NotFoundException) else _detail(error)
    status = 422 if error.status_code == 400 else error.status_code
    body: dict[str, Any] = {"ok": False, "message": message}
    if status == 422:
        body["errors"] = {"request": [message]}
    return Response(body, status_code=status, headers=error.headers)


def hub_crash(request: AnyRequest, error: Exception) -> Response[Any]:
    native_crash(request, error)
    return Response({"ok": False, "message": "The server failed."}, status_code=500)


def _headers(no: Refusal) -> dict[str, str] | None:
    match no:
        case TooMany(allowance=allowance):
            return {"Retry-After": str(allowance.retry_after)}
        case OverQuota():
            return {"Retry-After": str(QUOTA_RETRY_S)}
        case Busy():
            return {"Retry-After": str(BUSY_RETRY_S)}
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case _:
            return None


def unrouted(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Where no route was found, the path tells whose envelope it is."""
    answer = hub_http if request.url.path.startswith("/api/") else native_http
    return answer(request, error)


HANDLERS: dict[Any, Any] = {
    Refusal: native_refusal,
    HTTPException: unrouted,
    Exception: native_crash,
}
HUB_HANDLERS: dict[Any, Any] = {
    Refusal: hub_refusal,
    HTTPException: hub_http,
    Exception: hub_crash,
}
