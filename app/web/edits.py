"""/whisper/jobs/NUMBER/edits: what people change in a transcript, as JSON.

An edit is answered with what has changed on the page since the edit that it knew last (``since``),
its own changes and those of others. See `Edit` for what can be asked for.
"""

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Annotated, Any

import anyio.to_thread
import msgspec
from litestar import Response, get, post
from msgspec import Meta

from actors.jobs.messages import JobChanged
from app.http.bodies import UNREADABLE
from app.http.parameters import Number
from app.services.services import Services
from app.transcripts import editing
from app.web.job_request import AnyRequest, account_number, job_done
from app.web.lines import CHANGED_MEANWHILE, as_lines, segment_of, text_of_line
from app.web.queue import number_in
from app.web.render import html
from storage.errors import Conflict, Invalid, NotFound
from storage.records import Change, Job, Segment
from storage.times import utc

MOST_CHANGED = 200
"""Lines that are sent one by one; a page with more of them asks for all of it."""
MOST_PREVIEWED = 100
"""Places of a replacement that are shown before it is made."""
LONGEST_NAME = 80

LineNumber = Annotated[int, Meta(ge=0, le=2**31)]
Text = Annotated[str, Meta(max_length=20_000)]
Phrase = Annotated[str, Meta(max_length=1000)]
Name = Annotated[str, Meta(max_length=LONGEST_NAME)]
Seconds = Annotated[float, Meta(ge=0, le=1e6)]


class Retype(msgspec.Struct, tag_field="kind", tag="text"):
    line: LineNumber
    was: Text
    """What it was before somebody typed; if it is not that any more, the edit is refused."""
    text: Text


class Split(msgspec.Struct, tag_field="kind", tag="split"):
    line: LineNumber
    was: Text
    text: Text
    at: Annotated[int, Meta(ge=0)]
    """How many characters of the text the first of the two lines has."""


class Join(msgspec.Struct, tag_field="kind", tag="join"):
    """With the line before it."""

    line: LineNumber


class Remove(msgspec.Struct, tag_field="kind", tag="remove"):
    line: LineNumber


class Move(msgspec.Struct, tag_field="kind", tag="times"):
    line: LineNumber
    start: Seconds
    end: Seconds


class Say(msgspec.Struct, tag_field="kind", tag="speaker"):
    line: LineNumber
    speaker: Name
    """A name; empty: whoever is heard then."""
    following: bool = False
    """Whether it holds for the lines after it, too, as long as they have the same speaker."""


class Replace(msgspec.Struct, tag_field="kind", tag="replace"):
    find: Phrase
    by: Phrase
    match_case: bool = False
    whole_words: bool = False


class PutBack(msgspec.Struct, tag_field="kind", tag="put_back"):
    left_out: LineNumber


class Undo(msgspec.Struct, tag_field="kind", tag="undo"):
    pass


class Redo(msgspec.Struct, tag_field="kind", tag="redo"):
    pass


Edit = Retype | Split | Join | Remove | Move | Say | Replace | PutBack | Undo | Redo
_decoder = msgspec.json.Decoder(Edit)


