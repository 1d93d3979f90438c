"""/whisper/jobs/NUMBER: one job, its transcript, and what people make of it."""

import base64
from typing import Any

import msgspec
from litestar import Response, get, post

from actors.engine.languages import LANGUAGES
from actors.jobs.messages import Rename
from actors.llm.messages import RequestText
from app.auth.connection import caller_of
from app.http.byte_ranges import recording
from app.http.parameters import Number
from app.http.refusals import Unprocessable
from app.services.jobs import CHANNEL_LABELS
from app.services.order_form import LONGEST_LABEL
from app.services.services import Services
from app.services.share import ShareRequest
from app.web.edits import LONGEST_NAME
from app.web.job_request import AnyRequest, form_fields, job_done, job_seen, to_job
from app.web.lines import PAGE_LINES, page_of_lines
from app.web.presenters import FORMS, title
from app.web.queue import FIELDS, LABELS, digits, number_in, rows, sentences, shell
from app.web.render import app_page, fragment
from storage.errors import Invalid
from storage.records import Job, Permission, Share, Status, TextKind
from storage.times import seconds, utc

BEFORE = 20
"""Segments shown before the one that somebody is led to."""
AGAIN = ("model", "language", "task", "quality", "prompt", "word_timestamps", "disable_diarization")
"""What can be chosen anew for a recording that was transcribed before."""


@get("/jobs/{number:int}", include_in_schema=False)
async def page(request: AnyRequest, services: Services, number: Number) -> Response[str]:
    job = await job_seen(request, services, number)
    led_to = await services.system.edits.lines(job, [number_in(request, "line") or 0])
    at = max(0, (led_to[0].index if led_to else 0) - BEFORE)
    end = max(0, await services.system.edits.count(job) - PAGE_LINES)
    at = max(at, end) if job.status is Status.RUNNING else min(at, end)  # lines are added there
    return app_page(
        "job.html",
        **await shell(request, services),
        **await about(request, services, job),
        **await page_of_lines(services, job, at),
        waveform=base64.b64encode(await services.system.jobs.waveform(job)).decode(),
        has_audio=job.status is Status.DONE and services.system.spool.input(job.id).exists(),
    )


async def about(request: AnyRequest, services: Services, job: Job) -> dict[str, Any]:
    """All of a job but its transcript."""
    caller, system = caller_of(request), services.system
    share = (await system.shares.of_jobs([job])).get(job.number)
    texts = (await system.texts.of_jobs([job]))[job.number]
    return {
        "job": job,
        "plain": True,  # a row without buttons: the page has them elsewhere
        "row": (await rows(services, caller, [job]))[0],
        "title": title(job),
        **_kept(services, job),
        "channel": CHANNEL_LABELS.get(job.order.channel, job.order.channel),
        "model_name": job.order.model or job.model_used or services.info.default_model,
        "language": LANGUAGES.get(job.language or "", job.language),
        "languages": LANGUAGES,
        "people": (await system.speakers.of_jobs([job])).get(job.number),
        "analysis": [text for text in texts if text.kind is TextKind.ANALYSIS],
        "translations": [text for text in texts if text.kind is TextKind.TRANSLATION],
        "has_language_model": services.info.has_language_model,
        "administers": caller.account.admin,
        "may_assist": services.info.has_language_model and caller.account.may(Permission.ASSIST),
        "share": share,
        "share_url": share and services.shares.url(share),
        "callback": (await system.jobs.callbacks([job])).get(job.number),
        "log": await system.jobs.log(job),
        "left_out": await system.jobs.left_out(job),
        "edited": (edited := await system.edits.state(job)),
        "corrected": edited.corrected,
        "formats": FORMS,
        "may_repeat": job.completed_at is not None and system.spool.input(job.id).exists(),
        "models": system.configuration.catalogue.offered(),
        "diarization": system.configuration.diarization.diarization,
    }


def _kept(services: Services, job: Job) -> dict[str, str | None]:
    """What the page says of how long the recording and the job are kept."""
    if job.completed_at is None:
        return {"recording_kept": None, "recording_kept_until": None, "job_kept_until": None}
    retention, ended = services.system.configuration.retention, seconds(job.completed_at)
    there = services.system.spool.input(job.id).exists()
    recording, whole = retention.recording_secs, retention.job_secs
    return {
        "recording_kept": (
            "deleted"
            if not there
            else "kept while the disk has room"
            if recording is None
            else "kept until"
        ),
        "recording_kept_until": utc(ended + recording) if there and recording is not None else None,
        "job_kept_until": None if whole is None else utc(ended + whole),
    }


