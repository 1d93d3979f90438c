"""/jobs"""

from functools import partial
from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post
from litestar.params import HeaderParameter, QueryParameter

from actors.events.messages import Subscribe
from actors.jobs.messages import Cancel, Delete
from actors.models.messages import RequireReady
from app.auth.access import Access
from app.auth.connection import owner_of
from app.auth.guards import native
from app.http import event_stream
from app.http.parameters import IdempotencyKey
from app.native.documents import (
    Accepted,
    DoneEvent,
    ErrorEvent,
    JobPage,
    ProgressEvent,
    SegmentEvent,
)
from app.native.openapi import EVENTS, answers, errors
from app.native.streams import job_events
from app.services import order_form
from app.services.follow import JobFollower, has_seen_end
from app.services.openapi import upload_operation
from app.services.services import Services
from app.services.submit import stored_key
from app.transcripts.document import JobDocument, job_document
from app.transcripts.formats import FORMATS
from storage.errors import Conflict, Invalid, NotReady
from storage.records import Channel, Job, Order, Status, View

WEBHOOK_FORMAT = "native"
FILE = "audio"
MOST_ON_A_PAGE = 200
JobEvent = ProgressEvent | SegmentEvent | DoneEvent | ErrorEvent

FIELDS = {
    "language": order_form.LANGUAGE,
    "languages": order_form.LANGUAGES_SPOKEN,
    "task": order_form.TASK,
    "webhook_url": order_form.webhook(
        WEBHOOK_FORMAT, "Told of the job's end, and of the model", model_events=True
    ),
    "word_timestamps": order_form.WORD_TIMESTAMPS,
    "audio_track": order_form.AUDIO_TRACK,
    "vad": order_form.VAD,
    "quality": order_form.QUALITY,
    "prompt": order_form.PROMPT,
    "model": order_form.MODEL,
}


@post(
    "/",
    status_code=202,
    summary="Submit audio",
    operation_class=upload_operation(FILE, FIELDS),
    request_max_body_size=None,
    responses=errors(400, 408, 413, 503, 507),
)
async def submit(
    request: Request[Any, Any, Any],
    services: Services,
    key: IdempotencyKey = None,
) -> Response[Accepted]:
    """Answers as soon as the audio is safely stored. 503 comes before the body is read."""
    system, submissions, owner = services.system, services.submissions, owner_of(request)
    key = stored_key(key, owner, Channel.NATIVE)
    if key and (earlier := await system.jobs.by_idempotency_key(key)):
        return Response(Accepted(earlier.id), status_code=202)
    submission = await submissions.begin(FIELDS)
    await _require_ready(services)
    form = submission.form

    def check() -> None:
        """A wrong field costs no upload: it is refused as it comes."""
        for sentences in form.errors.values():
            raise Invalid(sentences[0])

    upload = await submissions.receive(
        request, submission, FILE, check_file=check, check_field=check
    )
    if not upload.size:
        raise Invalid("audio field is empty" if upload.found else "missing 'audio' field")
    form.check_together()
    if form.errors:
        submissions.discard(submission)
        check()
    order = Order(
        **form.values,
        filename=upload.filename,
        idempotency_key=key,
        channel=Channel.NATIVE,
        owner=owner,
    )
    job = await submissions.queue(submission, order, upload.size, limited=False)
    return Response(Accepted(job.id), status_code=202)


async def _require_ready(services: Services) -> None:
    try:
        await services.system.lifecycle.ask(RequireReady())
    except NotReady:
        if not services.submissions.settings.queue_when_unloaded:
            raise


@get("/", summary="List jobs", responses=errors(400))
async def page(
    services: Services,
    view: View,
    status: Annotated[
        Status | None, QueryParameter(name="status", description="Only jobs of this status")
    ] = None,
    before: Annotated[
        int | None,
        QueryParameter(name="before", ge=1, le=2**62, description="The `next` of the page before"),
    ] = None,
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=MOST_ON_A_PAGE)] = 50,
) -> JobPage:
    """Newest first, without their segments."""
    jobs = await services.system.jobs.page(status, before, limit, view)
    following = jobs[-1].number if len(jobs) == limit else None
    return JobPage([job_document(job) for job in jobs], following)


