"""Signing in and out with a browser."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from app.auth.access import COOKIE, WEB_SESSION_S, Access
from app.auth.connection import address_of, check_origin
from app.http.bodies import read_form
from app.http.refusals import TooMany, Unauthenticated
from app.services.services import Services
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
async def form(request: AnyRequest, services: Services, access: Access) -> Response[Any]:
    going = own_path(request.query_params.get("next", ""), services.info.base_path)
    caller = await access.by_cookie(request)
    if caller and caller.account.may(Permission.USE):
        return Redirect(going, status_code=303)
    empty = not await services.system.accounts.all()
    return app_page("sign_in.html", email="", problem=None, going=going, empty=empty)


@post(SIGN_IN, include_in_schema=False, request_max_body_size=LONGEST_BODY)
async def sign_in(request: AnyRequest, services: Services, access: Access) -> Response[Any]:
    check_origin(request, access.home)
    given = await read_form(request)
    email, password = str(given.get("email", "")), str(given.get("password", ""))
    going = own_path(str(given.get("next", "")), services.info.base_path)
    before = await access.by_cookie(request)
    try:
        session, _ = await access.sign_in(
            email,
            password,
            address_of(request),
            lasts=WEB_SESSION_S,
            about=request.headers.get("user-agent", ""),
        )
    except (Invalid, Unauthenticated, TooMany) as refusal:
        sentence = (
            "This is not an e-mail address." if isinstance(refusal, Invalid) else refusal.message
        )
        status = 429 if isinstance(refusal, TooMany) else 422
        return app_page(
            "sign_in.html", status, email=email, problem=sentence, going=going, empty=False
        )
    if before:
        await access.sign_out(before)
    return Redirect(going, status_code=303, cookies=[cookie(session, services, WEB_SESSION_S)])


@post("/sign-out", include_in_schema=False, request_max_body_size=LONGEST_BODY)
async def sign_out(request: AnyRequest, services: Services, access: Access) -> Response[Any]:
    check_origin(request, access.home)
    if caller := await access.by_cookie(request):
        await access.sign_out(caller)
    return Redirect(SIGN_IN, status_code=303, cookies=[cookie("", services, 0)])


def cookie(value: str, services: Services, max_age: int) -> Cookie:
    return Cookie(
        key=COOKIE,
        value=value,
        max_age=max_age,
        path=services.info.base_path or "/",
        httponly=True,
        samesite="lax",
        secure=services.info.is_https,
    )


def own_path(wanted: str, base_path: str = "") -> str:
    """``wanted`` if it is a path of ours, and never another site's address; without
    ``base_path``, which redirects get."""
    if base_path and (wanted == base_path or wanted.startswith(f"{base_path}/")):
        wanted = wanted[len(base_path) :]
    safe = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if safe and "\\" not in wanted else HOME


handlers = [home, form, sign_in, sign_out]
