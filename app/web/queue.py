"""/whisper: the queue, what is put into it, and what is done with it."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from litestar import Request, Response, get, post
from litestar.response import Redirect

from actors.engine.languages import LANGUAGES
from actors.messages import Cancel, Delete, LoadModel, Restart, State, UnloadModel
from app.access import Caller, caller_of
from app.faults import Unprocessable
from app.hub.hub import Hub
from app.hub.jobs import Number
from app.web.display import Row, model_line, row, title
from app.web.render import app_page, fragment, html
from storage.errors import NotFound, Refusal
from storage.records import Job, Permission, Status

AnyRequest = Request[Any, Any, Any]
PAGE = 50
"""Jobs that a page has at once; the next ones come when somebody scrolls there."""
MOST_HITS = 40
LONGEST_QUERY = 200
FILTERS = {
    "waiting": Status.QUEUED,
    "running": Status.RUNNING,
    "done": Status.DONE,
    "failed": Status.FAILED,
    "cancelled": Status.CANCELLED,
}
LONGEST_NUMBER = 16
LONGEST_BODY = 64 << 10


@get("/", include_in_schema=False)
async def page(request: AnyRequest, hub: Hub) -> Response[str]:
    return await queue_page(request, hub)


@get("/rows", include_in_schema=False)
async def more(request: AnyRequest, hub: Hub) -> Response[str]:
    """The rows after ``before``, for a page that has those until there."""
    return fragment("_rows.html", **await _rows(request, hub))


@get("/search", include_in_schema=False)
async def search(request: AnyRequest, hub: Hub) -> Response[str]:
    """Everything that was said, and what jobs are called."""
    view = caller_of(request).jobs
    text = request.query_params.get("q", "").strip()[:LONGEST_QUERY]
    hits = await hub.system.search.spoken(text, view, MOST_HITS) if text else []
    named = await hub.system.search.named(text, view, MOST_HITS) if text else []
    found: dict[str, Any] = {
        "text": text,
        "hits": [(title(hit.job), hit) for hit in hits],
        "named": await rows(hub, caller_of(request), named),
        "most": MOST_HITS,
    }
    if request.headers.get("hx-request"):
        return fragment("_found.html", **found)
    return app_page("search.html", **await shell(request, hub), **found)


@post("/jobs", include_in_schema=False, request_max_body_size=None)
async def submit(request: AnyRequest, hub: Hub) -> Response[Any]:
    """The same form and the same checks as the hub dialect's."""
    caller = caller_of(request)
    try:
        job = await hub.submit(request, caller, by_token=False)
    except Refusal as no:
        sentences = _sentences(no)
        if request.headers.get("hx-request"):
            return fragment("_problems.html", 422, sentences=sentences)
        typed = no.typed if isinstance(no, Unprocessable) else {}
        return await queue_page(request, hub, 422, sentences, typed)
    if request.headers.get("hx-request"):
        return fragment("_row.html", row=(await rows(hub, caller, [job]))[0])
    return Redirect("/whisper", status_code=303)


@post("/jobs/{number:int}/{action:str}", include_in_schema=False)
async def act(request: AnyRequest, hub: Hub, number: Number, action: str) -> Response[Any]:
    """Cancel, restart or delete, answered with the job's row."""
    caller = caller_of(request)
    job = await hub.find(number, caller.jobs)
    changed = await _do(hub, action, job)
    if not request.headers.get("hx-request"):
        return Redirect(_back(request, number, deleted=action == "delete"), status_code=303)
    if action == "delete":
        if request.headers.get("hx-target", "").startswith("job-"):
            return Response("", media_type="text/html")
        return Response("", media_type="text/html", headers={"HX-Redirect": "/whisper"})
    return fragment("_row.html", row=(await rows(hub, caller, [changed]))[0])


async def _do(hub: Hub, action: str, job: Job) -> Job:
    match action:
        case "cancel":
            return await hub.system.queue.ask(Cancel(job.id))
        case "restart":
            return await hub.system.queue.ask(Restart(job.id))
        case "delete":
            await hub.system.queue.ask(Delete(job.id))
            return job
        case _:
            raise NotFound("there is no such action")


@post("/run-now", include_in_schema=False)
async def run_now(request: AnyRequest, hub: Hub) -> Response[Any]:
    """Load the model for whatever waits."""
    caller_of(request).require(Permission.MANAGE)
    return await _model(request, hub, load=True)


