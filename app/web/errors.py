"""What a person is told who cannot have what they asked for."""

from typing import Any
from urllib.parse import quote, urlsplit

from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException, ValidationException
from litestar.response import Redirect

from app.http.errors import STATUS, log_crash
from app.http.refusals import Unauthenticated
from app.web.render import app_page
from app.web.sign_in import SIGN_IN
from storage.errors import NotFound, Refusal

AnyRequest = Request[Any, Any, Any]
NOT_FOUND = "This page does not exist, or your account may not see it."
TITLES = {
    403: "You are not allowed to do this",
    404: "Page not found",
    409: "This is not possible now",
    429: "Too many requests",
    503: "The server is busy",
}


def refused(request: AnyRequest, refusal: Refusal) -> Response[Any]:
    if isinstance(refusal, Unauthenticated):
        return _sign_in_first(request)
    sentence = NOT_FOUND if isinstance(refusal, NotFound) else refusal.message
    return _said(request, STATUS[type(refusal)], sentence)


def failed_request(request: AnyRequest, error: HTTPException) -> Response[Any]:
    if isinstance(error, NotFoundException | ValidationException):
        return _said(request, 404, NOT_FOUND)
    return _said(request, error.status_code, error.detail)


def crashed(request: AnyRequest, error: Exception) -> Response[Any]:
    log_crash(request, error)
    return _said(request, 500, "An error happened in the server. The server's log has the details.")


def _sign_in_first(request: AnyRequest) -> Response[Any]:
    if request.headers.get("hx-request") and request.method == "GET":
        back = quote(_path_of(request.headers.get("hx-current-url", "")), safe="")
        return Response("", status_code=401, headers={"HX-Redirect": f"{SIGN_IN}?next={back}"})
    if request.headers.get("hx-request"):  # what is in a form stays there
        return _said(
            request, 401, "You are signed out. Sign in in another tab, then send this again."
        )
    if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
        return _said(request, 401, "You are signed out. Sign in again.")
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Redirect(f"{SIGN_IN}?next={quote(path, safe='')}", status_code=303)


def _path_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _said(request: AnyRequest, status: int, sentence: str) -> Response[str]:
    """As text for a script that shows it, or as a page."""
    if request.headers.get("hx-request"):
        return Response(sentence, status_code=status, media_type="text/plain")
    title = TITLES.get(status, "Something went wrong")
    out = status == 403  # somebody else may sign in then
    return app_page("trouble.html", status, title=title, sentence=sentence, sign_out=out)


HANDLERS: dict[Any, Any] = {
    Refusal: refused,
    HTTPException: failed_request,
    Exception: crashed,
}
