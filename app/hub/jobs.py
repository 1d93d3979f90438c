"""/api/whisper: the queue, for those who have signed in."""

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Router, delete, get, post
from litestar.params import QueryParameter

from actors.engine.languages import LANGUAGES
from actors.jobs.messages import Cancel, Delete, Restart
from actors.llm.messages import RequestText
from actors.models.messages import LoadModel
from app.auth.connection import caller_of
from app.auth.guards import signed_in
from app.http.bodies import read_json
from app.http.parameters import IdempotencyKey, Number
from app.http.refusals import Unprocessable
from app.hub.documents import HubJob, HubStatus, JobAndMessage, ManyJobs, OneJob, Said, Started
from app.hub.errors import HANDLERS
from app.hub.openapi import Queueing, documented, takes
from app.hub.orders import FIELDS, FILE, URL
from app.hub.presenters import job_document, may
from app.hub.status import status_document
from app.services.services import Services
from storage.errors import Conflict
from storage.records import Channel, Job, Permission, Status, TextKind, View

AnyRequest = Request[Any, Any, Any]
MOST_LISTED = 500
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MOST_LISTED)]


class AnalysisWanted(msgspec.Struct):
    language: str | None = None


class RunNow(msgspec.Struct):
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_LISTED)] = 1
    reset_failed: bool = False


@get("/status", summary="Counters and configuration", **documented())
async def status(request: AnyRequest, services: Services) -> HubStatus:
    caller = caller_of(request)
    return status_document(
        await services.system.jobs.counts(caller.jobs),
        can_manage_all=caller.account.may(Permission.MANAGE),
        info=services.info,
    )


@get("/jobs", summary="The jobs one may see, newest first", **documented())
async def page(request: AnyRequest, services: Services, limit: Limit = 100) -> ManyJobs:
    """One's own, or for managers all. Without transcripts."""
    return {"ok": True, "jobs": await listed(services, caller_of(request).jobs, limit)}


@post(
    "/jobs",
    status_code=200,
    summary="Queue a job",
    request_max_body_size=None,
    **documented(503, operation=Queueing),
)
async def submit(
    request: AnyRequest, services: Services, key: IdempotencyKey = None
) -> JobAndMessage:
    """JSON or a form with `source_url`, or multipart with `media_file`. Always queues."""
    job = await services.submissions.submit_for(
        request,
        caller_of(request),
        FIELDS,
        file_field=FILE,
        url_field=URL,
        key=key,
        channel=Channel.WEB,
    )
    return {"ok": True, "message": "The job is queued.", "job": await shown(services, job)}


@get("/jobs/{number:int}", summary="One job in full", **documented(404))
async def one(request: AnyRequest, services: Services, number: Number) -> OneJob:
    return {"ok": True, "job": await in_full(services, await _seen(request, services, number))}


@post(
    "/jobs/{number:int}/analyze",
    status_code=200,
    summary="Analyse a transcript again",
    **documented(404, 503, operation=takes(AnalysisWanted)),
)
async def analyze(request: AnyRequest, services: Services, number: Number) -> JobAndMessage:
    """`{language}`, an ISO 639-1 code; left out, as the job was submitted."""
    job = await _seen(request, services, number)
    caller_of(request).require(Permission.ASSIST)
    language = (await read_json(request, AnalysisWanted)).language
    if language is not None and language not in LANGUAGES:
        raise Unprocessable({"language": ["Whisper does not know this language code."]})
    ask = RequestText(job.id, TextKind.ANALYSIS, language or job.analysis_language)
    await services.system.analyst.ask(ask)
    return {"ok": True, "message": "The analysis is on its way.", "job": await shown(services, job)}


@post(
    "/jobs/{number:int}/cancel",
    status_code=200,
    summary="Cancel a job that is worked on",
    **documented(404, 503),
)
async def cancel(request: AnyRequest, services: Services, number: Number) -> JobAndMessage:
    job = await _seen(request, services, number)
    _check(job, services, "can_cancel_now", "Only a job that is being processed can be cancelled.")
    job = await services.system.queue.ask(Cancel(job.id))
    return {"ok": True, "message": "The job is cancelled.", "job": await shown(services, job)}


