"""/api/whisper/transcribe: server to server, by token, with a callback."""

from litestar import Router, get, post

from app.access import by_token, caller_of
from app.faults import HUB_HANDLERS
from app.hub.docs import QueueingByToken, documented
from app.hub.documents import HubStatus, JobAndMessage, ManyJobs, OneJob
from app.hub.hub import Hub
from app.hub.jobs import AnyRequest, Limit, Number
from app.hub.wire import status_document


@post(
    "/",
    status_code=200,
    summary="Queue a job",
    request_max_body_size=None,
    **documented(503, operation=QueueingByToken),
)
async def submit(request: AnyRequest, hub: Hub) -> JobAndMessage:
    """As `POST /api/whisper/jobs`, and `callback_url` is required."""
    job = await hub.submit(request, caller_of(request), by_token=True)
    return {
        "ok": True,
        "message": "Whisper API job queued. A callback will be sent when the job reaches a "
        "terminal state.",
        "job": await hub.shown(job),
    }


@get("/status", summary="Counters and configuration", **documented())
async def status(request: AnyRequest, hub: Hub) -> HubStatus:
    counts = await hub.system.jobs.counts(caller_of(request).api_jobs)
    return status_document(counts, can_manage_all=False, config=hub.config)


@get("/jobs", summary="The token owner's jobs, newest first", **documented())
async def page(request: AnyRequest, hub: Hub, limit: Limit = 100) -> ManyJobs:
    return {"ok": True, "jobs": await hub.listed(caller_of(request).api_jobs, limit)}


@get("/jobs/{number:int}", summary="One job in full", **documented(404))
async def one(request: AnyRequest, hub: Hub, number: Number) -> OneJob:
    job = await hub.find(number, caller_of(request).api_jobs)
    return {"ok": True, "job": await hub.in_full(job)}


router = Router(
    "/api/whisper/transcribe",
    route_handlers=[submit, status, page, one],
    guards=[by_token],
    exception_handlers=HUB_HANDLERS,
    tags=["hub by token"],
)
