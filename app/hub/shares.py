"""Public pages of transcripts, and how their owners make and end them."""

import hashlib
import hmac
import time
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException
from litestar.params import PathParameter
from litestar.response import Redirect

from app import passwords
from app.access import Access, address_of, caller_of, signed_in
from app.faults import HUB_HANDLERS, Unprocessable
from app.hub.docs import documented, takes
from app.hub.documents import Said, Shared
from app.hub.forms import read_json
from app.hub.hub import Hub
from app.hub.jobs import AnyRequest, Number
from app.hub.wire import share_document, source
from app.media import recording
from app.speakers import attributed, labels
from app.transcripts import FORMATS, attachment, clock
from app.web.render import HEADERS, page
from storage.errors import Conflict, Invalid, NotFound, Refusal
from storage.records import Action, Job, Share
from storage.times import utc

PATH = "/shared/whisper/transcript"
LONGEST_BODY = 4 << 10
DOWNLOADS = ("txt", "srt", "vtt")
Secret = Annotated[str, PathParameter(min_length=20, max_length=64)]


class Wanted(msgspec.Struct):
    """How a transcript is to be shared."""

    expires_in_hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 3660)] | None = None
    password: str | None = None
    with_audio: bool = False
    with_downloads: bool = True


@post(
    "/{number:int}/share",
    status_code=200,
    summary="Share a transcript, or change how",
    **documented(404, operation=takes(Wanted)),
)
async def share(request: AnyRequest, hub: Hub, number: Number) -> Shared:
    """`{expires_in_hours, password, with_audio, with_downloads}`, all optional.

    The address stays the same.
    """
    job = await hub.find(number, caller_of(request).jobs)
    made = await put_share(hub, job, await read_json(request, Wanted))
    return {"ok": True, "share": share_document(made, hub.config)}


async def put_share(
    hub: Hub,
    job: Job,
    wanted: Wanted,
    *,
    password_of: Share | None = None,
    end_of: Share | None = None,
) -> Share:
    """What ``wanted`` does not name may be kept from an earlier share.

    Raises:
        Conflict: the job is not done.
        Unprocessable: the password cannot be one.
    """
    if not job.allows(Action.SHARE):
        raise Conflict("Only a completed transcript can be shared.")
    return await hub.system.shares.put(
        job,
        utc(time.time()),
        expires=end_of.expires if end_of else _end(wanted.expires_in_hours),
        password_hash=await _hashed(wanted.password)
        or (password_of.password_hash if password_of else None),
        with_audio=wanted.with_audio,
        with_downloads=wanted.with_downloads,
    )


@delete(
    "/{number:int}/share",
    status_code=200,
    summary="End a transcript's public page",
    **documented(404),
)
async def unshare(request: AnyRequest, hub: Hub, number: Number) -> Said:
    """At once, and for good: a later share has another address."""
    job = await hub.find(number, caller_of(request).jobs)
    if not await hub.system.shares.revoke(job):
        raise NotFound("there is no share")
    return {"ok": True, "message": "The public page is gone."}


def _end(hours: float | None) -> float | None:
    return None if hours is None else time.time() + hours * 3600


async def _hashed(password: str | None) -> str | None:
    if not password:
        return None
    try:
        return await passwords.hashed_aside(password)
    except Invalid as no:
        raise Unprocessable({"password": [no.message]}) from None


@get("/{token:str}", include_in_schema=False)
async def read(request: AnyRequest, hub: Hub, access: Access, token: Secret) -> Response[Any]:
    found, job = await _found(hub, token)
    if not _unlocked(request, access, found):
        return page("share_password.html", wrong=False, action=f"{PATH}/{token}")
    await hub.system.shares.seen(token, utc(time.time()))
    return await _read(hub, found, job)


