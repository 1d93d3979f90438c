"""The hub dialect's documents: pure functions of the records.

Lists leave the transcript and the log out, which are in the document of one job.
"""

from collections.abc import Sequence

from actors.engine.languages import LANGUAGES
from app.hub.documents import (
    Analysis,
    CallbackState,
    CallbackStatus,
    Diarization,
    HubJob,
    HubSegment,
    Liveness,
    LivenessState,
    MadeText,
    May,
    ShareLink,
    SpeakersState,
    State,
    TextState,
    Translation,
)
from app.services.info import ServerInfo
from app.services.jobs import CHANNEL_LABELS, JobDetails
from app.services.progress import elapsed_secs, human, speed
from app.services.share import share_url
from app.transcripts.attribution import dialogue, labels
from app.transcripts.document import segment_evidence
from storage.records import (
    Action,
    Callback,
    Job,
    Phase,
    Segment,
    Share,
    Speakers,
    SpeakersStatus,
    Stage,
    Status,
    Text,
    TextKind,
    TextStatus,
)
from storage.times import seconds, utc

LABELS: dict[State, str] = {
    "queued": "Queued",
    "downloading": "Downloading",
    "transcribing": "Transcribing",
    "finalizing": "Finalizing",
    "completed": "Completed",
    "failed": "Failed",
}
TEXT_STATES: dict[TextStatus, TextState] = {
    TextStatus.PENDING: "pending",
    TextStatus.RUNNING: "running",
    TextStatus.DONE: "completed",
    TextStatus.FAILED: "failed",
}
CANCELLED = "The job was cancelled."
QUIET_S, SUSPECT_S, STALE_S = 60, 180, 600
"""Without a sign of life for so long. The slowest box that is any use hears a chunk of half a
minute within one; an engine that hangs is ended long before the last."""
SPEAKERS_WARNING = "Speakers are told apart by their channels or voices; labels are estimates."
SPEAKERS_STATES: dict[SpeakersStatus, SpeakersState] = {
    SpeakersStatus.PENDING: "pending",
    SpeakersStatus.RUNNING: "running",
    SpeakersStatus.DONE: "completed",
    SpeakersStatus.FAILED: "failed",
    SpeakersStatus.UNAVAILABLE: "unavailable",
}


def status_of(job: Job) -> State:
    match job.status:
        case Status.QUEUED:
            return "downloading" if job.stage is Stage.FETCHING else "queued"
        case Status.RUNNING:
            return "finalizing" if job.chunks_done == job.chunks_total else "transcribing"
        case Status.DONE:
            return "completed"
        case _:
            return "failed"


def job_document(details: JobDetails, info: ServerInfo, now: float) -> HubJob:
    """``now`` in seconds since the epoch; details without segments leave the transcript out."""
    job = details.job
    status, order = status_of(job), job.order
    elapsed = elapsed_secs(job, now)
    faster = speed(job, elapsed)
    shown = details.segments if job.status is Status.DONE else None
    named = labels(shown or (), details.turns)
    return {
        "id": job.number,
        "queue_channel": order.channel,
        "queue_channel_label": CHANNEL_LABELS.get(order.channel, order.channel),
        "status": status,
        "status_label": LABELS[status],
        "cancelled": job.status is Status.CANCELLED,
        "progress_percent": job.percent,
        "stage_label": _stage_label(job, status),
        "stage_detail": job.stage_detail,
        "stage_updated_at": job.heartbeat_at or job.stage_at,
        "runtime_log": [{"at": each.at, "message": each.line} for each in details.log],
        "last_error": last_error(job),
        "notices": list(job.notices),
        "source_type": "url" if order.source_url else "upload",
        "source_url": order.source_url,
        "source_label": order.label,
        "source_note": order.note,
        "source_filename": order.filename,
        "source_mime": order.media_type,
        "source_size_bytes": job.size_bytes,
        "source_duration_seconds": _rounded(job.duration_secs),
        "source_duration_human": human(job.duration_secs),
        "model": order.model or job.model_used or info.default_model,
        "language": job.language,
        "analysis_language_preference": order.analysis_language,
        "translation_target_languages": list(order.translations),
        "diarization_requested": order.speakers,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "processing_elapsed_seconds": _rounded(elapsed),
        "processing_elapsed_human": human(elapsed),
        "observed_throughput_multiplier": faster,
        "observed_throughput_summary": None if faster is None else f"{faster:g}× real time",
        "cpu_threads_configured": info.configuration.threads,
        "liveness": liveness(job, now),
        "cancel_requested_at": job.completed_at if job.status is Status.CANCELLED else None,
        **may(job, info, details.recording_kept),
        "transcript_text": None if shown is None else transcript_text(shown),
        "transcript_segments": [] if shown is None else _segments(shown, named),
        "left_out": [
            {"start": _rounded(x.start), "end": _rounded(x.end), "text": x.text, "reason": x.reason}
            for x in details.left_out
        ],
        "speaker_aware_transcript": dialogue(shown, named) if shown and any(named) else None,
        "analysis": _analysis(details.texts, shown is not None),
        "translations": translations_of(job, details.texts, shown is not None),
        "diarization": _diarization(
            job, details.speakers, named if details.segments is not None else None
        ),
        "callback": _callback(job, details.callback),
        "share": share_document(details.share, info.base_url) if details.share else None,
    }


