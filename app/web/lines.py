"""/whisper/jobs/NUMBER/lines: the lines of a transcript, and their corrections."""

import time
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import PathParameter
from litestar.response import Redirect

from app.http.parameters import Number
from app.services.jobs import title
from app.services.services import Services
from app.transcripts.editing import aligned
from app.web.job_request import AnyRequest, account_number, form_fields, job_done, job_seen, to_job
from app.web.presenters import Line, lines
from app.web.queue import number_in, shell
from app.web.render import app_page, fragment
from storage.errors import Invalid, NotFound
from storage.records import Job, Segment, Status
from storage.times import utc

PAGE_LINES = 100
"""Segments that a page has at once: an hour's transcript is more than a page should weigh."""
MOST_LINES = 500
"""Segments that come to an open page at once."""
LONGEST_LINE = 5000

Index = Annotated[int, PathParameter(ge=0, le=2**31)]


@get("/jobs/{number:int}/lines", include_in_schema=False)
async def more_lines(request: AnyRequest, services: Services, number: Number) -> Response[str]:
    """The lines from ``start`` on, or up to ``end``."""
    job = await job_seen(request, services, number)
    end = number_in(request, "end")
    if end is not None:
        found = await page_of_lines(services, job, max(0, end - PAGE_LINES), end)
        return fragment("_lines.html", job=job, **found | {"following": None})
    found = await page_of_lines(services, job, number_in(request, "start") or 0)
    return fragment("_lines.html", job=job, **found | {"earlier": None})


@get("/jobs/{number:int}/lines/{index:int}", include_in_schema=False)
async def line(
    request: AnyRequest, services: Services, number: Number, index: Index
) -> Response[str]:
    job = await job_seen(request, services, number)
    return fragment("_line.html", job=job, line=await _line(services, job, index))


@get("/jobs/{number:int}/lines/{index:int}/edit", include_in_schema=False)
async def edit(
    request: AnyRequest, services: Services, number: Number, index: Index
) -> Response[str]:
    return await _form_of(request, services, await job_done(request, services, number), index)


async def _form_of(
    request: AnyRequest, services: Services, job: Job, index: int, mine: str | None = None
) -> Response[str]:
    """``mine``: what was to be saved over another's text."""
    values: dict[str, Any] = {
        "job": job,
        "line": await _line(services, job, index),
        "mine": mine,
        "raw": (await _segment(services, job, index, raw=True)).text.strip(),
        "versions": await services.system.corrections.versions(job, index),
    }
    if request.headers.get("hx-request"):
        return fragment("_edit.html", **values)
    return app_page("edit.html", **await shell(request, services), title=title(job), **values)


@post("/jobs/{number:int}/lines/{index:int}", include_in_schema=False)
async def correct(
    request: AnyRequest, services: Services, number: Number, index: Index
) -> Response[Any]:
    """A new text for a line, or with ``raw`` the engine's again."""
    job = await job_done(request, services, number)
    given = await form_fields(request)
    if "text" not in given and "raw" not in given:
        raise Invalid("The form has no text.")
    text = " ".join(given.get("text", "").split())
    if len(text) > LONGEST_LINE:
        raise Invalid(f"A line has at most {LONGEST_LINE} characters.")
    before = await _segment(services, job, index)
    there = before.text.strip()
    if "raw" in given:
        await _put(request, services, job, before, None)
    elif text != there:
        if given.get("was", there) != there:  # somebody else has been quicker
            return await _form_of(request, services, job, index, text)
        await _put(request, services, job, before, text)
    if request.headers.get("hx-request"):
        return fragment(
            "_corrected.html",
            job=job,
            line=await _line(services, job, index),
            corrected=await services.system.corrections.count(job),
            swapped=True,
        )
    return Redirect(f"/whisper/jobs/{number}?line={index}#line-{index}", status_code=303)


@post("/jobs/{number:int}/restore", include_in_schema=False)
async def restore(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    """The whole transcript as the engine gave it; the corrections stay among the versions."""
    job = await job_done(request, services, number)
    await services.system.corrections.restore(job, account_number(request), utc(time.time()))
    return to_job(number)


async def _segment(services: Services, job: Job, index: int, *, raw: bool = False) -> Segment:
    found = await services.system.jobs.transcript(job, index, most=1, raw=raw)
    if not found:
        raise NotFound("there is no such line")
    return found[0]


async def _line(services: Services, job: Job, index: int) -> Line:
    found = await shown_lines(services, job, index, 1)
    if not found:
        raise NotFound("there is no such line")
    return found[0]


async def shown_lines(
    services: Services, job: Job, start: int = 0, most: int = MOST_LINES
) -> list[Line]:
    """From index ``start`` on; a cancelled job's are never shown."""
    if job.status is Status.CANCELLED:
        return []
    people = (await services.system.speakers.of_jobs([job])).get(job.number)
    before = min(start, 1)  # whether a turn begins is seen from the line before
    segments = await services.system.jobs.transcript(job, start - before, most=most + before)
    return lines(segments, people, written_in=job.order.written_in)[before:]


async def page_of_lines(
    services: Services, job: Job, start: int, end: int | None = None
) -> dict[str, Any]:
    """A page of lines, and where those before and after it begin."""
    found = await shown_lines(services, job, start, (end or start + PAGE_LINES) - start)
    end = start + len(found)
    return {
        "lines": found,
        "earlier": start or None,
        "following": end if found and end < job.segments else None,
    }


async def _put(
    request: AnyRequest, services: Services, job: Job, before: Segment, text: str | None
) -> None:
    words = () if text is None else aligned(before, text)
    now = utc(time.time())
    await services.system.corrections.put(
        job, before.index, text, words, account_number(request), now
    )


handlers = [more_lines, line, edit, correct, restore]
