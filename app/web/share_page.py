"""/shared/whisper/transcript/TOKEN: a transcript's public page."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException
from litestar.params import PathParameter
from litestar.response import Redirect

from app.auth.connection import address_of
from app.http.bodies import read_form
from app.http.byte_ranges import recording
from app.http.refusals import TooMany
from app.services.jobs import title
from app.services.services import Services
from app.services.share import PATH, cookie_name
from app.transcripts.attribution import attributed
from app.transcripts.export import short_clock
from app.transcripts.formats import FORMATS, attachment
from app.web.presenters import Line, lines
from app.web.render import HEADERS, page
from storage.errors import NotFound, Refusal
from storage.records import Job, Share

AnyRequest = Request[Any, Any, Any]
LONGEST_BODY = 4 << 10
TOO_OFTEN = "There were too many tries. Wait a few minutes, then try again."
DOWNLOADS = ("txt", "srt", "vtt")
Secret = Annotated[str, PathParameter(min_length=20, max_length=64)]


@get("/{token:str}", include_in_schema=False)
async def read(request: AnyRequest, services: Services, token: Secret) -> Response[Any]:
    share, job = await services.shares.find(token)
    if not _is_unlocked(request, services, share):
        return page("share_password.html", problem=None, action=f"{PATH}/{token}")
    await services.shares.note_visit(share)
    return await _page(services, share, job)


@post("/{token:str}", include_in_schema=False, request_max_body_size=LONGEST_BODY)
async def unlock(request: AnyRequest, services: Services, token: Secret) -> Response[Any]:
    """A right password is remembered in a cookie that fits this share alone."""
    share, _ = await services.shares.find(token)
    given = str((await read_form(request)).get("password", ""))
    status, problem = 403, "That is not the password."
    try:
        proof = await services.shares.unlock(share, given, address_of(request))
    except TooMany:
        proof, status, problem = None, 429, TOO_OFTEN
    if proof is None:
        return page("share_password.html", status, problem=problem, action=f"{PATH}/{token}")
    cookie = Cookie(
        key=cookie_name(share),
        value=proof,
        path=f"{services.info.base_path}{PATH}/{token}",
        httponly=True,
        samesite="strict",
        secure=services.info.is_https,
    )
    return Redirect(f"{PATH}/{token}", status_code=303, cookies=[cookie])


@get("/{token:str}/download/{form:str}", include_in_schema=False)
async def download(
    request: AnyRequest, services: Services, token: Secret, form: str
) -> Response[Any]:
    share, job = await services.shares.find(token)
    allowed = share.with_downloads and form in DOWNLOADS
    if not allowed or not _is_unlocked(request, services, share):
        raise NotFound("there is no such download")
    write, content_type = FORMATS[form]
    segments = await services.system.jobs.transcript(job)
    body = write(attributed(segments, await services.jobs.turns(job))).encode()
    name = attachment(f"transcript.{form}")
    return Response(body, media_type=content_type, headers=HEADERS | name)


@get("/{token:str}/audio", include_in_schema=False)
async def audio(request: AnyRequest, services: Services, token: Secret) -> Response[Any]:
    share, job = await services.shares.find(token)
    if not share.with_audio or not _is_unlocked(request, services, share):
        raise NotFound("there is no recording to hear")
    file = services.system.spool.input(job.id)
    return recording(file, job.order.media_type, request.headers.get("range"))


def _is_unlocked(request: AnyRequest, services: Services, share: Share) -> bool:
    return services.shares.is_unlocked(share, request.cookies.get(cookie_name(share), ""))


async def _page(services: Services, share: Share, job: Job) -> Response[str]:
    has_audio = share.with_audio and services.system.spool.input(job.id).exists()
    segments = await services.system.jobs.transcript(job)
    people = (await services.system.speakers.of_jobs([job])).get(job.number)
    shown = [line for line in lines(segments, people, written_in=job.order.written_in) if line.text]
    return page(
        "share.html",
        scripts=has_audio,
        title=title(job) if job.order.label or job.order.filename else "Transcript",
        note=job.order.note,
        language=job.order.written_in or job.language,
        length=job.duration_secs and short_clock(job.duration_secs),
        created=job.created_at[:10],
        paragraphs=_paragraphs(shown),
        here=f"{PATH}/{share.token}",
        downloads=DOWNLOADS if share.with_downloads else (),
        has_audio=has_audio,
    )


def _paragraphs(shown: Sequence[Line]) -> list[list[Line]]:
    found: list[list[Line]] = []
    for line in shown:
        if line.begins_paragraph or not found:
            found.append([])
        found[-1].append(line)
    return found


def _no_page(_: AnyRequest, __: Exception) -> Response[str]:
    return page("share_gone.html", 404)


router = Router(
    PATH,
    route_handlers=[read, unlock, download, audio],
    exception_handlers={Refusal: _no_page, HTTPException: _no_page},
)
