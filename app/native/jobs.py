"""/jobs"""

import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import HeaderParameter, QueryParameter

from actors.engine.languages import LANGUAGES
from actors.messages import Cancel, RequireReady, Submit, Subscribe
from actors.reach import check_url
from actors.system import Plan, System
from app import sse
from app.access import NATIVE, native
from app.native.docs import EVENTS, answers, faults
from app.native.streams import END, JobFollower
from app.native.wire import (
    Accepted,
    DoneEvent,
    ErrorEvent,
    JobDocument,
    JobPage,
    ProgressEvent,
    SegmentEvent,
    job_document,
)
from app.transcripts import FORMATS
from app.uploads import Upload, queued, receive
from storage.errors import Busy, Conflict, Invalid, NotFound, NotReady
from storage.records import Job, Order, Status, Task, View

WEBHOOK_FORMAT = "native"
LONGEST_PROMPT = 2000
LONGEST_KEY = 255
MOST_ON_A_PAGE = 200
JobEvent = ProgressEvent | SegmentEvent | DoneEvent | ErrorEvent


@dataclass(frozen=True)
class Intake:
    """Where submits go, and on what terms. One object, since Litestar resolves several
    dependencies of a route in tasks of their own, which cost a tenth of a submit."""

    system: System
    queue_when_unloaded: bool
    most_upload_bytes: int | None


@dataclass
class SubmitOperation(Operation):
    """The form, which the handler reads as a stream and Litestar therefore cannot see."""

    def __post_init__(self) -> None:
        text = OpenAPIType.STRING
        properties: dict[str, Any] = {
            "audio": Schema(
                type=text,
                format=None,
                content_media_type="application/octet-stream",
                description="Any audio or video that FFmpeg understands; no size limit",
            ),
            "language": Schema(type=text, description="ISO 639-1; omit to have it detected"),
            "task": Schema(type=text, enum=["transcribe", "translate"], default="transcribe"),
            "webhook_url": Schema(type=text, description="Told of the end, and of the model"),
            "word_timestamps": Schema(type=text, enum=["true", "false"], default="false"),
            "prompt": Schema(type=text, description="Names and words to expect"),
            "model": Schema(type=text, description="A model's name; omit for the server's"),
        }
        schema = Schema(type=OpenAPIType.OBJECT, properties=properties, required=["audio"])
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True
        )


@post(
    "/",
    status_code=202,
    summary="Submit audio",
    operation_class=SubmitOperation,
    request_max_body_size=None,
    responses=faults(400, 408, 413, 503, 507),
)
async def submit(
    request: Request[Any, Any, Any],
    intake: Intake,
    key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key", description="A second submit with the same key is the first"
        ),
    ] = None,
) -> Response[Accepted]:
    """Answers as soon as the audio is safely stored. 503 comes before the body is read."""
    system, owner = intake.system, _owner(request)
    if key is not None:
        if not 0 < len(key) <= LONGEST_KEY:
            raise Invalid(f"Idempotency-Key must have 1 to {LONGEST_KEY} characters")
        key = f"{owner}:{key}" if owner is not None else key  # a key is its owner's own
        if earlier := await system.jobs.by_idempotency_key(key):
            return Response(Accepted(earlier.id), status_code=202)
    if system.draining:
        raise Busy("the server is shutting down")
    await _require_ready(system, intake.queue_when_unloaded)
    job_id = str(uuid.uuid4())
    form = Form(system.plan)
    upload = await receive(
        request, system.spool, job_id, "audio", form.check, most_bytes=intake.most_upload_bytes
    )
    if not upload.size:
        raise Invalid("audio field is empty" if upload.found else "missing 'audio' field")
    order = form.order(upload, key, owner)
    job = await queued(system, Submit(job_id, order, upload.size))
    return Response(Accepted(job.id), status_code=202)


def _owner(request: Request[Any, Any, Any]) -> int | None:
    """Whose job a native one is: nobody's, unless tokens are wanted."""
    caller = getattr(request.state, "caller", None)
    return caller.account.number if caller else None


async def _require_ready(system: System, queue_when_unloaded: bool) -> None:
    try:
        await system.lifecycle.ask(RequireReady())
    except NotReady:
        if not queue_when_unloaded:
            raise


