"""From what went wrong to a status and an envelope."""

import logging
from typing import Any

from litestar import Request
from litestar.exceptions import (
    HTTPException,
    ValidationException,
)

from actors.kernel.mailbox import Crashed, NoAnswer
from app.http.refusals import (
    Denied,
    TooLarge,
    TooMany,
    TooSlow,
    Unauthenticated,
    Unprocessable,
)
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
NO_SPACE_RETRY_S = 60

AnyRequest = Request[Any, Any, Any]


def detail(error: HTTPException) -> str:
    """What is wrong with which parameter, where that is what it is about."""
    found: Any = error.extra if isinstance(error, ValidationException) else None
    said = [f"{each['key']}: {each['message']}" for each in found or () if "key" in each]
    return "; ".join(said) or error.detail


def log_crash(request: AnyRequest, error: Exception) -> None:
    """Say in the log what went wrong, unless the actor that crashed has been logged already."""
    if not isinstance(error, Crashed):
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)


def headers(refusal: Refusal) -> dict[str, str] | None:
    match refusal:
        case TooMany(retry_after=secs):
            return {"Retry-After": str(secs)}
        case OverQuota():
            return {"Retry-After": str(QUOTA_RETRY_S)}
        case Busy():
            return {"Retry-After": str(BUSY_RETRY_S)}
        case NoSpace():
            return {"Retry-After": str(NO_SPACE_RETRY_S)}
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case _:
            return None
