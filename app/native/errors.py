"""The native dialect's error answers: ``{"error": sentence}``."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from app.http.errors import STATUS, detail, headers, log_crash
from storage.errors import NotReady, Refusal

AnyRequest = Request[Any, Any, Any]


def refused(_: AnyRequest, refusal: Refusal) -> Response[Any]:
    """``{"error": sentence}``, and what the guide adds to a 503."""
    if isinstance(refusal, NotReady):
        body = {
            "error": refusal.code,
            "state": refusal.state,
            "retry_after_secs": refusal.retry_after,
        }
        return Response(body, status_code=503, headers={"Retry-After": str(refusal.retry_after)})
    return Response(
        {"error": refusal.message}, status_code=STATUS[type(refusal)], headers=headers(refusal)
    )


def http_error(request: AnyRequest, error: HTTPException) -> Response[Any]:
    match error:
        case NotFoundException():
            sentence = f"no such route: {request.method} {request.url.path}"
        case MethodNotAllowedException():
            sentence = f"method {request.method} is not allowed for {request.url.path}"
        case _:
            sentence = detail(error)
    return Response({"error": sentence}, status_code=error.status_code, headers=error.headers)


def crashed(request: AnyRequest, error: Exception) -> Response[Any]:
    """The guide's word for a crash of whatever should have answered."""
    log_crash(request, error)
    return Response({"error": "worker channel closed"}, status_code=500)


HANDLERS: dict[Any, Any] = {Refusal: refused, HTTPException: http_error, Exception: crashed}
