"""/whisper/jobs/NUMBER/lines/LINE/edit: all of one line in a form, with its versions.

The same form stands in a dialog of the job's page, and on a page of its own without scripts.
"""

import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from actors.jobs.messages import JobChanged
from app.http.parameters import Number
from app.services.jobs import title
from app.services.services import Services
from app.transcripts import editing
from app.web.edits import LONGEST_NAME, is_text, news, spoken_by
from app.web.job_request import AnyRequest, account_number, form_fields, job_done, to_job
from app.web.lines import CHANGED_MEANWHILE, LineNumber, line_of, segment_of, text_of_line
from app.web.queue import number_in, shell
from app.web.render import app_page, fragment
from storage.errors import Conflict, Invalid
from storage.records import Change, Job, Segment
from storage.times import utc

_CLOCK = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6}(?:[.,]\d{1,6})?)")


@get("/jobs/{number:int}/lines/{line_number:int}/edit", include_in_schema=False)
async def line_form(
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
    people = (await services.system.speakers.of_jobs([job])).get(job.number)
    values: dict[str, Any] = {
        "job": job,
        "line": await line_of(services, job, line_number),
        "speakers": [name for _, name in people.names] if people else [],
        "mine": mine,
        "raw": original[0].text.strip() if original else None,
        "versions": await services.system.edits.versions(job, line_number),
    }
    if request.headers.get("hx-request"):
        return fragment("_edit.html", **values)
    return app_page("edit.html", **await shell(request, services), title=title(job), **values)


@post("/jobs/{number:int}/lines/{line_number:int}", include_in_schema=False)
async def change(
    request: AnyRequest, services: Services, number: Number, line_number: LineNumber
) -> Response[Any]:
    """What the form has that is other than the line; ``raw``: the engine's line again;
    ``remove``: no line at all."""
    job = await job_done(request, services, number)
    given = await form_fields(request)
    if not given.keys() & {"text", "speaker", "start", "end", "raw", "remove"}:
        raise Invalid("The form has nothing of a line.")
    edits, now, account = services.system.edits, utc(time.time()), account_number(request)
    before = await segment_of(services, job, line_number)
    if "raw" in given:
        await edits.restore_line(job, line_number, account, now)
    elif "remove" in given:
        await edits.make(job, [Change(before, None)], account, now)
    else:
        text = text_of_line(given.get("text", before.text))
        if not (is_text(before, text) or is_text(before, given.get("was", before.text))):
            return await _form_of(request, services, job, line_number, text)
        changes = await _changes(services, job, before, given)
        if changes and not await edits.make(job, changes, account, now):
            raise Conflict(CHANGED_MEANWHILE)
    services.system.publisher.publish(JobChanged(job.id))
    if request.headers.get("hx-request"):
        return Response(await news(services, job, number_in(request, "since") or 0))
    anchor = "" if "remove" in given else f"?line={line_number}#line-{line_number}"
    return Redirect(f"/whisper/jobs/{number}{anchor}", status_code=303)


async def _changes(
    services: Services, job: Job, before: Segment, given: Mapping[str, str]
) -> list[Change]:
    """
    Raises:
        Invalid: a field is none that a line can have.
    """
    line = before
    text = text_of_line(given.get("text", before.text))
    if not is_text(before, text):
        line = editing.retyped(line, text)
    times = round(before.start, 2), round(before.end, 2)
    start, end = seconds(given.get("start"), times[0]), seconds(given.get("end"), times[1])
    if (start, end) != times:
        line = editing.moved(line, start, min(end, job.duration_secs or end))
    shown = await line_of(services, job, before.number)
    speaker = " ".join(given.get("speaker", shown.speaker or "").split())
    if len(speaker) > LONGEST_NAME:
        raise Invalid(f"A name has at most {LONGEST_NAME} characters.")
    if speaker == (shown.speaker or ""):
        return [] if line is before else [Change(before, line)]
    first, *others = await spoken_by(services, job, before.number, speaker, "following" in given)
    assert first.after is not None
    return [Change(before, msgspec.structs.replace(line, speaker=first.after.speaker)), *others]


def seconds(text: str | None, otherwise: float) -> float:
    """``1:02:03.5`` or ``62,5``: a moment as people write it; ``otherwise`` where there is none.

    Raises:
        Invalid: it is none.
    """
    if text is None or not text.strip():
        return otherwise
    parts = _CLOCK.fullmatch(text.strip())
    if parts is None:
        raise Invalid(f"“{text}” is no time. Write it as 1:02:03.5 or 62.5.")
    hours, minutes, secs = parts.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(secs.replace(",", "."))


@post("/jobs/{number:int}/restore", include_in_schema=False)
async def restore(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    """The whole transcript as the engine gave it; what people edited stays among the versions."""
    job = await job_done(request, services, number)
    await services.system.edits.restore(job, account_number(request), utc(time.time()))
    services.system.publisher.publish(JobChanged(job.id))
    return to_job(number)


handlers = [line_form, change, restore]