@post("/model/{wish:str}", include_in_schema=False)
async def model(request: AnyRequest, hub: Hub, wish: str) -> Response[Any]:
    if wish not in ("load", "unload"):
        raise NotFound("there is no such wish")
    return await _model(request, hub, load=wish == "load")


async def _model(request: AnyRequest, hub: Hub, *, load: bool) -> Response[Any]:
    if load:
        await hub.system.lifecycle.ask(LoadModel())
    else:
        await hub.system.lifecycle.ask(UnloadModel())
    if request.headers.get("hx-request"):
        return Response(await model_html(hub), media_type="text/html")
    return Redirect(_back(request), status_code=303)


async def queue_page(
    request: AnyRequest,
    hub: Hub,
    status: int = 200,
    problems: Sequence[str] = (),
    typed: Mapping[str, str] | None = None,
) -> Response[str]:
    plan, caller = hub.system.plan, caller_of(request)
    installed = {plan.default_model, *(m.name for m in plan.catalogue.installed())}
    return app_page(
        "queue.html",
        status,
        **await shell(request, hub),
        **await _rows(request, hub),
        problems=problems,
        typed=defaultdict(str, typed or {}),
        models=sorted(installed, key=lambda name: (name != plan.default_model, name)),
        languages=sorted(LANGUAGES.items(), key=lambda pair: pair[1]),
        assists=hub.config.assists and caller.account.may(Permission.ASSIST),
        pages=hub.config.pages,
        diarization=hub.config.diarization,
        most_mb=hub.config.upload_max_mb,
        filters=FILTERS,
    )


async def shell(request: AnyRequest, hub: Hub) -> dict[str, Any]:
    """What every page has around its own."""
    caller = caller_of(request)
    state, line = model_line(await hub.system.lifecycle.ask(State()))
    return {
        "me": caller.account,
        "manages": caller.account.may(Permission.MANAGE),
        "model_state": state,
        "model_line": line,
        "path": request.url.path,
    }


async def model_html(hub: Hub) -> str:
    state, line = model_line(await hub.system.lifecycle.ask(State()))
    return html("_model.html", model_state=state, model_line=line)


async def rows(hub: Hub, caller: Caller, jobs: Iterable[Job]) -> list[Row]:
    jobs, now = list(jobs), time.time()
    waiting = any(job.status is Status.QUEUED for job in jobs)
    places = (
        {number: n for n, number in enumerate(await hub.system.jobs.line(), 1)} if waiting else {}
    )
    owners = {}
    if caller.account.may(Permission.MANAGE):
        owners = {account.number: account.email for account in await hub.system.accounts.all()}
    return [
        row(
            job,
            now,
            place=places.get(job.number),
            owner=owners.get(job.order.owner) if job.order.owner is not None else None,
        )
        for job in jobs
    ]


async def _rows(request: AnyRequest, hub: Hub) -> dict[str, Any]:
    """The next page of rows, as the address asks for them."""
    caller, wanted = caller_of(request), request.query_params.get("show", "")
    before = number_in(request, "before")
    jobs = await hub.system.jobs.page(FILTERS.get(wanted), before, PAGE, caller.jobs)
    return {
        "rows": await rows(hub, caller, jobs),
        "show": wanted if wanted in FILTERS else "",
        "before": jobs[-1].number if len(jobs) == PAGE else None,
    }


def number_in(request: AnyRequest, name: str) -> int | None:
    """What an address says by that name; None where it says nothing that could be meant."""
    return digits(request.query_params.get(name, ""))


def digits(text: str) -> int | None:
    """Of digits; None where there are others, none, or more than any number of ours has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < LONGEST_NUMBER else None


def _sentences(no: Refusal) -> list[str]:
    if isinstance(no, Unprocessable):
        return list(dict.fromkeys(sentence for each in no.errors.values() for sentence in each))
    return [no.message]


def _back(request: AnyRequest, number: int | None = None, *, deleted: bool = False) -> str:
    """The page of ours that the form was on."""
    if number is not None and not deleted and request.query_params.get("from") == "job":
        return f"/whisper/jobs/{number}"
    return "/whisper"


handlers = [page, more, search, submit, act, run_now, model]
