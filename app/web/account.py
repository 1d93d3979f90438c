"""/whisper/account: one's password, tokens and sessions."""

import time
from typing import Any

from litestar import Request, Response, get, post
from litestar.response import Redirect

from app.access import API_SCOPE, WEB_SESSION_S, Access, Caller, caller_of, create_token
from app.hub.hub import Hub
from app.hub.jobs import Number
from app.web.queue import digits, shell
from app.web.render import app_page
from app.web.signing import SIGN_IN, cookie
from storage.errors import Refusal
from storage.records import Permission, Token
from storage.times import utc

AnyRequest = Request[Any, Any, Any]
HERE = "/whisper/account"
DAY_S = 86_400
LONGEST_NAME = 80
CHANGED = "Your password is changed. Other browsers are signed out; tokens stay."
MOST_DAYS = 3660


@get("/account", include_in_schema=False)
async def page(request: AnyRequest, hub: Hub) -> Response[str]:
    changed = request.query_params.get("changed") == "password"
    return await _page(request, hub, done=CHANGED if changed else None)


@post("/account/password", include_in_schema=False)
async def password(request: AnyRequest, hub: Hub, access: Access) -> Response[Any]:
    given = await request.form()
    try:
        session = await access.change_password(
            caller_of(request),
            str(given.get("old", "")),
            str(given.get("new", "")),
            request.headers.get("user-agent", ""),
        )
    except Refusal as no:
        return await _page(request, hub, 422, problem=no.message)
    return Redirect(
        f"{HERE}?changed=password",
        status_code=303,
        cookies=[cookie(session, hub, WEB_SESSION_S)],
    )


@post("/account/tokens", include_in_schema=False)
async def make_token(request: AnyRequest, hub: Hub) -> Response[Any]:
    """The one page on which the new token can be read."""
    caller = caller_of(request)
    caller.require(Permission.API)
    given = await request.form()
    name = " ".join(str(given.get("name", "")).split())
    days = str(given.get("days", ""))
    if not 0 < len(name) <= LONGEST_NAME:
        problem = f"A token wants a name of up to {LONGEST_NAME} characters."
        return await _page(request, hub, 422, problem=problem)
    if days and not 0 < (digits(days) or 0) <= MOST_DAYS:
        return await _page(request, hub, 422, problem=f"Days are 1 to {MOST_DAYS}, or none.")
    expires = time.time() + int(days) * DAY_S if days else None
    accounts = hub.system.accounts
    if name in {token.name for token in await _tokens(hub, caller)}:
        problem = f"There is a token named {name}: revoke it, or choose another name."
        return await _page(request, hub, 422, problem=problem)
    secret, _ = await create_token(accounts, caller.account, name, [API_SCOPE], expires)
    return await _page(request, hub, secret=secret)


@post("/account/tokens/{number:int}/revoke", include_in_schema=False)
async def revoke_token(request: AnyRequest, hub: Hub, number: Number) -> Redirect:
    account = caller_of(request).account
    await hub.system.accounts.revoke_token(number, account.number, utc(time.time()))
    return Redirect(HERE, status_code=303)


@post("/account/sign-out-everywhere", include_in_schema=False)
async def sign_out_everywhere(request: AnyRequest, hub: Hub) -> Redirect:
    await hub.system.accounts.end_sessions(caller_of(request).account.number)
    return Redirect(SIGN_IN, status_code=303, cookies=[cookie("", hub, 0)])


async def _page(
    request: AnyRequest,
    hub: Hub,
    status: int = 200,
    *,
    problem: str | None = None,
    done: str | None = None,
    secret: str | None = None,
) -> Response[str]:
    caller, accounts, now = caller_of(request), hub.system.accounts, time.time()
    heard, tokens_spent = await hub.system.usage.of_a_day(caller.account.number)
    return app_page(
        "account.html",
        status,
        **await shell(request, hub),
        problem=problem,
        done=done,
        secret=secret,
        base_url=hub.config.base_url,
        tokens=await _tokens(hub, caller),
        may_use_api=caller.account.may(Permission.API),
        sessions=await accounts.sessions(caller.account.number, now),
        this_session=caller.session,
        now=now,
        minutes=heard / 60,
        quota_minutes=hub.quota_minutes,
        quota_jobs=hub.quota_jobs,
        tokens_spent=tokens_spent,
    )


async def _tokens(hub: Hub, caller: Caller) -> list[Token]:
    """Those in force, and those that have run out."""
    tokens = await hub.system.accounts.tokens(caller.account.number)
    return [token for token in tokens if not token.revoked_at]


handlers = [page, password, make_token, revoke_token, sign_out_everywhere]
