"""/whisper/ended and /whisper/export.zip: questions about several jobs at once."""

import re
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import anyio.to_thread
from litestar import Response, get
from litestar.response import Stream

from app.auth.connection import caller_of
from app.http.event_stream import HEADERS as UNBUFFERED
from app.services.jobs import title
from app.services.services import Services
from app.transcripts.formats import attachment
from app.web.export import file_name, written
from app.web.job_request import AnyRequest
from app.web.presenters import FORMS, status
from app.web.render import HEADERS
from storage.errors import Conflict, NotFound
from storage.records import Job, Status

MOST_JOBS = 200
IN_MEMORY = 4 << 20
"""Bytes of an archive beyond which it is a file."""
CHUNK = 64 << 10


@get("/ended", include_in_schema=False)
async def ended(request: AnyRequest, services: Services) -> Response[Any]:
    """Which of these jobs have ended, for a page that nobody looks at: it has no stream."""
    jobs = await _asked_for(request, services)
    return Response(
        [
            {"id": job.id, "title": title(job), "status": status(job)}
            for job in jobs
            if job.status not in (Status.QUEUED, Status.RUNNING)
        ],
        headers=HEADERS,
    )


@get("/export.zip", include_in_schema=False)
async def archive(request: AnyRequest, services: Services) -> Response[Any]:
    """The transcripts of these jobs, as far as they have one, each a file of the form ``form``."""
    form = request.query_params.get("form", "txt")
    if form not in FORMS:
        raise NotFound("there is no such download")
    jobs = [job for job in await _asked_for(request, services) if job.status is Status.DONE]
    if not jobs:
        raise Conflict("None of these recordings has a transcript yet.")
    file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the stream closes it
    names: set[str] = set()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for job in jobs:
            body = await written(services, job, form, {})
            name = _unused(file_name(job, form), names)
            await anyio.to_thread.run_sync(made.writestr, name, body)
    file.seek(0)
    return Stream(
        _chunks(file),
        media_type="application/zip",
        headers=HEADERS | UNBUFFERED | attachment("transcripts.zip"),
    )


async def _asked_for(request: AnyRequest, services: Services) -> list[Job]:
    """The jobs whose ids ``jobs`` has, as far as the caller may see them, newest first."""
    ids = request.query_params.get("jobs", "").split(",")[:MOST_JOBS]
    found = await services.system.jobs.by_ids(ids, caller_of(request).jobs)
    return sorted(found.values(), key=lambda job: -job.number)


_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f]")
"""Folders, and what cuts a name short."""


def _unused(name: str, names: set[str]) -> str:
    """The name, with a number where another file has it."""
    name = _NOT_IN_NAMES.sub("_", name)
    stem, _, ending = name.rpartition(".")
    n, unused = 1, name
    while unused.casefold() in names:
        n += 1
        unused = f"{stem} ({n}).{ending}"
    names.add(unused.casefold())
    return unused


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


handlers = [ended, archive]