@post("/{token:str}", include_in_schema=False, request_max_body_size=LONGEST_BODY)
async def unlock(request: AnyRequest, hub: Hub, access: Access, token: Secret) -> Response[Any]:
    """A right password is remembered in a cookie that fits this share alone."""
    found, _ = await _found(hub, token)
    given = str((await request.form()).get("password", ""))
    allowance = hub.share_tries.take((token, address_of(request)))
    if allowance.exceeded or not await passwords.verify(found.password_hash, given):
        status = 429 if allowance.exceeded else 403
        return page("share_password.html", status, wrong=True, action=f"{PATH}/{token}")
    cookie = Cookie(
        key=_cookie_name(found),
        value=access.seal(_sealed(found)),
        path=f"{PATH}/{token}",
        httponly=True,
        samesite="strict",
        secure=hub.config.base_url.startswith("https:"),
    )
    return Redirect(f"{PATH}/{token}", status_code=303, cookies=[cookie])


@get("/{token:str}/download/{form:str}", include_in_schema=False)
async def download(
    request: AnyRequest, hub: Hub, access: Access, token: Secret, form: str
) -> Response[Any]:
    found, job = await _found(hub, token)
    allowed = found.with_downloads and form in DOWNLOADS
    if not allowed or not _unlocked(request, access, found):
        raise NotFound("there is no such download")
    write, content_type = FORMATS[form]
    segments = await hub.system.jobs.transcript(job)
    body = write(attributed(segments, await hub.turns(job))).encode()
    name = attachment(f"transcript.{form}")
    return Response(body, media_type=content_type, headers=HEADERS | name)


@get("/{token:str}/audio", include_in_schema=False)
async def audio(request: AnyRequest, hub: Hub, access: Access, token: Secret) -> Response[Any]:
    found, job = await _found(hub, token)
    if not found.with_audio or not _unlocked(request, access, found):
        raise NotFound("there is no recording to hear")
    file = hub.system.spool.input(job.id)
    return recording(file, job.order.media_type, request.headers.get("range"))


def _unlocked(request: AnyRequest, access: Access, share: Share) -> bool:
    if share.password_hash is None:
        return True
    shown = request.cookies.get(_cookie_name(share), "")
    return hmac.compare_digest(shown.encode(), access.seal(_sealed(share)).encode())


async def _found(hub: Hub, token: str) -> tuple[Share, Job]:
    found = await hub.system.shares.find(token, time.time())
    job = await hub.system.jobs.get(found[1]) if found else None
    if found is None or job is None:
        raise NotFound("there is no such page")
    return found[0], job


async def _read(hub: Hub, share: Share, job: Job) -> Response[str]:
    has_audio = share.with_audio and hub.system.spool.input(job.id).exists()
    segments = await hub.system.jobs.transcript(job)
    named = labels(segments, await hub.turns(job))
    return page(
        "share.html",
        title=source(job) if job.order.label or job.order.filename else "Transcript",
        note=job.order.note,
        language=job.language,
        length=job.duration_secs and _short(job.duration_secs),
        created=job.created_at[:10],
        lines=[
            (_short(segment.start), label if label != before else None, segment.text.strip())
            for segment, label, before in zip(segments, named, [None, *named], strict=False)
            if segment.text.strip()
        ],
        here=f"{PATH}/{share.token}",
        downloads=DOWNLOADS if share.with_downloads else (),
        has_audio=has_audio,
    )


def _short(seconds: float) -> str:
    return clock(seconds)[:8].removeprefix("00:")


def _sealed(share: Share) -> bytes:
    """Another password, or another share, wants another cookie."""
    return f"{share.token}:{share.password_hash}".encode()


def _cookie_name(share: Share) -> str:
    return "share_" + hashlib.sha256(share.token.encode()).hexdigest()[:16]


def _no_page(_: Request[Any, Any, Any], __: Exception) -> Response[str]:
    return page("share_gone.html", 404)


routers = [
    Router(
        "/api/whisper/jobs",
        route_handlers=[share, unshare],
        guards=[signed_in],
        exception_handlers=HUB_HANDLERS,
        tags=["hub"],
    ),
    Router(
        PATH,
        route_handlers=[read, unlock, download, audio],
        exception_handlers={Refusal: _no_page, HTTPException: _no_page},
    ),
]
