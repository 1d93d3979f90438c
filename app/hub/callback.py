"""The body of a job's callback."""

from typing import Any

import msgspec

from app.hub.presenters import LABELS, last_error, status_of, transcript_text, translations_of
from app.services.info import ServerInfo
from app.services.jobs import CHANNEL_LABELS, JobDetails, title
from app.services.share import share_url
from storage.records import Status, TextKind


def callback_body(details: JobDetails, info: ServerInfo) -> bytes:
    """The body of a job's callback; ``details`` with its segments."""
    job, segments = details.job, details.segments or ()
    done = job.status is Status.DONE
    status = status_of(job)
    about: dict[str, Any] = {
        "job_id": job.number,
        "status": status,
        "status_label": LABELS[status],
        "queue_channel": job.order.channel,
        "queue_channel_label": CHANNEL_LABELS.get(job.order.channel, job.order.channel),
        "source": title(job),
        "model": job.order.model or job.model_used or info.default_model,
        "language": job.language,
        "job_url": f"{info.base_url}/whisper/jobs/{job.number}",
    }
    if done:
        url = details.share and share_url(details.share, info.base_url)
        about |= {
            "share_url": url,
            "transcript_text": transcript_text(segments),
            "analysis_text": next(
                (t.text for t in details.texts if t.kind is TextKind.ANALYSIS), None
            ),
            "translations": translations_of(job, details.texts, True),
            "share": url and {"url": url},
        }
    else:
        about["failure_error"] = last_error(job)
    event = "whisper.job.completed" if done else "whisper.job.failed"
    return msgspec.json.encode({"ok": done, "event": event, "job": about})