@get("/{job_id:str}", summary="One job", responses=errors(404))
async def one(services: Services, view: View, job_id: str) -> JobDocument:
    """Poll this every few seconds, or better: follow `/jobs/{job_id}/stream`."""
    return await _document(services, await services.jobs.find_by_id(job_id, view))


@get(
    "/{job_id:str}/stream",
    summary="Follow a job (server-sent events)",
    responses=errors(404, 204) | answers(200, JobEvent, "The events' data", EVENTS),
)
async def stream(
    request: Request[Any, Any, Any],
    services: Services,
    access: Access,
    view: View,
    job_id: str,
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
) -> Response[Any]:
    """Events: `progress` `{type, percent, chunk, chunks_total}`, `segment` `{type, segment}`,
    and at the end `done` `{type, job}` (done and cancelled) or `error` `{type, message}`.

    `Last-Event-ID` resumes without loss or repeat; after the last event it gives 204, which
    stops an EventSource from reconnecting.
    """
    system = services.system
    subscription = await system.broadcaster.ask(Subscribe(job_id))
    try:
        job = await services.jobs.find_by_id(job_id, view)
    except BaseException:
        subscription.close()
        raise
    if has_seen_end(job, last_event_id):
        subscription.close()
        return Response(None, status_code=204)
    follower = JobFollower(system.jobs, job_id, last_event_id)
    return event_stream.stream(
        job_events(follower, subscription), subscription, partial(access.is_still_in, request)
    )


@get(
    "/{job_id:str}/transcript",
    summary="The transcript as a file",
    responses=errors(400, 404, 409),
)
async def transcript(
    services: Services,
    view: View,
    job_id: str,
    format_: Annotated[
        str, QueryParameter(name="format", schema_extra={"enum": [*FORMATS, "json"]})
    ] = "txt",
) -> Response[Any]:
    """Of a job that is done; 409 for others."""
    job = await services.jobs.find_by_id(job_id, view)
    if format_ != "json" and format_ not in FORMATS:
        raise Invalid(f"format must be one of {', '.join(FORMATS)}, json")
    if job.status is not Status.DONE:
        raise Conflict(f"job {job_id} has no transcript: its status is {job.status}")
    segments = await services.system.jobs.transcript(job)
    if format_ == "json":
        left_out = await services.system.jobs.left_out(job)
        return Response(job_document(job, segments, left_out))
    write, content_type = FORMATS[format_]
    return Response(write(segments).encode(), media_type=content_type)


@delete(
    "/{job_id:str}",
    status_code=200,
    summary="Cancel a job, or delete it for good",
    responses=errors(404, 409),
)
async def cancel_or_delete(
    services: Services,
    view: View,
    job_id: str,
    purge: Annotated[
        bool, QueryParameter(description="Delete the job with its recording and transcript")
    ] = False,
) -> JobDocument:
    """A queued job ends at once, a running one within about a second; its result is dropped.

    With `purge=true`, a job that is not running is deleted for good, and the answer is the job as
    it was.
    """
    job = await services.jobs.find_by_id(job_id, view)
    if purge:
        document = await _document(services, job)
        await services.system.queue.ask(Delete(job.id))
        return document
    return job_document(await services.system.queue.ask(Cancel(job.id)))


async def _document(services: Services, job: Job) -> JobDocument:
    jobs = services.system.jobs
    segments = await jobs.transcript(job) if job.status is Status.DONE else []
    return job_document(job, segments, await jobs.left_out(job))


router = Router(
    "/jobs",
    route_handlers=[submit, page, one, stream, transcript, cancel_or_delete],
    guards=[native],
    tags=["jobs"],
)
