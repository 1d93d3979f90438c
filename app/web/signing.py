"""Signing in and out with a browser."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from app.access import COOKIE, WEB_SESSION_S, Access, address_of, check_origin
from app.faults import TooMany, Unauthenticated
from app.hub.hub import Hub
from app.web.render import app_page
from storage.errors import Invalid
from storage.records import Permission

AnyRequest = Request[Any, Any, Any]
HOME = "/whisper"
SIGN_IN = "/sign-in"
LONGEST_BODY = 16 << 10


@get("/", include_in_schema=False)
async def home() -> Redirect:
    return Redirect(HOME, status_code=303)


@get(SIGN_IN, include_in_schema=False)
async def form(request: AnyRequest, hub: Hub, access: Access) -> Response[Any]:
    going = own_path(request.query_params.get("next", ""))
    caller = await access.by_cookie(request)
    if caller and caller.account.may(Permission.USE):
        return Redirect(going, status_code=303)
    empty = not await hub.system.accounts.all()
    return app_page("sign_in.html", email="", problem=None, going=going, empty=empty)


@post(SIGN_IN, include_in_schema=False, request_max_body_size=LONGEST_BODY)
async def sign_in(request: AnyRequest, hub: Hub, access: Access) -> Response[Any]:
    check_origin(request)
    given = await request.form()
    email, password = str(given.get("email", "")), str(given.get("password", ""))
    going = own_path(str(given.get("next", "")))
    before = await access.by_cookie(request)
    try:
        session, _ = await access.sign_in(
            email,
            password,
            address_of(request),
            lasts=WEB_SESSION_S,
            about=request.headers.get("user-agent", ""),
        )
    except (Invalid, Unauthenticated, TooMany) as no:
        sentence = "This is no e-mail address." if isinstance(no, Invalid) else no.message
        status = 429 if isinstance(no, TooMany) else 422
        return app_page(
            "sign_in.html", status, email=email, problem=sentence, going=going, empty=False
        )
    if before:
        await access.sign_out(before)
    return Redirect(going, status_code=303, cookies=[cookie(session, hub, WEB_SESSION_S)])


@post("/sign-out", include_in_schema=False, request_max_body_size=LONGEST_BODY)
async def sign_out(request: AnyRequest, hub: Hub, access: Access) -> Response[Any]:
    check_origin(request)
    if caller := await access.by_cookie(request):
        await access.sign_out(caller)
    return Redirect(SIGN_IN, status_code=303, cookies=[cookie("", hub, 0)])


def cookie(value: str, hub: Hub, max_age: int) -> Cookie:
    return Cookie(
        key=COOKIE,
        value=value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="lax",
        secure=hub.config.base_url.startswith("https:"),
    )


def own_path(wanted: str) -> str:
    """``wanted`` if it is a path of ours, and never another site's address."""
    safe = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if safe and "\\" not in wanted else HOME


handlers = [home, form, sign_in, sign_out]