@dataclass
class Form:
    """Checks each text field as it comes, so that a wrong one costs no upload."""

    plan: Plan
    _seen: dict[str, Any] = field(default_factory=dict)

    def check(self, name: str, value: str) -> None:
        """
        Raises:
            Invalid: with the guide's sentence, where it has one.
        """
        value = value.strip()
        if not value:
            return
        match name:
            case "task":
                if value not in tuple(Task):
                    raise Invalid("task must be 'transcribe' or 'translate'")
                self._seen[name] = Task(value)
            case "language":
                if value.lower() not in (*LANGUAGES, "auto"):
                    raise Invalid(f"language '{value[:40]}' is not a code that Whisper knows")
                self._seen[name] = None if value.lower() == "auto" else value.lower()
            case "webhook_url":
                self._seen[name] = check_url(value)
                self._seen |= {"webhook_format": WEBHOOK_FORMAT, "model_events": True}
            case "word_timestamps":
                if value.lower() not in ("true", "false", "1", "0"):
                    raise Invalid("word_timestamps must be 'true' or 'false'")
                self._seen[name] = value.lower() in ("true", "1")
            case "prompt":
                if len(value) > LONGEST_PROMPT:
                    raise Invalid(f"prompt is longer than {LONGEST_PROMPT} characters")
                self._seen[name] = value
            case "model":
                known = value == self.plan.default_model or self.plan.catalogue.nameable(value)
                if not known:
                    raise Invalid(f"there is no model '{value[:80]}' on this server")
                self._seen[name] = value

    def order(self, upload: Upload, key: str | None, owner: int | None) -> Order:
        return Order(
            **self._seen, filename=upload.filename, idempotency_key=key, channel=NATIVE, owner=owner
        )


@get("/", summary="List jobs", responses=faults(400))
async def page(
    system: System,
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
    jobs = await system.jobs.page(status, before, limit, view)
    following = jobs[-1].number if len(jobs) == limit else None
    return JobPage([job_document(job) for job in jobs], following)


@get("/{job_id:str}", summary="One job", responses=faults(404))
async def one(system: System, view: View, job_id: str) -> JobDocument:
    """Poll this every few seconds, or better: follow `/jobs/{job_id}/stream`."""
    job = await _job(system, view, job_id)
    segments = await system.jobs.transcript(job) if job.status is Status.DONE else []
    return job_document(job, segments)


@get(
    "/{job_id:str}/stream",
    summary="Follow a job (server-sent events)",
    responses=faults(404, 204) | answers(200, JobEvent, "The events' data", EVENTS),
)
async def stream(
    system: System,
    view: View,
    job_id: str,
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
) -> Response[Any]:
    """Events: `progress` `{type, percent, chunk, chunks_total}`, `segment` `{type, segment}`,
    and at the end `done` `{type, job}` (done and cancelled) or `error` `{type, message}`.

    `Last-Event-ID` resumes without loss or repeat; after the last event it gives 204, which
    stops an EventSource from reconnecting.
    """
    subscription = await system.broadcaster.ask(Subscribe(job_id))
    try:
        job = await _job(system, view, job_id)
        if last_event_id == END and job.status.terminal:
            subscription.close()
            return Response(None, status_code=204)
    except BaseException:
        subscription.close()
        raise
    follower = JobFollower(system.jobs, job_id, last_event_id)
    return sse.stream(follower.follow(subscription), subscription)


@get(
    "/{job_id:str}/transcript",
    summary="The transcript as a file",
    responses=faults(400, 404, 409),
)
async def transcript(
    system: System,
    view: View,
    job_id: str,
    format_: Annotated[
        str, QueryParameter(name="format", schema_extra={"enum": [*FORMATS, "json"]})
    ] = "txt",
) -> Response[Any]:
    """Of a job that is done; 409 for others."""
    job = await _job(system, view, job_id)
    if format_ != "json" and format_ not in FORMATS:
        raise Invalid(f"format must be one of {', '.join(FORMATS)}, json")
    if job.status is not Status.DONE:
        raise Conflict(f"job {job_id} has no transcript: its status is {job.status}")
    segments = await system.jobs.transcript(job)
    if format_ == "json":
        return Response(job_document(job, segments))
    write, content_type = FORMATS[format_]
    return Response(write(segments).encode(), media_type=content_type)


@delete("/{job_id:str}", status_code=200, summary="Cancel a job", responses=faults(404, 409))
async def cancel(system: System, view: View, job_id: str) -> JobDocument:
    """A queued job ends at once, a running one within about a second; its result is dropped."""
    job = await _job(system, view, job_id)
    return job_document(await system.queue.ask(Cancel(job.id)))


async def _job(system: System, view: View, job_id: str) -> Job:
    job = await system.jobs.get(job_id, view)
    if job is None:
        raise NotFound(f"job {job_id} not found")
    return job


router = Router(
    "/jobs",
    route_handlers=[submit, page, one, stream, transcript, cancel],
    guards=[native],
    tags=["jobs"],
)
