"""/api/whisper: the queue, for those who have signed in."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Router, delete, get, post
from litestar.params import PathParameter, QueryParameter

from actors.engine.languages import LANGUAGES
from actors.messages import Cancel, Delete, LoadModel, Restart, WantText
from app.access import caller_of, signed_in
from app.faults import HUB_HANDLERS, Unprocessable
from app.hub.docs import Queueing, documented, takes
from app.hub.documents import HubStatus, JobAndMessage, ManyJobs, OneJob, Said, Started
from app.hub.forms import read_json
from app.hub.hub import MOST_LISTED, Hub
from app.hub.wire import may, status_document
from storage.errors import Conflict
from storage.records import Job, Permission, Status, TextKind

AnyRequest = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MOST_LISTED)]
Number = Annotated[int, PathParameter(ge=1, le=2**62)]


class AnalysisWanted(msgspec.Struct):
    language: str | None = None


class RunNow(msgspec.Struct):
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_LISTED)] = 1
    reset_failed: bool = False


@get("/status", summary="Counters and configuration", **documented())
async def status(request: AnyRequest, hub: Hub) -> HubStatus:
    caller = caller_of(request)
    return status_document(
        await hub.system.jobs.counts(caller.jobs),
        can_manage_all=caller.account.may(Permission.MANAGE),
        config=hub.config,
    )


@get("/jobs", summary="The jobs one may see, newest first", **documented())
async def page(request: AnyRequest, hub: Hub, limit: Limit = 100) -> ManyJobs:
    """One's own, or for managers all. Without transcripts."""
    return {"ok": True, "jobs": await hub.listed(caller_of(request).jobs, limit)}


@post(
    "/jobs",
    status_code=200,
    summary="Queue a job",
    request_max_body_size=None,
    **documented(503, operation=Queueing),
)
async def submit(request: AnyRequest, hub: Hub) -> JobAndMessage:
    """JSON or a form with `source_url`, or multipart with `media_file`. Always queues."""
    job = await hub.submit(request, caller_of(request), by_token=False)
    return {"ok": True, "message": "The job is queued.", "job": await hub.shown(job)}


@get("/jobs/{number:int}", summary="One job in full", **documented(404))
async def one(request: AnyRequest, hub: Hub, number: Number) -> OneJob:
    return {"ok": True, "job": await hub.in_full(await _seen(request, hub, number))}


@post(
    "/jobs/{number:int}/analyze",
    status_code=200,
    summary="Analyse a transcript again",
    **documented(404, 503, operation=takes(AnalysisWanted)),
)
async def analyze(request: AnyRequest, hub: Hub, number: Number) -> JobAndMessage:
    """`{language}`, an ISO 639-1 code; left out, as the job was submitted."""
    job = await _seen(request, hub, number)
    caller_of(request).require(Permission.ASSIST)
    language = (await read_json(request, AnalysisWanted)).language
    if language is not None and language not in LANGUAGES:
        raise Unprocessable({"language": ["This is no language code that Whisper knows."]})
    ask = WantText(job.id, TextKind.ANALYSIS, language or job.analysis_language)
    await hub.system.analyst.ask(ask)
    return {"ok": True, "message": "The analysis is on its way.", "job": await hub.shown(job)}


@post(
    "/jobs/{number:int}/cancel",
    status_code=200,
    summary="Cancel a job that is worked on",
    **documented(404, 503),
)
async def cancel(request: AnyRequest, hub: Hub, number: Number) -> JobAndMessage:
    job = await _seen(request, hub, number)
    _check(job, hub, "can_cancel_now", "Only a job that is being processed can be cancelled.")
    job = await hub.system.queue.ask(Cancel(job.id))
    return {"ok": True, "message": "The job is cancelled.", "job": await hub.shown(job)}


@post(
    "/jobs/{number:int}/restart",
    status_code=200,
    summary="Put a job back into the queue",
    **documented(404, 503),
)
async def restart(request: AnyRequest, hub: Hub, number: Number) -> JobAndMessage:
    """A failed one, with its parameters as first submitted; one that waits stays as it is."""
    job = await _seen(request, hub, number)
    _check(job, hub, "can_restart_now", "Only a failed or queued job can be restarted.")
    job = await hub.system.queue.ask(Restart(job.id))
    return {"ok": True, "message": "The job is queued again.", "job": await hub.shown(job)}


@delete(
    "/jobs/{number:int}",
    status_code=200,
    summary="Delete a job and its files for good",
    **documented(404, 503),
)
async def remove(request: AnyRequest, hub: Hub, number: Number) -> Said:
    job = await _seen(request, hub, number)
    _check(
        job, hub, "can_delete", "A job that is being processed cannot be deleted: cancel it first."
    )
    await hub.system.queue.ask(Delete(job.id))
    return {"ok": True, "message": "The job is deleted."}


@post(
    "/jobs/{number:int}/callback",
    status_code=200,
    summary="Send a job's callback again",
    **documented(404, 503),
)
async def replay(request: AnyRequest, hub: Hub, number: Number) -> JobAndMessage:
    """One that was delivered or given up; with the same id, so that receivers can tell."""
    job = await _seen(request, hub, number)
    await hub.replay(job)
    return {"ok": True, "message": "The callback is on its way.", "job": await hub.shown(job)}


@post(
    "/run-now",
    status_code=200,
    summary="Start now (managers)",
    **documented(503, operation=takes(RunNow)),
)
async def run_now(request: AnyRequest, hub: Hub) -> Started:
    """`{limit, reset_failed}`: loads the model; `reset_failed` first puts up to `limit` failed
    jobs back into the queue, those that can be."""
    caller = caller_of(request)
    caller.require(Permission.MANAGE)
    wanted = await read_json(request, RunNow)
    again = 0
    if wanted.reset_failed:
        failed = await hub.system.jobs.page(Status.FAILED, None, wanted.limit, caller.jobs)
        for job in failed:
            again += await hub.try_restart(job)
    waiting = await hub.system.jobs.depth()
    if waiting:
        await hub.system.lifecycle.ask(LoadModel())
    return {
        "ok": True,
        "message": f"{waiting} waiting jobs are being worked on; {again} were put back.",
        "started": min(waiting, wanted.limit),
        "reset": again,
    }


async def _seen(request: AnyRequest, hub: Hub, number: int) -> Job:
    return await hub.find(number, caller_of(request).jobs)


def _check(
    job: Job,
    hub: Hub,
    flag: Literal["can_cancel_now", "can_restart_now", "can_delete"],
    sentence: str,
) -> None:
    if not may(job, hub.config, kept=True)[flag]:
        raise Conflict(sentence)


router = Router(
    "/api/whisper",
    route_handlers=[
        status, page, submit, one, analyze, cancel, restart, remove, replay, run_now,
    ],
    guards=[signed_in],
    exception_handlers=HUB_HANDLERS,
    tags=["hub"],
)  # fmt: skip
