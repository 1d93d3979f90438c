"""/whisper/jobs/NUMBER/lines: the lines of a transcript, and a form to correct one."""

import time
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import PathParameter
from litestar.response import Redirect

from actors.jobs.messages import JobChanged
from app.http.parameters import Number
from app.services.jobs import title
from app.services.services import Services
from app.transcripts.editing import retyped
from app.web.job_request import AnyRequest, account_number, form_fields, job_done, job_seen, to_job
from app.web.presenters import Line, lines
from app.web.queue import number_in, shell
from app.web.render import app_page, fragment
from storage.errors import Conflict, Invalid, NotFound
from storage.records import Change, Job, Segment, Status
from storage.times import utc

PAGE_LINES = 100
"""Segments that a page has when it is opened: an hour's transcript is more than it should weigh."""
MOST_LINES = 500
"""Segments that come to an open page at once."""
LONGEST_LINE = 5000
CHANGED_MEANWHILE = "Somebody else has changed this line meanwhile."

LineNumber = Annotated[int, PathParameter(ge=0, le=2**31)]


@get("/jobs/{number:int}/lines", include_in_schema=False)
async def more_lines(request: AnyRequest, services: Services, number: Number) -> Response[str]:
    """The lines from the one at ``start`` on, or up to ``end``, counted from 0."""
    job = await job_seen(request, services, number)
    end = number_in(request, "end")
    if end is not None:
        found = await page_of_lines(services, job, max(0, end - MOST_LINES), end)
        return fragment("_lines.html", job=job, **found | {"following": None})
    start = number_in(request, "start") or 0
    found = await page_of_lines(services, job, start, start + MOST_LINES)
    return fragment("_lines.html", job=job, **found | {"earlier": None})


@get("/jobs/{number:int}/lines/{line_number:int}", include_in_schema=False)
async def line(
    request: AnyRequest, services: Services, number: Number, line_number: LineNumber
) -> Response[str]:
    job = await job_seen(request, services, number)
    return fragment("_line.html", job=job, line=await _line(services, job, line_number))


@get("/jobs/{number:int}/lines/{line_number:int}/edit", include_in_schema=False)
async def edit(
    request: AnyRequest, services: Services, number: Number, line_number: LineNumber
) -> Response[str]:
    return await _form_of(request, services, await job_done(request, services, number), line_number)


async def _form_of(
    request: AnyRequest, services: Services, job: Job, line_number: int, mine: str | None = None
) -> Response[str]:
    """``mine``: what was to be saved over another's text."""
    original = line_number < job.segments and await services.system.jobs.transcript(
        job, line_number, most=1, raw=True
    )
    values: dict[str, Any] = {
        "job": job,
        "line": await _line(services, job, line_number),
        "mine": mine,
        "raw": original[0].text.strip() if original else None,
        "versions": await services.system.edits.versions(job, line_number),
    }
    if request.headers.get("hx-request"):
        return fragment("_edit.html", **values)
    return app_page("edit.html", **await shell(request, services), title=title(job), **values)


@post("/jobs/{number:int}/lines/{line_number:int}", include_in_schema=False)
async def correct(
    request: AnyRequest, services: Services, number: Number, line_number: LineNumber
) -> Response[Any]:
    """A new text for a line, or with ``raw`` the engine's again."""
    job = await job_done(request, services, number)
    given = await form_fields(request)
    if "text" not in given and "raw" not in given:
        raise Invalid("The form has no text.")
    text = text_of_line(given.get("text", ""))
    edits, now, account = services.system.edits, utc(time.time()), account_number(request)
    before = await segment_of(services, job, line_number)
    there = before.text.strip()
    if "raw" in given:
        await edits.restore_line(job, line_number, account, now)
    elif text != there:
        if given.get("was", there) != there:  # somebody else has been quicker
            return await _form_of(request, services, job, line_number, text)
        if not await edits.make(job, [Change(before, retyped(before, text))], account, now):
            raise Conflict(CHANGED_MEANWHILE)
    services.system.publisher.publish(JobChanged(job.id))
    if request.headers.get("hx-request"):
        return fragment(
            "_corrected.html",
            job=job,
            line=await _line(services, job, line_number),
            corrected=(await edits.state(job)).corrected,
            swapped=True,
        )
    return Redirect(
        f"/whisper/jobs/{number}?line={line_number}#line-{line_number}", status_code=303
    )


@post("/jobs/{number:int}/restore", include_in_schema=False)
async def restore(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    """The whole transcript as the engine gave it; what people edited stays among the versions."""
    job = await job_done(request, services, number)
    await services.system.edits.restore(job, account_number(request), utc(time.time()))
    services.system.publisher.publish(JobChanged(job.id))
    return to_job(number)


def text_of_line(text: str) -> str:
    """
    Raises:
        Invalid: it is too long for a line.
    """
    text = " ".join(text.split())
    if len(text) > LONGEST_LINE:
        raise Invalid(f"A line has at most {LONGEST_LINE} characters.")
    return text


async def segment_of(services: Services, job: Job, line_number: int) -> Segment:
    """
    Raises:
        NotFound: the transcript has no such line.
    """
    found = await services.system.edits.lines(job, [line_number])
    if not found:
        raise NotFound("there is no such line")
    return found[0]


async def _line(services: Services, job: Job, line_number: int) -> Line:
    index = (await segment_of(services, job, line_number)).index
    return (await shown_lines(services, job, index, 1))[0]


async def shown_lines(
    services: Services, job: Job, start: int = 0, most: int = MOST_LINES
) -> list[Line]:
    """From the one at ``start`` on; a cancelled job's are never shown."""
    if job.status is Status.CANCELLED:
        return []
    before = min(start, 1)  # whether a turn begins is seen from the line before
    segments = await services.system.jobs.transcript(job, start - before, most=most + before)
    return (await as_lines(services, job, segments))[before:]


async def as_lines(services: Services, job: Job, segments: list[Segment]) -> list[Line]:
    people = (await services.system.speakers.of_jobs([job])).get(job.number)
    return lines(segments, people, written_in=job.order.written_in)


async def page_of_lines(
    services: Services, job: Job, start: int, end: int | None = None
) -> dict[str, Any]:
    """A page of lines, and where those before and after it begin."""
    most = (end or start + PAGE_LINES) - start
    found = await shown_lines(services, job, start, most + 1)
    return {
        "lines": found[:most],
        "earlier": start or None,
        "following": start + most if len(found) > most else None,
    }


handlers = [more_lines, line, edit, correct, restore]