@get("/jobs/{number:int}/audio", include_in_schema=False)
async def audio(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    job = await job_seen(request, services, number)
    file = services.system.spool.input(job.id)
    return recording(file, job.order.media_type, request.headers.get("range"))


@post("/jobs/{number:int}/rename", include_in_schema=False)
async def rename(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    job = await job_seen(request, services, number)
    name = " ".join((await form_fields(request)).get("name", "").split())
    if len(name) > LONGEST_LABEL:
        raise Invalid(f"A name has at most {LONGEST_LABEL} characters.")
    await services.system.queue.ask(Rename(job.id, name or None))
    return to_job(number)


@post("/jobs/{number:int}/again", include_in_schema=False)
async def again(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    """The same recording once more with other options, as a job of its own."""
    job, caller = await job_seen(request, services, number), caller_of(request)
    given = {
        name: value
        for name, value in (await form_fields(request)).items()
        if name in AGAIN and value
    }
    try:
        made = await services.submissions.again(
            caller, job, {**given, "source_label": title(job)}, FIELDS, LABELS
        )
    except Unprocessable as refusal:
        raise Invalid(" ".join(sentences(refusal))) from None
    return to_job(made.number)


@post("/jobs/{number:int}/speakers", include_in_schema=False)
async def name_speakers(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    """The form's fields are the labels, and their values the names."""
    job = await job_done(request, services, number)
    given = await form_fields(request)
    people = (await services.system.speakers.of_jobs([job])).get(job.number)
    for label, name in people.names if people else ():
        wanted = " ".join(given.get(label, name).split())
        if len(wanted) > LONGEST_NAME:
            raise Invalid(f"A name has at most {LONGEST_NAME} characters.")
        if wanted != name:
            await services.system.speakers.name(job, label, wanted if wanted != label else None)
    return to_job(number)


@post("/jobs/{number:int}/share", include_in_schema=False)
async def share(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    job = await job_done(request, services, number)
    given = await form_fields(request)
    before = (await services.system.shares.of_jobs([job])).get(job.number)
    form = {
        "expires_in_hours": digits(given.get("expires_in_hours", "")) or None,
        "password": given.get("password") or None,
        "with_audio": given.get("with_audio") == "true",
        "with_downloads": given.get("with_downloads") == "true",
    }
    try:
        wanted = msgspec.convert(form, ShareRequest)
    except msgspec.ValidationError:
        raise Invalid("A share ends within ten years.") from None
    made = await services.shares.put(
        job,
        wanted,
        password_of=before if "no_password" not in given else None,
        end_of=before if given.get("expires_in_hours") == "keep" else None,
    )
    return await _share_panel(request, services, job, made)


@post("/jobs/{number:int}/unshare", include_in_schema=False)
async def unshare(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    job = await job_done(request, services, number)
    await services.shares.revoke(job)
    return await _share_panel(request, services, job, None)


@post("/jobs/{number:int}/texts", include_in_schema=False)
async def write_text(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    """An analysis or a translation, made or made anew."""
    job = await job_done(request, services, number)
    caller_of(request).require(Permission.ASSIST)
    given = await form_fields(request)
    kind, language = given.get("kind"), given.get("language") or job.analysis_language
    if kind not in tuple(TextKind) or language not in LANGUAGES:
        raise Invalid("Choose a language.")
    await services.system.analyst.ask(RequestText(job.id, TextKind(kind), language))
    if request.headers.get("hx-request"):
        return fragment("_texts.html", **await about(request, services, job))
    return to_job(number)


@post("/jobs/{number:int}/callback", include_in_schema=False)
async def replay(request: AnyRequest, services: Services, number: Number) -> Response[Any]:
    job = await job_seen(request, services, number)
    await services.jobs.replay_callback(job)
    return to_job(number)


async def _share_panel(
    request: AnyRequest, services: Services, job: Job, share: Share | None
) -> Response[Any]:
    if not request.headers.get("hx-request"):
        return to_job(job.number)
    url = share and services.shares.url(share)
    return fragment("_share.html", job=job, share=share, share_url=url)


handlers = [
    page, audio, rename, again, name_speakers, share, unshare, write_text, replay,
]  # fmt: skip
