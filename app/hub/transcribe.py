"""/api/whisper/transcribe: server to server, by token, with a callback."""

from litestar import Router, get, post

from app.auth.connection import caller_of
from app.auth.guards import by_token
from app.http.parameters import IdempotencyKey, Number
from app.hub.documents import HubStatus, JobAndMessage, ManyJobs, OneJob
from app.hub.errors import HANDLERS
from app.hub.jobs import AnyRequest, Limit, in_full, listed, shown
from app.hub.openapi import QueueingByToken, documented
from app.hub.orders import CALLBACK, FILE, TOKEN_FIELDS, URL
from app.hub.status import status_document
from app.services.services import Services
from storage.records import Channel


@post(
    "/",
    status_code=200,
    summary="Queue a job",
    request_max_body_size=None,
    **documented(503, operation=QueueingByToken),
)
async def submit(
    request: AnyRequest, services: Services, key: IdempotencyKey = None
) -> JobAndMessage:
    """As `POST /api/whisper/jobs`, and `callback_url` is required."""
    job = await services.submissions.submit_for(
        request,
        caller_of(request),
        TOKEN_FIELDS,
        file_field=FILE,
        url_field=URL,
        key=key,
        channel=Channel.API,
        required=[CALLBACK],
        shared=True,
    )
    return {
        "ok": True,
        "message": "Whisper API job queued. A callback will be sent when the job reaches a "
        "terminal state.",
        "job": await shown(services, job),
    }


@get("/status", summary="Counters and configuration", **documented())
async def status(request: AnyRequest, services: Services) -> HubStatus:
    counts = await services.system.jobs.counts(caller_of(request).api_jobs)
    return status_document(counts, can_manage_all=False, info=services.info)


@get("/jobs", summary="The token owner's jobs, newest first", **documented())
async def page(request: AnyRequest, services: Services, limit: Limit = 100) -> ManyJobs:
    return {"ok": True, "jobs": await listed(services, caller_of(request).api_jobs, limit)}


@get("/jobs/{number:int}", summary="One job in full", **documented(404))
async def one(request: AnyRequest, services: Services, number: Number) -> OneJob:
    job = await services.jobs.find(number, caller_of(request).api_jobs)
    return {"ok": True, "job": await in_full(services, job)}


router = Router(
    "/api/whisper/transcribe",
    route_handlers=[submit, status, page, one],
    guards=[by_token],
    exception_handlers=HANDLERS,
    tags=["hub by token"],
)
