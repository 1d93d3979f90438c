"""/asr and /detect-language: a recording comes in, its transcript or its language goes out."""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.openapi.spec import Example, Parameter

from app.asr.errors import HANDLERS
from app.asr.orders import DETECTION, FILE, TRANSCRIPTION
from app.auth.connection import owner_of
from app.auth.guards import native
from app.http.event_stream import KEEPALIVE_S
from app.http.hang_up import disconnected
from app.http.refusals import Unprocessable
from app.services.calls import (
    CLIENT_CLOSED_REQUEST,
    Answer,
    Call,
    check_done,
    unless_hung_up,
)
from app.services.follow import Ended
from app.services.openapi import CALL_ERRORS, errors, upload_operation
from app.services.order_form import Field
from app.services.samples import wav_header
from app.services.services import Services
from app.transcripts.attribution import attributed, labels
from app.transcripts.formats import FORMATS, attachment
from app.transcripts.whisper_json import language_name, segment_of, text_of, words_of
from storage.records import Channel, Job, Order

AnyRequest = Request[Any, Any, Any]
ENGINE = {"Asr-Engine": "whisperbox"}

_encode = msgspec.json.Encoder().encode


class ErrorDocument(msgspec.Struct):
    detail: str


class Language(msgspec.Struct):
    """All are null or 0 where nobody speaks."""

    detected_language: str | None
    """Its English name, in small letters."""
    language_code: str | None
    confidence: float
    """The share of the speech that is in this language, 0 to 1."""


_SRT = "1\n00:00:00,320 --> 00:00:07,600\nAnd so my fellow Americans, ask not …\n"
_GERMAN = {"detected_language": "german", "language_code": "de", "confidence": 1.0}
_WRONG = Example(value={"detail": "language 'xx' is not a code that Whisper knows"})


def _documented(
    fields: Mapping[str, Field], answer: type, meaning: str, example: object
) -> dict[str, Any]:
    """Keywords of a route whose fields are parameters of its address."""

    class Operation(upload_operation(FILE, {})):  # type: ignore[misc]
        def __post_init__(self) -> None:
            super().__post_init__()
            self.parameters = [
                Parameter(name=name, param_in="query", schema=field.schema)
                for name, field in fields.items()
            ]

    meanings = CALL_ERRORS | {
        400: "The body is no multipart form",
        422: "A parameter is wrong, or the file is missing or cannot be decoded",
    }
    return {
        "status_code": 200,
        "operation_class": Operation,
        "request_max_body_size": None,
        "responses": errors(ErrorDocument, meanings, {422: [_WRONG]})
        | errors(answer, {200: meaning}, {200: [Example(value=example)]}),
    }


@post(
    "/asr",
    summary="Transcribe a recording",
    **_documented(TRANSCRIPTION, str, "The transcript, in the form of `output`", _SRT),
)
async def transcribe(request: AnyRequest, services: Services) -> Response[Any]:
    """Answers when the transcript is there, however long that takes. A client that sends the same
    again finds its job."""
    job, wanted = await _queue(request, services, TRANSCRIPTION)
    with_speakers = job.order.speakers
    async with services.calls.attend(job) as call:
        answer, hung_up = await unless_hung_up(
            partial(disconnected, request), call.answers(KEEPALIVE_S, with_speakers=with_speakers)
        )
    if hung_up or answer is None:
        return Response(None, status_code=CLIENT_CLOSED_REQUEST)
    output = wanted.get("output", "txt")
    body, media_type = _body(output, answer)
    name = f"{PurePosixPath(wanted['filename'] or 'audio').name}.{output}"
    return Response(body, media_type=media_type, headers=ENGINE | attachment(name))


@post(
    "/detect-language",
    summary="The language of a recording",
    **_documented(DETECTION, Language, "The language of most of the speech", _GERMAN),
)
async def detect_language(request: AnyRequest, services: Services) -> Response[Any]:
    """Answers as soon as some of the recording has been heard."""
    job, _ = await _queue(request, services, DETECTION)
    async with services.calls.attend(job) as call:
        found, hung_up = await unless_hung_up(
            partial(disconnected, request), _language(services, call)
        )
    if hung_up or found is None:
        return Response(None, status_code=CLIENT_CLOSED_REQUEST)
    return Response(found, headers=ENGINE)


async def _queue(
    request: AnyRequest, services: Services, fields: Mapping[str, Field]
) -> tuple[Job, dict[str, Any]]:
    """The job, and what the answer is to be.

    Raises:
        Unprocessable: with the parameter that is wrong.
        Refusal: as `app.services.submit.SubmitService.receive` and `queue`.
    """
    submissions = services.submissions
    with services.calls.upload():
        submission = await submissions.begin(fields, unchecked=True)
        form = submission.form
        for name, value in request.query_params.multi_items():
            form.take(name, value)
        form.check_together()
        if form.errors:
            raise Unprocessable(form.errors)
        if form.values.get("speakers"):
            services.calls.check_diarization("diarize", "diarize")
        values = dict(form.values)  # fields of the body are no parameters of this API
        wanted: dict[str, Any] = {
            name: values.pop(name) for name in ("output", "encode") if name in values
        }
        upload = await submissions.receive(
            request,
            submission,
            FILE,
            check_file=_nothing,
            check_field=_nothing,
            head=b"" if wanted.get("encode", True) else wav_header(),
        )
        if not upload.size:
            state = "empty" if upload.found else "missing"
            raise Unprocessable({FILE: [f"{FILE} is {state}"]})
        values.setdefault("filename", upload.filename)
        wanted["filename"] = values["filename"]  # an earlier request may have had another
        order = Order(
            **values, media_type=upload.media_type, channel=Channel.ASR, owner=owner_of(request)
        )
        return await services.calls.queue(submission, order, upload.size), wanted


def _nothing() -> None:
    """All that can be wrong is in the address, and has been checked."""


async def _language(services: Services, call: Call) -> AsyncIterator[Language | None]:
    async for event in call.events(KEEPALIVE_S):
        has_ended = isinstance(event, Ended)
        job = event.job if isinstance(event, Ended) else await services.system.jobs.get(call.job.id)
        if job and has_ended:
            check_done(job)
        if job and (job.language or has_ended):
            secs = job.secs_by_language
            share = secs.get(job.language or "", 0.0) / (sum(secs.values()) or 1.0)
            name = language_name(job.language) or None
            yield Language(name, job.language, round(share, 3))
            return
        yield None


def _body(output: str, answer: Answer) -> tuple[bytes, str]:
    segments, order = answer.segments, answer.job.order
    if output == "json":
        named = labels(segments, answer.turns) if order.speakers else [None] * len(segments)
        found = [
            segment_of(segment)
            | ({"speaker": label} if label else {})
            | ({"words": words_of([segment])} if segment.words else {})
            for segment, label in zip(segments, named, strict=True)
        ]
        whole = {
            "text": text_of(segments, order.written_in),
            "segments": found,
            "language": answer.job.language,
        }
        return _encode(whole), "application/json"
    write, media_type = FORMATS[output]
    if order.speakers:
        segments = tuple(attributed(segments, answer.turns))
    return write(segments).encode(), media_type


router = Router(
    "/",
    route_handlers=[transcribe, detect_language],
    guards=[native],
    exception_handlers=HANDLERS,
    tags=["ASR web service"],
)
