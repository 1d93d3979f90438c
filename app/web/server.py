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

from actors.models.catalogue import Catalogue
from app.auth.access import Access
from app.auth.connection import caller_of
from app.auth.credentials import normalised
from app.auth.passwords import hashed_aside
from app.auth.permissions import PERMISSIONS
from app.http.bodies import read_form
from app.http.parameters import Number
from app.http.refusals import Denied
from app.services.services import Services
from app.web.queue import shell
from app.web.render import app_page
from storage.database import DATABASE
from storage.errors import Conflict, NotFound, Refusal
from storage.records import Account, Permission
from storage.times import utc

AnyRequest = Request[Any, Any, Any]
HERE = "/whisper/server"


@get("/server", include_in_schema=False)
async def page(request: AnyRequest, services: Services, shown_settings: Any) -> Response[str]:
    caller_of(request).require(Permission.MANAGE)
    return await _page(request, services, shown_settings)


@post("/server/accounts", include_in_schema=False)
async def add(request: AnyRequest, services: Services, shown_settings: Any) -> Response[Any]:
    _require_admin(request)
    given = await read_form(request)
    try:
        email = normalised(str(given.get("email", "")))
        await services.system.accounts.add(
            email,
            await hashed_aside(str(given.get("password", ""))),
            admin="admin" in given,
            may=_permissions(given),
            now=utc(time.time()),
        )
    except Refusal as refusal:
        return await _page(
            request, services, shown_settings, 422, problem=f"{refusal.message}.".capitalize()
        )
    return Redirect(HERE, status_code=303)


@post("/server/accounts/{number:int}", include_in_schema=False)
async def change(
    request: AnyRequest, services: Services, access: Access, shown_settings: Any, number: Number
) -> Response[Any]:
    """Permissions, a new password where one is given, and whether the account is disabled."""
    _require_admin(request)
    given, accounts = await read_form(request), services.system.accounts
    everybody = await accounts.all()
    account = next((each for each in everybody if each.number == number), None)
    if account is None:
        raise NotFound("there is no such account")
    admin, disabled = "admin" in given, "disabled" in given
    try:
        _keep_an_administrator(everybody, account, admin=admin, disabled=disabled)
        if password := str(given.get("password", "")):
            await access.set_password(account, password)
    except Refusal as refusal:
        return await _page(
            request, services, shown_settings, 422, problem=f"{refusal.message}.".capitalize()
        )
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
        models=_whole(models),
        free=shutil.disk_usage(data_dir).free,
    )


@dataclass(frozen=True)
class ModelHere:
    """A model that is on this box."""

    name: str
    form: str
    size: int
    is_default: bool


def models_here(catalogue: Catalogue) -> list[ModelHere]:
    """Looks at every file: not for the event loop."""
    default = catalogue.resolve(None)
    here = {each.name: each for each in catalogue.installed()}
    if catalogue.find(default).path.exists():
        here[default] = catalogue.find(default)
    return sorted(
        (
            ModelHere(each.name, each.form, _whole(each.path), each.name == default)
            for each in here.values()
        ),
        key=lambda each: (not each.is_default, each.name),
    )


def _whole(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    return sum(_size(each) for each in path.rglob("*")) if path.is_dir() else _size(path)


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
        raise Conflict("at least one administrator must remain")


def _permissions(given: Any) -> list[Permission]:
    return [permission for name, permission in PERMISSIONS.items() if name in given]


def _require_admin(request: AnyRequest) -> None:
    if not caller_of(request).account.admin:
        raise Denied("Only an administrator may change accounts.")


async def _page(
    request: AnyRequest,
    services: Services,
    shown_settings: Any,
    status: int = 200,
    *,
    problem: str | None = None,
) -> Response[str]:
    system = services.system
    configuration, accounts = system.configuration, await system.accounts.all()
    usage = {each.number: await system.usage.last_day(each.number) for each in accounts}
    return app_page(
        "server.html",
        status,
        **await shell(request, services),
        problem=problem,
        accounts=accounts,
        usage=usage,
        permissions=PERMISSIONS,
        used=await anyio.to_thread.run_sync(
            used, configuration.data_dir, system.spool.folder, configuration.catalogue.folder
        ),
        models=await anyio.to_thread.run_sync(models_here, configuration.catalogue),
        counts=await system.jobs.counts(caller_of(request).jobs),
        failing_receivers=await system.deliveries.failing(),
        settings=shown_settings,
        quota_minutes=services.submissions.settings.quota_audio_minutes,
    )


handlers = [page, add, change]