@post(
    "/jobs/{number:int}/restart",
    status_code=200,
    summary="Put a job back into the queue",
    **documented(404, 503),
)
async def restart(request: AnyRequest, services: Services, number: Number) -> JobAndMessage:
    """A failed one, with its parameters as first submitted; one that waits stays as it is."""
    job = await _seen(request, services, number)
    _check(job, services, "can_restart_now", "Only a failed or queued job can be restarted.")
    job = await services.system.queue.ask(Restart(job.id))
    return {"ok": True, "message": "The job is queued again.", "job": await shown(services, job)}


@delete(
    "/jobs/{number:int}",
    status_code=200,
    summary="Delete a job and its files for good",
    **documented(404, 503),
)
async def remove(request: AnyRequest, services: Services, number: Number) -> Said:
    job = await _seen(request, services, number)
    _check(
        job,
        services,
        "can_delete",
        "A job that is being processed cannot be deleted: cancel it first.",
    )
    await services.system.queue.ask(Delete(job.id))
    return {"ok": True, "message": "The job is deleted."}


@post(
    "/jobs/{number:int}/callback",
    status_code=200,
    summary="Send a job's callback again",
    **documented(404, 503),
)
async def replay(request: AnyRequest, services: Services, number: Number) -> JobAndMessage:
    """One that was delivered or given up; with the same id, so that receivers can tell."""
    job = await _seen(request, services, number)
    await services.jobs.replay_callback(job)
    return {"ok": True, "message": "The callback is on its way.", "job": await shown(services, job)}


@post(
    "/run-now",
    status_code=200,
    summary="Start now (managers)",
    **documented(503, operation=takes(RunNow)),
)
async def run_now(request: AnyRequest, services: Services) -> Started:
    """`{limit, reset_failed}`: loads the model; `reset_failed` first puts up to `limit` failed
    jobs back into the queue, those that can be."""
    caller = caller_of(request)
    caller.require(Permission.MANAGE)
    wanted = await read_json(request, RunNow)
    again = 0
    if wanted.reset_failed:
        failed = await services.system.jobs.page(Status.FAILED, None, wanted.limit, caller.jobs)
        for job in failed:
            again += await services.jobs.try_restart(job)
    waiting = await services.system.jobs.queued_count()
    if waiting:
        await services.system.lifecycle.ask(LoadModel())
    return {
        "ok": True,
        "message": f"{waiting} waiting jobs are being worked on; {again} were put back.",
        "started": min(waiting, wanted.limit),
        "reset": again,
    }


async def listed(services: Services, view: View, limit: int) -> list[HubJob]:
    jobs = await services.system.jobs.page(None, None, limit, view)
    return await _shown(services, jobs)


async def shown(services: Services, job: Job) -> HubJob:
    """One job without its transcript, as an answer to what was done with it."""
    return (await _shown(services, [job]))[0]


async def in_full(services: Services, job: Job) -> HubJob:
    return job_document(await services.jobs.full_details(job), services.info, time.time())


async def _shown(services: Services, jobs: Sequence[Job]) -> list[HubJob]:
    now = time.time()
    return [
        job_document(details, services.info, now) for details in await services.jobs.details(jobs)
    ]


async def _seen(request: AnyRequest, services: Services, number: int) -> Job:
    return await services.jobs.find(number, caller_of(request).jobs)


def _check(
    job: Job,
    services: Services,
    flag: Literal["can_cancel_now", "can_restart_now", "can_delete"],
    sentence: str,
) -> None:
    if not may(job, services.info, kept=True)[flag]:
        raise Conflict(sentence)


router = Router(
    "/api/whisper",
    route_handlers=[
        status, page, submit, one, analyze, cancel, restart, remove, replay, run_now,
    ],
    guards=[signed_in],
    exception_handlers=HANDLERS,
    tags=["hub"],
)  # fmt: skip