@get("/jobs/{number:int}/edits", include_in_schema=False)
async def since(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    job = await job_done(request, services, number)
    return Response(await news(services, job, number_in(request, "since") or 0))


@post("/jobs/{number:int}/edits", status_code=200, include_in_schema=False)
async def edit(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    job = await job_done(request, services, number)
    try:
        wanted = _decoder.decode(await request.body())
    except UNREADABLE:
        raise Invalid("This is no edit that the server knows.") from None
    edits, account, now = services.system.edits, account_number(request), utc(time.time())
    if isinstance(wanted, Undo):
        await edits.undo(job, account, now)
    elif isinstance(wanted, Redo):
        await edits.redo(job, account, now)
    else:
        changes = await _changes(services, job, wanted)
        if changes and not await edits.make(job, changes, account, now):
            raise Conflict(CHANGED_MEANWHILE)
    services.system.publisher.publish(JobChanged(job.id))
    return Response(await news(services, job, number_in(request, "since") or 0))


@get("/jobs/{number:int}/edits/preview", include_in_schema=False)
async def preview(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    """What `Replace` would find: how often, and in each of the first lines what stands before the
    place, there, and after it."""
    job = await job_done(request, services, number)
    query = request.query_params
    flags = {name: query.get(name) == "true" for name in ("match_case", "whole_words")}
    find = query.get("find", "")
    if not find.strip():
        return Response({"count": 0, "places": []})
    wanted = editing.pattern(find[:1000], **flags)
    found = [
        (line, place)
        for line in await services.system.jobs.transcript(job)
        for place in wanted.finditer(line.text)
    ]
    places = [
        {
            "line": line.number,
            "start": line.start,
            "text": [line.text[: at.start()], at[0], line.text[at.end() :]],
        }
        for line, at in found[:MOST_PREVIEWED]
    ]
    return Response({"count": len(found), "places": places})


async def news(services: Services, job: Job, known: int) -> dict[str, Any]:
    """What a page has to change that knows the edits up to that one.

    ``lines``: those that are new or other, each with the number of the line that it stands after
    (None: it is the first); ``gone``: numbers of lines that are no more; ``all``: too much has
    changed, so that the page is to ask for all lines.
    """
    edits = services.system.edits
    state = await edits.state(job)
    told: dict[str, Any] = {
        "last": state.last,
        "undo": state.can_undo,
        "redo": state.can_redo,
        "corrected": state.corrected,
        "lines": [],
        "gone": [],
        "all": False,
    }
    touched = await edits.touched_since(job, known)
    if not touched:
        return told
    if len(touched) > MOST_CHANGED:
        return told | {"all": True}
    shown = await as_lines(services, job, await services.system.jobs.transcript(job))
    there = {line.number for line in shown}
    places = [(line.start, line.number) for line in shown]
    wanted: set[int] = set()
    for number, start in touched:
        at = bisect_left(places, (start, number))
        # Whether a line begins a speaker's turn depends on the one before it.
        wanted |= {at, at + 1}
    told["lines"] = [
        {
            "number": shown[n].number,
            "after": shown[n - 1].number if n else None,
            "html": html("_line.html", job=job, line=shown[n]),
        }
        for n in sorted(wanted)
        if n < len(shown)
    ]
    told["gone"] = [number for number, _ in touched if number not in there]
    return told


async def _changes(services: Services, job: Job, wanted: Edit) -> Sequence[Change]:
    """
    Raises:
        Invalid, NotFound, Conflict: the edit cannot be made; the message says why.
    """
    match wanted:
        case Retype(line, was, text):
            if is_text(await segment_of(services, job, line), text):
                return []  # it is sent again, since the answer was lost
            before = await _unchanged(services, job, line, was)
            return [Change(before, editing.retyped(before, text_of_line(text)))]
        case Split(line, was, text, at):
            before = await _unchanged(services, job, line, was)
            left, right = text_of_line(text[:at]), text_of_line(text[at:])
            first, second = editing.split(editing.retyped(before, f"{left} {right}"), len(left))
            return [Change(before, first.after), second]
        case Join(line):
            following = await segment_of(services, job, line)
            if not following.index:
                raise Invalid("There is no line before this one.")
            [before] = await services.system.jobs.transcript(job, following.index - 1, most=1)
            text_of_line(f"{before.text} {following.text}")  # or the line could not be saved again
            return editing.joined(before, following)
        case Remove(line):
            return [Change(await segment_of(services, job, line), None)]
        case Move(line, start, end):
            before = await segment_of(services, job, line)
            limit = job.duration_secs or end
            return [Change(before, editing.moved(before, start, min(end, limit)))]
        case Say(line, speaker, following_too):
            return await spoken_by(services, job, line, " ".join(speaker.split()), following_too)
        case Replace(find, by, match_case, whole_words):
            if not find.strip():
                raise Invalid("There is nothing to look for.")
            pattern = editing.pattern(find, match_case=match_case, whole_words=whole_words)
            lines = await services.system.jobs.transcript(job)
            return await anyio.to_thread.run_sync(editing.replaced, lines, pattern, by)
        case PutBack(number):
            for each in await services.system.jobs.left_out(job):
                if each.number == number:
                    return [editing.put_back(each, job.language)]
            raise NotFound("this is in the transcript already")
        case _:
            raise AssertionError(wanted)


async def _unchanged(services: Services, job: Job, line: int, was: str) -> Segment:
    """
    Raises:
        NotFound: there is no such line.
        Conflict: it has another text.
    """
    there = await segment_of(services, job, line)
    if not is_text(there, was):
        raise Conflict(CHANGED_MEANWHILE)
    return there


def is_text(line: Segment, text: str) -> bool:
    """Whether the line has that text, however it is spaced."""
    return line.text.split() == text.split()


async def spoken_by(
    services: Services, job: Job, line: int, speaker: str, following: bool
) -> list[Change]:
    first = await segment_of(services, job, line)
    segments = await services.system.jobs.transcript(job, first.index)
    shown = await as_lines(services, job, segments)
    same = [shown[0].speaker == each.speaker for each in shown]
    count = (same.index(False) if False in same else len(same)) if following else 1
    people = (await services.system.speakers.of_jobs([job])).get(job.number)
    known = {name: label for label, name in people.names} if people else {}
    speaker = known.get(speaker, speaker)  # so that the line follows when that one is renamed
    return [
        Change(each, msgspec.structs.replace(each, speaker=speaker or None))
        for each in segments[:count]
    ]


handlers = [since, edit, preview]