def may(job: Job, info: ServerInfo, kept: bool) -> May:
    """What may be done, from the one table of what may be done when.

    A job that only waits is not cancelled in this dialect but deleted.
    """
    return {
        "can_cancel_now": job.allows(Action.CANCEL) and job.phase is Phase.WORKING,
        "can_restart_now": job.allows(Action.RESTART) and kept,
        "can_reset_for_retry": job.allows(Action.RESTART)
        and kept
        and job.phase is Phase.FAILED_OR_CANCELLED,
        "can_delete": job.allows(Action.DELETE),
        "can_analyze_transcript": info.has_language_model
        and job.phase is Phase.DONE
        and job.segments > 0,
    }


def liveness(job: Job, now: float) -> Liveness:
    beat, output = _age(job.heartbeat_at, now), _age(job.output_at, now)
    state = _liveness_state(job, beat)
    return {
        "state": state,
        "summary": _liveness_summary(state, beat),
        "heartbeat_at": job.heartbeat_at,
        "heartbeat_age_seconds": _rounded(beat),
        "last_output_at": job.output_at,
        "last_output_age_seconds": _rounded(output),
        "runner_id": None if state == "inactive" else f"job-{job.number}",
        "current_step": job.stage and job.stage.value,
        "stale_after_seconds": STALE_S,
        "is_stale": state == "stale",
    }


def share_document(share: Share, base_url: str) -> ShareLink:
    return {
        "url": share_url(share, base_url),
        "token": share.token,
        "created_at": share.created_at,
        "expires_at": _moment(share.expires),
        "has_password": share.password_hash is not None,
        "with_audio": share.with_audio,
        "with_downloads": share.with_downloads,
        "last_accessed_at": share.last_accessed_at,
        "access_count": share.access_count,
    }


def last_error(job: Job) -> str | None:
    return CANCELLED if job.status is Status.CANCELLED else job.error


def transcript_text(segments: Sequence[Segment]) -> str:
    return " ".join(text for each in segments if (text := each.text.strip()))


def _segments(segments: Sequence[Segment], named: Sequence[str | None]) -> list[HubSegment]:
    return [
        {
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "text": segment.text.strip(),
            "speaker_label": label,
            **segment_evidence(segment),
        }
        for segment, label in zip(segments, named, strict=True)
    ]


def _analysis(texts: Sequence[Text], in_full: bool) -> Analysis | None:
    newest = max(
        (text for text in texts if text.kind is TextKind.ANALYSIS),
        key=lambda text: text.updated_at,
        default=None,
    )
    return {"language": newest.language, **_text(newest, in_full)} if newest else None


def translations_of(job: Job, texts: Sequence[Text], in_full: bool) -> list[Translation]:
    """In the order they were asked for; those asked for later come last."""
    asked = {language: n for n, language in enumerate(job.order.translations)}
    made = [text for text in texts if text.kind is TextKind.TRANSLATION]
    return [
        {
            "target_language": text.language,
            "target_language_label": LANGUAGES.get(text.language, text.language),
            "source_language": job.language,
            "source_language_label": LANGUAGES.get(job.language or "", job.language),
            "truncated": text.truncated,
            **_text(text, in_full),
        }
        for text in sorted(made, key=lambda text: asked.get(text.language, len(asked)))
    ]


def _text(text: Text, in_full: bool) -> MadeText:
    return {
        "status": TEXT_STATES[text.status],
        "text": text.text if in_full else None,
        "model": text.model,
        "updated_at": text.updated_at,
        "error": text.error,
    }


def _stage_label(job: Job, status: State) -> str:
    if status == "queued" and job.stage is Stage.DECODING:
        return "Preparing the audio"
    return "Cancelled" if job.status is Status.CANCELLED else LABELS[status]


def _diarization(
    job: Job, speakers: Speakers | None, named: Sequence[str | None] | None
) -> Diarization:
    """A job that has ended without a row has nobody in it to tell apart. ``named``: the label of
    each segment, None where the document leaves them out."""
    if speakers is not None:
        status = SPEAKERS_STATES[speakers.status]
    else:
        status = "pending" if job.order.speakers and not job.status.terminal else "skipped"
    found = sorted({turn.label for turn in speakers.turns}) if speakers else []
    return {
        "status": status,
        "provider": speakers.provider if speakers else None,
        "updated_at": speakers.updated_at if speakers else None,
        "error": speakers.error if speakers else None,
        "warning": SPEAKERS_WARNING if status == "completed" else None,
        "speaker_count": len(found),
        "labelled_segment_count": (
            None if named is None else sum(label is not None for label in named)
        ),
        "speaker_labels": found,
    }


def _callback(job: Job, callback: Callback | None) -> CallbackStatus | None:
    if job.order.webhook_url is None:
        return None
    return {
        "url": job.order.webhook_url,
        "status": _callback_status(callback),
        "http_status": callback.http_status if callback else None,
        "last_attempt_at": callback.tried_at if callback else None,
        "delivered_at": callback.delivered_at if callback else None,
        "error": callback.error if callback else None,
    }


def _callback_status(callback: Callback | None) -> CallbackState:
    if callback is None or not callback.attempts:
        return "failed" if callback and callback.given_up else "pending"
    if callback.delivered_at:
        return "delivered"
    return "failed" if callback.given_up else "retrying"


def _liveness_state(job: Job, beat: float | None) -> LivenessState:
    if job.phase is not Phase.WORKING:
        return "inactive"
    if beat is None or beat < QUIET_S:
        return "active"
    return "quiet" if beat < SUSPECT_S else "suspect" if beat < STALE_S else "stale"


def _liveness_summary(state: LivenessState, beat: float | None) -> str:
    match state:
        case "inactive":
            return "Nothing is being done for this job now."
        case "active":
            return "The job is being worked on."
        case _:
            return f"The last sign of life is {beat:.0f} s old."


def _age(moment: str | None, now: float) -> float | None:
    return None if moment is None else max(0.0, now - seconds(moment))


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else utc(seconds)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
