"""/whisper: the queue, what is put into it, and what is done with it."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from litestar import Request, Response, get, post
from litestar.response import Redirect

from actors.engine.languages import LANGUAGES
from actors.jobs.messages import Cancel, Delete, Restart
from actors.models.messages import LoadModel, State, UnloadModel
from app.auth.connection import caller_of
from app.auth.permissions import Caller
from app.http.parameters import IdempotencyKey, Number
from app.http.refusals import Unprocessable
from app.services import order_form
from app.services.model_line import model_line
from app.services.services import Services
from app.web.presenters import FORMS, Row, row, title
from app.web.render import app_page, fragment, html
from storage.errors import Busy, NotFound, Refusal
from storage.records import Channel, Job, Permission, SearchHit, Status

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
FILE, URL = "media_file", "source_url"
FIELDS = {
    URL: order_form.SOURCE_URL,
    "source_label": order_form.LABEL,
    "model": order_form.MODEL,
    "language": order_form.LANGUAGE,
    "task": order_form.TASK,
    "quality": order_form.QUALITY,
    "word_timestamps": order_form.WORD_TIMESTAMPS,
    "prompt": order_form.PROMPT,
    "analysis_language": order_form.ANALYSIS_LANGUAGE,
    "translation_target_languages": order_form.TRANSLATIONS,
    "disable_diarization": order_form.NO_DIARIZATION,
}
LABELS = {
    FILE: "recording",
    URL: "link",
    "source_label": "label",
    "analysis_language": "analysis language",
    "translation_target_languages": "translation language",
    "word_timestamps": "choice of word times",
    "disable_diarization": "choice of speakers",
}
"""What the sentences about these fields call them."""
LONGEST_BODY = 64 << 10


@get("/", include_in_schema=False)
async def page(request: AnyRequest, services: Services) -> Response[str]:
    return await queue_page(request, services)


@get("/rows", include_in_schema=False)
async def more(request: AnyRequest, services: Services) -> Response[str]:
    """The rows after ``before``, for a page that has those until there."""
    return fragment("_rows.html", **await _rows(request, services))


@get("/search", include_in_schema=False)
async def search(request: AnyRequest, services: Services) -> Response[str]:
    """Everything that was said, and what jobs are called."""
    view = caller_of(request).jobs
    text = request.query_params.get("q", "").strip()[:LONGEST_QUERY]
    try:
        hits = await services.system.search.spoken(text, view, MOST_HITS) if text else []
        named = await services.system.search.named(text, view, MOST_HITS) if text else []
        problem = None
    except Busy as busy:
        hits, named, problem = [], [], f"{busy.message}.".capitalize()
    found: dict[str, Any] = {
        "text": text,
        "problem": problem,
        "groups": _by_recording(hits),
        "places": len(hits),
        "named": await rows(services, caller_of(request), named),
        "most": MOST_HITS,
    }
    if request.headers.get("hx-request"):
        return fragment("_found.html", **found)
    return app_page("search.html", **await shell(request, services), **found)


def _by_recording(hits: Sequence[SearchHit]) -> list[tuple[str, list[SearchHit]]]:
    """The hits of each recording together, in their order there; that with the best hit first."""
    found: defaultdict[int, list[SearchHit]] = defaultdict(list)
    for hit in hits:
        found[hit.job.number].append(hit)
    return [
        (title(group[0].job), sorted(group, key=lambda hit: hit.start)) for group in found.values()
    ]


@post("/jobs", include_in_schema=False, request_max_body_size=None)
async def submit(
    request: AnyRequest, services: Services, key: IdempotencyKey = None
) -> Response[Any]:
    """The same form and the same checks as the hub dialect's. The page names its recordings by a
    key, so that one whose answer was lost is not queued twice."""
    caller = caller_of(request)
    try:
        job = await services.submissions.submit_for(
            request,
            caller,
            FIELDS,
            file_field=FILE,
            url_field=URL,
            channel=Channel.WEB,
            labels=LABELS,
            key=key,
        )
    except Refusal as refusal:
        told = sentences(refusal)
        if request.headers.get("hx-request"):
            return fragment("_problems.html", 422, sentences=told)
        typed = refusal.typed if isinstance(refusal, Unprocessable) else {}
        return await queue_page(request, services, 422, told, typed)
    if request.headers.get("hx-request"):
        return fragment("_row.html", row=(await rows(services, caller, [job]))[0])
    return Redirect("/whisper", status_code=303)


@post("/jobs/{number:int}/{action:str}", include_in_schema=False)
async def act(
    request: AnyRequest, services: Services, number: Number, action: str
) -> Response[Any]:
    """Cancel, restart or delete, answered with the job's row."""
    caller = caller_of(request)
    job = await services.jobs.find(number, caller.jobs)
    changed = await _do(services, action, job)
    if not request.headers.get("hx-request"):
        return Redirect(_back(request, number, deleted=action == "delete"), status_code=303)
    if action == "delete":
        if request.headers.get("hx-target", "").startswith("job-"):
            return Response("", media_type="text/html")
        return Response("", media_type="text/html", headers={"HX-Redirect": "/whisper"})
    return fragment("_row.html", row=(await rows(services, caller, [changed]))[0])


