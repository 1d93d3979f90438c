"""/v1/audio: a recording comes in, and its transcript is the answer."""

from collections.abc import AsyncIterator
from functools import partial
from math import inf
from typing import Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.response import Stream

from actors.models.messages import State
from app.auth.access import Access
from app.auth.connection import owner_of
from app.auth.guards import native
from app.http.event_stream import HEADERS, KEEPALIVE, KEEPALIVE_S, while_in
from app.http.hang_up import disconnected
from app.http.refusals import Unprocessable
from app.openai import documents
from app.openai.errors import HANDLERS, described
from app.openai.models import meant_by
from app.openai.openapi import answers
from app.openai.orders import FIELDS, FILE, Format, Wanted, split
from app.services.calls import (
    CLIENT_CLOSED_REQUEST,
    Answer,
    Call,
    Delta,
    unless_hung_up,
)
from app.services.model_line import model_line
from app.services.openapi import upload_operation
from app.services.services import Services
from storage.errors import Refusal
from storage.records import Channel, Job, Order, Task

AnyRequest = Request[Any, Any, Any]
PATIENCE_S = 10.0
"""Seconds after which the answer is begun with white space, where its form allows that: proxies and
clients give up after 30 to 60 s of silence. Its status cannot be changed from then on."""
SPACE = b"\n"

_encode = msgspec.json.Encoder().encode
route = partial(
    post,
    status_code=200,
    operation_class=upload_operation(
        FILE, FIELDS, {"model": "whisper-1", "response_format": "verbose_json"}
    ),
    request_max_body_size=None,
    responses=answers(),
)


@route("/transcriptions", summary="Transcribe a recording")
async def transcribe(request: AnyRequest, services: Services, access: Access) -> Response[Any]:
    """Answers when the transcript is there, however long that takes. While the answer is JSON and
    takes long, white space comes before it. A client that sends the same again finds its job."""
    return await _answer(request, services, access, Task.TRANSCRIBE)


@route("/translations", summary="Transcribe a recording into English")
async def translate(request: AnyRequest, services: Services, access: Access) -> Response[Any]:
    """As `/v1/audio/transcriptions`, and the text is English whatever is spoken."""
    return await _answer(request, services, access, Task.TRANSLATE)


async def _answer(
    request: AnyRequest, services: Services, access: Access, task: Task
) -> Response[Any]:
    with services.calls.upload():
        job, wanted = await _queue(request, services, task)
    if wanted.stream:
        events = while_in(_events(services, job, wanted), partial(access.is_still_in, request))
        return Stream(events, media_type="text/event-stream", headers=HEADERS)
    async with services.calls.attend(job) as call:
        answer, hung_up = await unless_hung_up(
            partial(disconnected, request),
            _answers(call, wanted),
            PATIENCE_S if wanted.format.is_json else inf,
        )
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
    submission = await submissions.begin(FIELDS, repeats=False, unchecked=True)
    form = submission.form

    def check() -> None:
        if form.errors:
            raise Unprocessable(form.errors)
        meant_by(catalogue, form.values.get("model"))

    upload = await submissions.receive(
        request, submission, FILE, check_file=check, check_field=check
    )
    if not upload.size:
        sentence = "file is empty" if upload.found else "file is required"
        raise Unprocessable({FILE: [sentence]})
    try:
        model = meant_by(catalogue, form.values.get("model"))
        wanted, values = split(form.values, task, default_model=model is None)
        if wanted.format is Format.DIARIZED_JSON:
            services.calls.check_diarization("response_format", wanted.format)
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
        owner=owner_of(request),
    )
    return await services.calls.queue(submission, order, upload.size), wanted


def _answers(call: Call, wanted: Wanted) -> AsyncIterator[Answer | None]:
    return call.answers(KEEPALIVE_S, with_speakers=wanted.format is Format.DIARIZED_JSON)


def _body(wanted: Wanted, answer: Answer) -> tuple[bytes, str]:
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
    try:
        async with services.calls.attend(job) as call:
            yield b": welcome\n\n"
            async for told in call.deltas(KEEPALIVE_S):
                if isinstance(told, Delta):
                    yield _frame(documents.delta_event(told.segment, told.text, wanted))
                elif isinstance(told, Answer):
                    answer = told
                else:
                    yield await heartbeat(services)
            if wanted.format is Format.DIARIZED_JSON:
                async for attributed in call.with_speakers(answer, KEEPALIVE_S):
                    if attributed is None:
                        yield KEEPALIVE
                    else:
                        for each in documents.speaker_segments(
                            attributed.segments, attributed.turns
                        ):
                            yield _frame(each)
            yield _frame(documents.done_event(wanted, answer.job, answer.segments))
    except Refusal as refusal:
        yield _frame(described(refusal)[1])


async def heartbeat(services: Services) -> bytes:
    """A comment, which clients skip, for who looks on: it says what the model is doing."""
    model = model_line(await services.system.lifecycle.ask(State()))
    return f": model {model.sentence}\n\n".encode()


def _frame(event: dict[str, Any]) -> bytes:
    return b"data: " + _encode(event) + b"\n\n"


router = Router(
    "/v1/audio",
    route_handlers=[transcribe, translate],
    guards=[native],
    exception_handlers=HANDLERS,
    tags=["OpenAI"],
)
