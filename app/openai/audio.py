"""/v1/audio: a recording comes in, and its transcript is the answer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

import anyio
import msgspec
from litestar import Request, Response, Router, post
from litestar.response import Stream

from app.auth.guards import native
from app.http.event_stream import HEADERS, KEEPALIVE, KEEPALIVE_S
from app.http.refusals import Unprocessable
from app.openai import documents
from app.openai.errors import HANDLERS, TranscriptionFailed, UnknownModel, error_body
from app.openai.openapi import answers
from app.openai.orders import FIELDS, FILE, Format, Wanted, means_default, split
from app.services.calls import Call
from app.services.follow import Ended, SegmentAdded
from app.services.openapi import upload_operation
from app.services.services import Services
from storage.errors import Refusal
from storage.records import Channel, Job, Order, Segment, SpeakersStatus, Status, Task, Turn

AnyRequest = Request[Any, Any, Any]
PATIENCE_S = 10.0
"""Seconds after which the answer is begun with white space, where its form allows that: proxies and
clients give up after 30 to 60 s of silence. Its status cannot be changed from then on."""
SPACE = b"\n"
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for its log; nobody receives it."""

_encode = msgspec.json.Encoder().encode
route = partial(
    post,
    status_code=200,
    operation_class=upload_operation(FILE, FIELDS),
    request_max_body_size=None,
    responses=answers(),
)


@route("/transcriptions", summary="Transcribe a recording")
async def transcribe(request: AnyRequest, services: Services) -> Response[Any]:
    """Answers when the transcript is there, however long that takes. While the answer is JSON and
    takes long, white space comes before it. A client that sends the same again finds its job."""
    return await _answer(request, services, Task.TRANSCRIBE)


@route("/translations", summary="Transcribe a recording into English")
async def translate(request: AnyRequest, services: Services) -> Response[Any]:
    """As `/v1/audio/transcriptions`, and the text is English whatever is spoken."""
    return await _answer(request, services, Task.TRANSLATE)


@dataclass(frozen=True)
class _Answer:
    job: Job
    segments: tuple[Segment, ...]
    turns: tuple[Turn, ...] = ()


async def _answer(request: AnyRequest, services: Services, task: Task) -> Response[Any]:
    with services.calls.upload():
        job, wanted = await _queue(request, services, task)
    if wanted.stream:
        events = _events(services, job, wanted)
        return Stream(events, media_type="text/event-stream", headers=HEADERS)
    async with services.calls.attend(job) as call:
        answer, hung_up = await _wait(request, call, wanted)
    if hung_up:
        return Response(None, status_code=CLIENT_CLOSED_REQUEST)
    if answer is None:
        return Stream(_late(services, job, wanted), media_type="application/json", headers=HEADERS)
    body, media_type = _body(wanted, answer)
    return Response(body, media_type=media_type)


async def _queue(request: AnyRequest, services: Services, task: Task) -> tuple[Job, Wanted]:
    """
    Raises:
        Unprocessable: with the field that is wrong.
        UnknownModel: the server has no such model.
        Refusal: as `app.services.submit.SubmitService.receive` and `queue`.
    """
    submissions, catalogue = services.submissions, services.system.configuration.catalogue
    caller = getattr(request.state, "caller", None)
    owner = caller.account.number if caller else None
    submission = await submissions.begin(FIELDS, owner=owner, repeats=False)
    form = submission.form

    def asks_for_default() -> bool:
        """
        Raises:
            UnknownModel: neither the default model nor another of this server is asked for.
        """
        name = form.values.get("model")
        if name is not None and not catalogue.may_be_requested(name):
            if not means_default(name):
                there = ", ".join(catalogue.offered())
                raise UnknownModel(
                    f"there is no model '{name[:80]}' on this server, which has {there}."
                )
            return True
        return False

    def check() -> None:
        if form.errors:
            raise Unprocessable(form.errors)
        asks_for_default()

    upload = await submissions.receive(
        request, submission, FILE, check_file=check, check_field=check
    )
    if not upload.size:
        sentence = "file is empty" if upload.found else "file is required"
        raise Unprocessable({FILE: [sentence]})
    try:
        wanted, values = split(form.values, task, asks_for_default())
        if wanted.format is Format.DIARIZED_JSON:
            _check_diarization(services)
        form.values = values
        form.check_together()
        if form.errors:
            raise Unprocessable(form.errors)
    except Refusal:
        submissions.discard(submission)
        raise
    order = Order(
        **form.values,
        filename=upload.filename,
        media_type=upload.media_type,
        channel=Channel.OPENAI,
        owner=owner,
    )
    return await services.calls.queue(submission, order, upload.size), wanted