async def _do(services: Services, action: str, job: Job) -> Job:
    match action:
        case "cancel":
            return await services.system.queue.ask(Cancel(job.id))
        case "restart":
            return await services.system.queue.ask(Restart(job.id))
        case "delete":
            await services.system.queue.ask(Delete(job.id))
            return job
        case _:
            raise NotFound("there is no such action")


@post("/run-now", include_in_schema=False)
async def run_now(request: AnyRequest, services: Services) -> Response[Any]:
    """Load the model for whatever waits."""
    caller_of(request).require(Permission.MANAGE)
    return await _model(request, services, load=True)


@post("/model/{wish:str}", include_in_schema=False)
async def model(request: AnyRequest, services: Services, wish: str) -> Response[Any]:
    if wish not in ("load", "unload"):
        raise NotFound("there is no such wish")
    return await _model(request, services, load=wish == "load")


async def _model(request: AnyRequest, services: Services, *, load: bool) -> Response[Any]:
    if load:
        await services.system.lifecycle.ask(LoadModel())
    else:
        await services.system.lifecycle.ask(UnloadModel())
    if request.headers.get("hx-request"):
        return Response(await model_html(services), media_type="text/html")
    return Redirect(_back(request), status_code=303)


async def queue_page(
    request: AnyRequest,
    services: Services,
    status: int = 200,
    problems: Sequence[str] = (),
    typed: Mapping[str, str] | None = None,
) -> Response[str]:
    configuration, caller = services.system.configuration, caller_of(request)
    return app_page(
        "queue.html",
        status,
        **await shell(request, services),
        **await _rows(request, services),
        problems=problems,
        typed=defaultdict(str, typed or {}),
        models=configuration.catalogue.offered(),
        languages=sorted(LANGUAGES.items(), key=lambda pair: pair[1]),
        assists=services.info.has_language_model and caller.account.may(Permission.ASSIST),
        pages=configuration.fetch.fetch_pages,
        diarization=configuration.diarization.diarization,
        most_mb=services.info.upload_max_mb,
        filters=FILTERS,
        forms=FORMS,
    )


async def shell(request: AnyRequest, services: Services) -> dict[str, Any]:
    """What every page has around its own."""
    caller = caller_of(request)
    return {
        "me": caller.account,
        "manages": caller.account.may(Permission.MANAGE),
        "path": request.url.path,
        **await _about_the_model(services),
    }


async def model_html(services: Services) -> str:
    return html("_model.html", **await _about_the_model(services))


async def _about_the_model(services: Services) -> dict[str, Any]:
    configuration = services.system.configuration
    device, threads = configuration.device, configuration.threads
    return {
        "model": model_line(await services.system.lifecycle.ask(State())),
        "device": (
            device.description if device else f"{threads} CPU thread{'s' if threads > 1 else ''}"
        ),
    }


async def rows(services: Services, caller: Caller, jobs: Iterable[Job]) -> list[Row]:
    jobs, now = list(jobs), time.time()
    waiting = any(job.status is Status.QUEUED for job in jobs)
    places = (
        {number: n for n, number in enumerate(await services.system.jobs.waiting_numbers(), 1)}
        if waiting
        else {}
    )
    owners = {}
    if caller.account.may(Permission.MANAGE):
        owners = {
            account.number: account.email
            for account in await services.system.accounts.all()
            if account.number != caller.account.number
        }
    return [
        row(
            job,
            now,
            place=places.get(job.number),
            owner=owners.get(job.order.owner) if job.order.owner is not None else None,
        )
        for job in jobs
    ]


async def _rows(request: AnyRequest, services: Services) -> dict[str, Any]:
    """The next page of rows, as the address asks for them."""
    caller, wanted = caller_of(request), request.query_params.get("show", "")
    before = number_in(request, "before")
    jobs = await services.system.jobs.page(FILTERS.get(wanted), before, PAGE, caller.jobs)
    return {
        "rows": await rows(services, caller, jobs),
        "show": wanted if wanted in FILTERS else "",
        "before": jobs[-1].number if len(jobs) == PAGE else None,
    }


def number_in(request: AnyRequest, name: str) -> int | None:
    """What an address says by that name; None where it says nothing that could be meant."""
    return digits(request.query_params.get(name, ""))


def digits(text: str) -> int | None:
    """Of digits; None where there are others, none, or more than any number of ours has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < LONGEST_NUMBER else None


def sentences(refusal: Refusal) -> list[str]:
    if isinstance(refusal, Unprocessable):
        found = (each for sentences in refusal.errors.values() for each in sentences)
        return list(dict.fromkeys(map(_sentence, found)))
    return [_sentence(refusal.message)]


def _sentence(message: str) -> str:
    """With a capital letter and a full stop."""
    message = message[:1].upper() + message[1:]
    return message if message.endswith((".", "!", "?")) else f"{message}."


def _back(request: AnyRequest, number: int | None = None, *, deleted: bool = False) -> str:
    """The page of ours that the form was on."""
    if number is not None and not deleted and request.query_params.get("from") == "job":
        return f"/whisper/jobs/{number}"
    return "/whisper"


handlers = [page, more, search, submit, act, run_now, model]
