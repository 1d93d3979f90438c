"""/whisper/jobs/NUMBER/export and /download: a transcript as a file, and how it will look."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import anyio.to_thread
import msgspec
from litestar import Response, get

from app.http.parameters import Number
from app.services.jobs import title
from app.services.services import Services
from app.transcripts.attribution import attributed, labels
from app.transcripts.cues import Limits, cues
from app.transcripts.document import job_document
from app.transcripts.export import Layout, markdown, plain, word
from app.transcripts.formats import FORMATS, attachment
from app.transcripts.paragraphs import Paragraph, paragraphs
from app.web.job_request import AnyRequest, job_done
from app.web.presenters import FORMS
from app.web.queue import shell
from app.web.render import HEADERS, app_page, fragment
from storage.errors import Invalid, NotFound
from storage.records import Job, LeftOut, Segment, Turn

SUBTITLES = ("srt", "vtt")
_TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "md": "text/markdown",
    "json": "application/json",
}
PREVIEW_CHARACTERS = 3000
PREVIEW_PARAGRAPHS = 25
_SUFFIX = re.compile(r"\.\w{1,5}$")


@get("/jobs/{number:int}/download/{form:str}", include_in_schema=False)
async def download(
    request: AnyRequest, services: Services, number: Number, form: str
) -> Response[Any]:
    """One of `FORMS`, by default as the APIs give it; ``raw`` for the engine's own text."""
    return await _file(request, services, number, form)


@get("/jobs/{number:int}/export/file", include_in_schema=False)
async def export_file(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    return await _file(request, services, number, request.query_params.get("form", "txt"))


async def _file(request: AnyRequest, services: Services, number: int, form: str) -> Response[Any]:
    job = await job_done(request, services, number)
    query = {name: str(value) for name, value in request.query_params.items()}
    body = await written(services, job, form, query)
    content_type = _TYPES.get(form) or FORMATS[form][1]
    name = file_name(job, form, as_heard=query.get("raw") == "true")
    return Response(body, media_type=content_type, headers=HEADERS | attachment(name))


def file_name(job: Job, form: str, *, as_heard: bool = False) -> str:
    return f"{_SUFFIX.sub('', title(job))}{' (as heard)' if as_heard else ''}.{form}"


async def written(services: Services, job: Job, form: str, query: Mapping[str, str]) -> bytes:
    """The transcript as a file; ``query``: what the form of the export has.

    Raises:
        NotFound: there is no such form.
        Invalid: a limit is none that a subtitle could have.
    """
    raw = query.get("raw") == "true"
    segments = await services.system.jobs.transcript(job, raw=raw)
    turns = () if raw else await services.jobs.turns(job)
    left_out = await services.system.jobs.left_out(job) if form == "json" else []
    # In a thread: a day's transcript as a document of Word takes a second.
    return await anyio.to_thread.run_sync(_written, job, segments, turns, form, query, left_out)


@get("/jobs/{number:int}/export", include_in_schema=False)
async def export(request: AnyRequest, services: Services, number: Number) -> Response[str]:
    """A form with all that can be chosen: for a dialog of the page, or a page of its own."""
    job = await job_done(request, services, number)
    values: dict[str, Any] = {"job": job, "forms": FORMS, "limits": Limits(), "title": title(job)}
    values |= await _preview(request, services, job)
    if request.headers.get("hx-request"):
        return fragment("_export.html", **values)
    return app_page("export.html", **await shell(request, services), **values)


@get("/jobs/{number:int}/export/preview", include_in_schema=False)
async def preview(request: AnyRequest, services: Services, number: Number) -> Response[str]:
    """How the file begins that `export_file` gives for the same form."""
    job = await job_done(request, services, number)
    return fragment("_preview.html", **await _preview(request, services, job))


async def _preview(request: AnyRequest, services: Services, job: Job) -> dict[str, Any]:
    query = {name: str(value) for name, value in request.query_params.items()}
    if "layout" not in query:
        query |= {
            "layout": "paragraphs",
            "speakers": "true",
        }  # as the form is before it is filled in
    form = query.get("form", "txt")
    if form == "docx":
        segments = await services.system.jobs.transcript(job)
        turns = await services.jobs.turns(job)
        made, layout = _paragraphs(segments, turns, query)
        shown = made[:PREVIEW_PARAGRAPHS]
        return {"text": None, "paragraphs": shown, "layout": layout, "heading": title(job)} | {
            "more": len(made) > len(shown)
        }
    body = await written(services, job, form, query)
    text = body.decode()
    return {"text": text[:PREVIEW_CHARACTERS], "more": len(text) > PREVIEW_CHARACTERS}


def _written(
    job: Job,
    segments: Sequence[Segment],
    turns: Sequence[Turn],
    form: str,
    query: Mapping[str, str],
    left_out: Sequence[LeftOut],
) -> bytes:
    if form == "json":
        return _json(job, segments, turns, left_out)
    if form in ("docx", "md") or (form == "txt" and "layout" in query):
        made, layout = _paragraphs(segments, turns, query)
        if form == "docx":
            return word(title(job), made, layout)
        return (
            plain(made, layout) if form == "txt" else markdown(title(job), made, layout)
        ).encode()
    if form not in FORMATS:
        raise NotFound("there is no such download")
    parts = attributed(segments, turns)
    if form in SUBTITLES and "line_chars" in query:
        parts = cues(parts, _limits(query))
    return FORMATS[form][0](parts).encode()


def _paragraphs(
    segments: Sequence[Segment], turns: Sequence[Turn], query: Mapping[str, str]
) -> tuple[list[Paragraph], Layout]:
    chosen = "layout" in query  # in a form that was sent, a box without a tick says nothing
    layout = Layout(
        query.get("layout", "paragraphs") != "lines",
        query.get("times") == "true",
        query.get("speakers") == "true" or not chosen,
    )
    named = labels(segments, turns)
    return paragraphs(segments, named, joined=layout.paragraphs), layout


def _json(
    job: Job, segments: Sequence[Segment], turns: Sequence[Turn], left_out: Sequence[LeftOut]
) -> bytes:
    """The native dialect's document, each segment with its speaker where one is known."""
    document: dict[str, Any] = msgspec.to_builtins(job_document(job, segments, left_out))
    for segment, label in zip(document["segments"], labels(segments, turns), strict=True):
        if label is not None:
            segment["speaker"] = label
    return msgspec.json.encode(document)


def _limits(given: Mapping[str, str]) -> Limits:
    """
    Raises:
        Invalid: they are no numbers, or none that a subtitle could have.
    """
    usual = Limits()
    try:
        limits = Limits(
            int(given.get("line_chars") or usual.line_chars),
            int(given.get("lines") or usual.lines),
            float(given.get("chars_per_second") or usual.chars_per_second),
        )
    except ValueError:
        raise Invalid("The limits must be numbers.") from None
    sound = 5 <= limits.line_chars <= 200 and 1 <= limits.lines <= 10
    if not (sound and 1 <= limits.chars_per_second <= 100):
        raise Invalid("A line has 5 to 200 characters, a subtitle 1 to 10 lines.")
    return limits


handlers = [download, export, export_file, preview]
