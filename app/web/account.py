"""/whisper/account: one's password, tokens and sessions."""

import time
from typing import Any

from litestar import Request, Response, get, post
from litestar.response import Redirect

from app.auth.access import WEB_SESSION_S, Access
from app.auth.connection import caller_of
from app.auth.credentials import create_token
from app.auth.permissions import API_SCOPE, SUBMIT_SCOPE, Caller
from app.http.bodies import read_form
from app.http.parameters import Number
from app.services.services import Services
from app.web.queue import digits, shell
from app.web.render import app_page
from app.web.sign_in import SIGN_IN, cookie
from storage.errors import Refusal
from storage.records import Permission, Token
from storage.times import utc

AnyRequest = Request[Any, Any, Any]
HERE = "/whisper/account"
DAY_S = 86_400
LONGEST_NAME = 80
CHANGED = "Your password has been changed. Other browsers have been signed out; tokens still work."
MOST_DAYS = 3660


@get("/account", include_in_schema=False)
async def page(request: AnyRequest, services: Services) -> Response[str]:
    changed = request.query_params.get("changed") == "password"
    return await _page(request, services, done=CHANGED if changed else None)


@post("/account/password", include_in_schema=False)
async def password(request: AnyRequest, services: Services, access: Access) -> Response[Any]:
    given = await read_form(request)
    try:
        session = await access.change_password(
            caller_of(request),
            str(given.get("old", "")),
            str(given.get("new", "")),
            request.headers.get("user-agent", ""),
        )
    except Refusal as refusal:
        return await _page(request, services, 422, problem=refusal.message)
    return Redirect(
        f"{HERE}?changed=password",
        status_code=303,
        cookies=[cookie(session, services, WEB_SESSION_S)],
    )


@post("/account/tokens", include_in_schema=False)
async def make_token(request: AnyRequest, services: Services) -> Response[Any]:
    """The one page on which the new token can be read."""
    caller = caller_of(request)
    caller.require(Permission.API)
    given = await read_form(request)
    name = " ".join(str(given.get("name", "")).split())
    days = str(given.get("days", ""))
    if not 0 < len(name) <= LONGEST_NAME:
        problem = f"A token needs a name of up to {LONGEST_NAME} characters."
        return await _page(request, services, 422, problem=problem)
    if days and not 0 < (digits(days) or 0) <= MOST_DAYS:
        return await _page(
            request,
            services,
            422,
            problem=f"The number of days must be 1 to {MOST_DAYS}, or empty.",
        )
    expires = time.time() + int(days) * DAY_S if days else None
    accounts = services.system.accounts
    if name in {token.name for token in await _tokens(services, caller)}:
        problem = f"You already have a token named {name}. Revoke it, or choose another name."
        return await _page(request, services, 422, problem=problem)
    scopes = [API_SCOPE, SUBMIT_SCOPE] if "submit" in given else [API_SCOPE]
    secret, _ = await create_token(accounts, caller.account, name, scopes, expires)
    return await _page(request, services, secret=secret)


@post("/account/tokens/{number:int}/revoke", include_in_schema=False)
async def revoke_token(request: AnyRequest, services: Services, number: Number) -> Redirect:
    account = caller_of(request).account
    await services.system.accounts.revoke_token(number, account.number, utc(time.time()))
    return Redirect(HERE, status_code=303)


@post("/account/sign-out-everywhere", include_in_schema=False)
async def sign_out_everywhere(request: AnyRequest, services: Services) -> Redirect:
    await services.system.accounts.end_sessions(caller_of(request).account.number)
    return Redirect(SIGN_IN, status_code=303, cookies=[cookie("", services, 0)])


async def _page(
    request: AnyRequest,
    services: Services,
    status: int = 200,
    *,
    problem: str | None = None,
    done: str | None = None,
    secret: str | None = None,
) -> Response[str]:
    caller, accounts, now = caller_of(request), services.system.accounts, time.time()
    heard, tokens_spent = await services.system.usage.last_day(caller.account.number)
    return app_page(
        "account.html",
        status,
        **await shell(request, services),
        problem=problem,
        done=done,
        secret=secret,
        base_url=services.info.base_url,
        tokens=await _tokens(services, caller),
        may_use_api=caller.account.may(Permission.API),
        sessions=await accounts.sessions(caller.account.number, now),
        this_session=caller.session,
        now=now,
        minutes=heard / 60,
        quota_minutes=services.submissions.settings.quota_audio_minutes,
        quota_jobs=services.submissions.settings.quota_jobs,
        tokens_spent=tokens_spent,
    )


async def _tokens(services: Services, caller: Caller) -> list[Token]:
    """Those in force, and those that have run out."""
    tokens = await services.system.accounts.tokens(caller.account.number)
    return [token for token in tokens if not token.revoked_at]


handlers = [page, password, make_token, revoke_token, sign_out_everywhere]
