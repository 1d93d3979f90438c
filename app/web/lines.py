"""/whisper/jobs/NUMBER/lines: the lines of a transcript."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import PathParameter

from app.http.parameters import Number
from app.services.services import Services
from app.transcripts.editing import LONGEST_LINE
from app.web.job_request import AnyRequest, job_seen
from app.web.presenters import Line, lines
from app.web.queue import number_in
from app.web.render import fragment
from storage.errors import Invalid, NotFound
from storage.records import Job, Segment, Status

PAGE_LINES = 100
"""Segments that a page has when it is opened: an hour's transcript is more than it should weigh."""
MOST_LINES = 500
"""Segments that come to an open page at once."""
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
    return fragment("_line.html", job=job, line=await line_of(services, job, line_number))


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


async def line_of(services: Services, job: Job, line_number: int) -> Line:
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


handlers = [more_lines, line]