def _check_diarization(services: Services) -> None:
    if not services.system.configuration.diarization.diarization:
        raise Unprocessable(
            {
                "response_format": [
                    "diarized_json is not possible: DIARIZATION is off on this server"
                ]
            }
        )


async def _wait(request: AnyRequest, call: Call, wanted: Wanted) -> tuple[_Answer | None, bool]:
    """The answer, if it comes before it is time to begin with white space; and whether the client
    has hung up meanwhile."""
    answer: _Answer | None = None
    refusal: Refusal | None = None
    hung_up = False

    async with anyio.create_task_group() as group:

        async def watch() -> None:
            nonlocal hung_up
            while (await request.receive())["type"] != "http.disconnect":
                pass
            hung_up = True
            group.cancel_scope.cancel()

        group.start_soon(watch)
        with anyio.move_on_after(PATIENCE_S if wanted.format.is_json else inf):
            try:
                async for each in _answers(call, wanted):
                    answer = each
            except Refusal as refused:
                refusal = refused
        group.cancel_scope.cancel()
    if refusal is not None:
        raise refusal
    return answer, hung_up


async def _answers(call: Call, wanted: Wanted) -> AsyncIterator[_Answer | None]:
    """The answer at last; before that None, at least every KEEPALIVE_S seconds.

    Raises:
        TranscriptionFailed: there will be none.
        Busy: the server is shutting down.
    """
    async for event in call.events(KEEPALIVE_S):
        if isinstance(event, Ended):
            _check(event.job)
            answer = _Answer(event.job, tuple(event.segments))
        else:
            yield None
    if wanted.format is Format.DIARIZED_JSON:
        async for speakers in call.speakers(KEEPALIVE_S):
            if speakers is None:
                yield None
            elif speakers.status is not SpeakersStatus.DONE:
                raise TranscriptionFailed(
                    f"the speakers could not be told apart: {speakers.error}", is_file=False
                )
            else:
                answer = _Answer(answer.job, answer.segments, speakers.turns)
    yield answer


def _check(job: Job) -> None:
    if job.status is Status.FAILED:
        raise TranscriptionFailed(job.error or "the job failed", is_file=job.chunks_total is None)
    if job.status is not Status.DONE:
        raise TranscriptionFailed("the job was cancelled", is_file=False)


def _body(wanted: Wanted, answer: _Answer) -> tuple[bytes, str]:
    if wanted.format.is_json:
        found = documents.document(wanted, answer.job, answer.segments, answer.turns)
        return _encode(found), "application/json"
    text, media_type = documents.plain(wanted.format, answer.job, answer.segments)
    return text.encode(), media_type


async def _late(services: Services, job: Job, wanted: Wanted) -> AsyncIterator[bytes]:
    """The answer after white space. If it cannot be given, the connection breaks: a status can no
    longer say so, and the client, which sends the same again, is told at once."""
    async with services.calls.attend(job) as call:
        yield SPACE
        async for answer in _answers(call, wanted):
            yield SPACE if answer is None else _body(wanted, answer)[0]


async def _events(services: Services, job: Job, wanted: Wanted) -> AsyncIterator[bytes]:
    written_in = job.order.written_in
    sent = 0

    def deltas(segments: tuple[Segment, ...]) -> bytes:
        nonlocal sent
        frames = b""
        for segment in segments:
            text = documents.delta(segment, written_in, is_first=sent == 0)
            frames += _frame(documents.delta_event(segment, text, wanted))
            sent += 1
        return frames

    try:
        async with services.calls.attend(job) as call:
            yield b": welcome\n\n"
            async for event in call.events(KEEPALIVE_S):
                match event:
                    case SegmentAdded(segment=segment):
                        yield deltas((segment,))
                    case Ended(job=ended, segments=segments):
                        _check(ended)
                        yield deltas(tuple(segments[sent:]))
                    case _:
                        yield KEEPALIVE
            async for answer in _answers(call, wanted):
                if answer is None:
                    yield KEEPALIVE
                    continue
                if wanted.format is Format.DIARIZED_JSON:
                    for each in documents.speaker_segments(answer.segments, answer.turns):
                        yield _frame(each)
                yield _frame(documents.done_event(wanted, answer.job, answer.segments))
    except Refusal as refusal:
        yield _frame(error_body(refusal.message, "server_error", code=refusal.code))


def _frame(event: dict[str, Any]) -> bytes:
    return b"data: " + _encode(event) + b"\n\n"


router = Router(
    "/v1/audio",
    route_handlers=[transcribe, translate],
    guards=[native],
    exception_handlers=HANDLERS,
    tags=["OpenAI"],
)
