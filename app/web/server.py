"""/whisper/server: accounts, storage and settings, for those who manage the box."""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from litestar import Request, Response, get, post
from litestar.response import Redirect

from app.access import PERMISSIONS, Access, caller_of, normalised
from app.faults import Denied
from app.hub.hub import Hub
from app.hub.jobs import Number
from app.passwords import hashed_aside
from app.web.queue import shell
from app.web.render import app_page
from storage.database import DATABASE
from storage.errors import Conflict, NotFound, Refusal
from storage.records import Account, Permission
from storage.times import utc

AnyRequest = Request[Any, Any, Any]
HERE = "/whisper/server"


@get("/server", include_in_schema=False)
async def page(request: AnyRequest, hub: Hub, settings_told: Any) -> Response[str]:
    caller_of(request).require(Permission.MANAGE)
    return await _page(request, hub, settings_told)


@post("/server/accounts", include_in_schema=False)
async def add(request: AnyRequest, hub: Hub, settings_told: Any) -> Response[Any]:
    _require_admin(request)
    given = await request.form()
    try:
        email = normalised(str(given.get("email", "")))
        await hub.system.accounts.add(
            email,
            await hashed_aside(str(given.get("password", ""))),
            admin="admin" in given,
            may=_permissions(given),
            now=utc(time.time()),
        )
    except Refusal as no:
        return await _page(request, hub, settings_told, 422, problem=f"{no.message}.".capitalize())
    return Redirect(HERE, status_code=303)


@post("/server/accounts/{number:int}", include_in_schema=False)
async def change(
    request: AnyRequest, hub: Hub, access: Access, settings_told: Any, number: Number
) -> Response[Any]:
    """Permissions, a new password where one is given, and whether the account is disabled."""
    _require_admin(request)
    given, accounts = await request.form(), hub.system.accounts
    everybody = await accounts.all()
    account = next((each for each in everybody if each.number == number), None)
    if account is None:
        raise NotFound("there is no such account")
    admin, disabled = "admin" in given, "disabled" in given
    try:
        _keep_an_administrator(everybody, account, admin=admin, disabled=disabled)
        if password := str(given.get("password", "")):
            await access.set_password(account, password)
    except Refusal as no:
        return await _page(request, hub, settings_told, 422, problem=f"{no.message}.".capitalize())
    await accounts.set_permissions(number, _permissions(given), admin=admin)
    if disabled != (account.disabled_at is not None):
        await accounts.set_disabled(number, utc(time.time()) if disabled else None)
    return Redirect(HERE, status_code=303)


@dataclass(frozen=True)
class Used:
    """Bytes."""

    recordings: int
    database: int
    models: int
    free: int


def used(data_dir: Path, spool: Path, models: Path) -> Used:
    """Looks at every file: not for the event loop."""
    database = sum(_size(each) for each in data_dir.glob(f"{DATABASE}*"))
    return Used(
        recordings=sum(_size(each) for each in spool.glob("*")),
        database=database,
        models=sum(_size(each) for each in models.glob("*")),
        free=shutil.disk_usage(data_dir).free,
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:
        return 0


def _keep_an_administrator(
    everybody: Iterable[Account], account: Account, *, admin: bool, disabled: bool
) -> None:
    others = any(
        each.admin and not each.disabled_at for each in everybody if each.number != account.number
    )
    if not others and (disabled or not admin):
        raise Conflict("somebody must stay an administrator")


def _permissions(given: Any) -> list[Permission]:
    return [permission for name, permission in PERMISSIONS.items() if name in given]


def _require_admin(request: AnyRequest) -> None:
    if not caller_of(request).account.admin:
        raise Denied("Only an administrator may change accounts.")


async def _page(
    request: AnyRequest,
    hub: Hub,
    settings_told: Any,
    status: int = 200,
    *,
    problem: str | None = None,
) -> Response[str]:
    plan, accounts = hub.system.plan, await hub.system.accounts.all()
    usage = {each.number: await hub.system.usage.of_a_day(each.number) for each in accounts}
    return app_page(
        "server.html",
        status,
        **await shell(request, hub),
        problem=problem,
        accounts=accounts,
        usage=usage,
        permissions=PERMISSIONS,
        used=await anyio.to_thread.run_sync(
            used, plan.data_dir, hub.system.spool.folder, plan.catalogue.folder
        ),
        counts=await hub.system.jobs.counts(caller_of(request).jobs),
        settings=settings_told,
        quota_minutes=hub.quota_minutes,
    )


handlers = [page, add, change]
