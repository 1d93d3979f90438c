"""OpenAI's error answers: ``{"error": {"message", "type", "param", "code"}}``."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from app.http.errors import STATUS, detail, headers, log_crash
from app.http.refusals import Denied, TooMany, Unauthenticated, Unprocessable
from app.services.calls import TranscriptionFailed
from storage.errors import NoSpace, NotFound, OverQuota, Refusal

AnyRequest = Request[Any, Any, Any]
NO_RETRY = {"x-should-retry": "false"}
"""OpenAI's clients send a request again after 408, 409, 429 and 5xx unless they are told this."""


class UnknownModel(NotFound):
    """There is no such model on this server."""


def error_body(
    message: str, kind: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refused(_: AnyRequest, refusal: Refusal) -> Response[Any]:
    status, body = described(refusal)
    final = TranscriptionFailed | OverQuota | NoSpace
    more = (headers(refusal) or {}) | (NO_RETRY if isinstance(refusal, final) else {})
    return Response(body, status_code=status, headers=more)


def described(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """The status and the body that say it."""
    status = STATUS.get(type(refusal), 500)
    param = code = kind = None
    match refusal:
        case UnknownModel():
            status, param, code = 404, "model", "model_not_found"
        case TranscriptionFailed(is_file=True):
            status, param, code = 400, "file", "invalid_file"
        case TranscriptionFailed():
            code = refusal.code
        case Unprocessable(errors=errors):
            status, param = 400, next(iter(errors))
        case Unauthenticated():
            code = "invalid_api_key"
        case Denied():
            kind = "permission_error"
        case OverQuota():
            kind, code = "insufficient_quota", "insufficient_quota"
        case TooMany():
            kind, code = "rate_limit_error", "rate_limit_exceeded"
    return status, error_body(refusal.message, kind or _kind(status), param, code)


def _kind(status: int) -> str:
    return "invalid_request_error" if status < 500 else "server_error"


def http_error(request: AnyRequest, error: HTTPException) -> Response[Any]:
    match error:
        case NotFoundException():
            sentence = f"Unknown request URL: {request.method} {request.url.path}"
        case MethodNotAllowedException():
            sentence = f"{request.method} is not allowed for {request.url.path}"
        case _:
            sentence = detail(error)
    kind = _kind(error.status_code)
    code = "unknown_url" if isinstance(error, NotFoundException) else None
    return Response(
        error_body(sentence, kind, code=code), status_code=error.status_code, headers=error.headers
    )


def crashed(request: AnyRequest, error: Exception) -> Response[Any]:
    log_crash(request, error)
    return Response(error_body("The server failed.", "server_error"), status_code=500)


HANDLERS: dict[Any, Any] = {Refusal: refused, HTTPException: http_error, Exception: crashed}
