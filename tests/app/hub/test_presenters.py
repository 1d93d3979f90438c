"""The hub guide's examples, to the field."""

import json
from datetime import datetime
from typing import Any

import pytest

from app.hub.callback import callback_body
from app.hub.presenters import (
    QUIET_S,
    STALE_S,
    SUSPECT_S,
    job_document,
    may,
    status_of,
)
from app.hub.status import status_document
from app.services.jobs import JobDetails
from storage.records import (
    ALLOWED_ACTIONS,
    Callback,
    Job,
    LogLine,
    Order,
    Phase,
    Segment,
    Share,
    Speakers,
    SpeakersStatus,
    Stage,
    Status,
    Turn,
)
from tests.records import AT, job, server_info

NOW = datetime.fromisoformat("2026-05-10T14:02:00.000Z").timestamp()
INFO = server_info("https://tools.example.test", model="large", upload_max_mb=64)
ORDER = Order(
    channel="api", owner=7, label="Customer interview", language="en", filename="a.wav",
    webhook_url="https://api.example.test/whisper/callback", webhook_format="hub",
    translations=("sv",), analysis_language="en", media_type="audio/wav", speakers=True,
)  # fmt: skip
SHARE = Share(
    token="example-token-redacted", job_number=123, created_at=AT, expires=None,
    password_hash=None, with_audio=False, with_downloads=True, access_count=2, last_accessed_at=AT,
)  # fmt: skip
SEGMENTS = [
    Segment(index=0, start=0.0, end=1.5, text=" Hello. "),
    Segment(index=1, start=1.5, end=1.5, text=" "),
    Segment(index=2, start=2.0, end=3.25, text=" World."),
]
DONE = {"status": Status.DONE, "chunks_done": 7, "completed_at": "2026-05-10T14:01:00.000Z"}


def api_job(**changes: Any) -> Job:
    return job(**{"number": 123, "order": ORDER} | changes)


def details(one: Job, **with_: Any) -> JobDetails:
    nothing: dict[str, Any] = {
        "share": None, "callback": None, "texts": (), "speakers": None, "recording_kept": True,
    }  # fmt: skip
    return JobDetails(job=one, **nothing | with_)


def shown(one: Job, **with_: Any) -> dict[str, Any]:
    made = job_document(details(one, **with_), INFO, NOW)
    document: dict[str, Any] = json.loads(json.dumps(made))
    return document


def test_a_fresh_api_job_has_the_guides_example() -> None:
    queued = api_job(status=Status.QUEUED, chunks_total=None, chunks_done=0)
    example = {
        "id": 123,
        "queue_channel": "api",
        "queue_channel_label": "API queue",
        "status": "queued",
        "callback": {
            "url": "https://api.example.test/whisper/callback",
            "status": "pending",
            "http_status": None,
            "last_attempt_at": None,
            "delivered_at": None,
            "error": None,
        },
        "share": None,
    }
    assert example.items() <= shown(queued).items()


def test_a_completed_callback_is_the_guides_example() -> None:
    url = "https://tools.example.test/shared/whisper/transcript/example-token-redacted"
    assert json.loads(
        callback_body(details(api_job(**DONE), share=SHARE, segments=SEGMENTS), INFO)
    ) == {
        "ok": True,
        "event": "whisper.job.completed",
        "job": {
            "job_id": 123,
            "status": "completed",
            "status_label": "Completed",
            "queue_channel": "api",
            "queue_channel_label": "API queue",
            "source": "Customer interview",
            "model": "large",
            "language": "en",
            "job_url": "https://tools.example.test/whisper/jobs/123",
            "share_url": url,
            "transcript_text": "Hello. World.",
            "analysis_text": None,
            "translations": [],
            "share": {"url": url},
        },
    }


def test_a_failed_callback_has_its_error_instead() -> None:
    failed = api_job(status=Status.FAILED, error="it is broken", completed_at=AT)
    body = json.loads(callback_body(details(failed), INFO))
    assert (body["ok"], body["event"]) == (False, "whisper.job.failed")
    assert body["job"]["failure_error"] == "it is broken"
    assert {"transcript_text", "share", "share_url", "translations"}.isdisjoint(body["job"])


def test_the_status_document_has_the_guides_shape() -> None:
    counts = {
        (Status.QUEUED, False): 3, (Status.QUEUED, True): 1, (Status.RUNNING, False): 1,
        (Status.DONE, False): 21, (Status.FAILED, False): 1, (Status.CANCELLED, False): 1,
    }  # fmt: skip
    document = status_document(counts, can_manage_all=False, info=INFO)
    assert document["summary"] == {"queued": 3, "processing": 2, "completed": 21, "failed": 2}
    assert (document["ok"], document["can_manage_all"]) == (True, False)
    config = document["config"]
    assert (config["enabled"], config["default_model"], config["upload_max_mb"]) == (
        True,
        "large",
        64,
    )
    assert {
        "configured_mb", "php_upload_max_mb", "php_post_max_mb", "effective_max_mb",
        "effective_max_label", "limited_by_php",
    } <= set(config["upload_limit"])  # fmt: skip
    assert config["upload_limit"]["effective_max_label"] == "64 MB"
    assert config["ytdlp_configured"] is True


EVIDENCE = ("language", "avg_logprob", "no_speech_prob", "compression_ratio", "speech_share")


def test_a_completed_job_in_full() -> None:
    done = shown(
        api_job(started_at=AT, **DONE), share=SHARE, segments=SEGMENTS,
        log=[LogLine(AT, "done")],
    )  # fmt: skip
    assert done["transcript_text"] == "Hello. World."
    assert done["transcript_segments"][2].items() >= {
        "start": 2.0, "end": 3.25, "text": "World.", "speaker_label": None,
    }.items()  # fmt: skip
    assert {done["transcript_segments"][2][name] for name in EVIDENCE} == {None}, "an old one's"
    assert (done["progress_percent"], done["stage_label"]) == (100, "Completed")
    assert (done["source_type"], done["source_mime"]) == ("upload", "audio/wav")
    assert (done["source_duration_seconds"], done["source_duration_human"]) == (120.5, "2m")
    assert (done["processing_elapsed_seconds"], done["processing_elapsed_human"]) == (60.0, "1m")
    assert done["observed_throughput_multiplier"] == 2.01
    assert done["observed_throughput_summary"] == "2.01× real time"
    assert (done["analysis_language_preference"], done["translation_target_languages"]) == (
        "en",
        ["sv"],
    )
    assert done["runtime_log"] == [{"at": AT, "message": "done"}]
    assert done["share"]["access_count"] == 2


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": Status.QUEUED}, "queued"),
        ({"status": Status.QUEUED, "stage": Stage.DECODING}, "queued"),
        ({"status": Status.QUEUED, "stage": Stage.FETCHING}, "downloading"),
        ({"status": Status.RUNNING}, "transcribing"),
        ({"status": Status.RUNNING, "chunks_done": 7}, "finalizing"),
        ({"status": Status.DONE, "chunks_done": 7}, "completed"),
        ({"status": Status.FAILED, "error": "x"}, "failed"),
        ({"status": Status.CANCELLED}, "failed"),
    ],
)
def test_every_state_has_the_contracts_name_and_permits_what_the_contract_says(
    changes: dict[str, Any], status: str
) -> None:
    one = api_job(**changes)
    assert status_of(one) == status
    assert may(one, INFO, kept=True) == {
        "can_cancel_now": status in ("downloading", "transcribing", "finalizing"),
        "can_restart_now": status in ("failed", "queued"),
        "can_reset_for_retry": status == "failed",
        "can_delete": status in ("queued", "completed", "failed"),
        "can_analyze_transcript": False,
    }


def test_the_table_of_what_may_be_done_has_every_phase() -> None:
    assert set(ALLOWED_ACTIONS) == set(Phase)


def test_a_cancelled_job_says_so() -> None:
    cancelled = shown(api_job(status=Status.CANCELLED, completed_at=AT), segments=SEGMENTS)
    assert (cancelled["status"], cancelled["cancelled"]) == ("failed", True)
    assert cancelled["last_error"] == "The job was cancelled."
    assert cancelled["cancel_requested_at"] == AT
    assert cancelled["transcript_text"] is None


@pytest.mark.parametrize(
    ("age", "state"),
    [(0, "active"), (QUIET_S, "quiet"), (SUSPECT_S, "suspect"), (STALE_S, "stale")],
)
def test_a_job_without_signs_of_life_is_suspected(age: float, state: str) -> None:
    beat = datetime.fromtimestamp(NOW - age).astimezone().isoformat()
    liveness = shown(api_job(heartbeat_at=beat, stage=Stage.TRANSCRIBING))["liveness"]
    assert (liveness["state"], liveness["is_stale"]) == (state, state == "stale")
    assert liveness["heartbeat_age_seconds"] == age
    assert liveness["current_step"] == "transcribing"


@pytest.mark.parametrize(
    ("tried", "status"),
    [
        ({}, "pending"),
        ({"attempts": 1, "http_status": 500}, "retrying"),
        ({"attempts": 12, "error": "no answer", "given_up": True}, "failed"),
        ({"given_up": True, "error": "the job was restarted"}, "failed"),
        ({"attempts": 1, "http_status": 200, "delivered_at": AT}, "delivered"),
    ],
)
def test_a_callback_shows_what_came_of_it(tried: dict[str, Any], status: str) -> None:
    fields = {
        "delivery_id": "msg", "attempts": 0, "http_status": None, "error": None, "tried_at": None,
        "delivered_at": None, "given_up": False,
    }  # fmt: skip
    callback = Callback(**fields | tried)
    assert shown(api_job(), callback=callback)["callback"]["status"] == status


def test_a_job_without_a_callback_has_none() -> None:
    assert shown(job(order=Order(channel="web", owner=1)))["callback"] is None


def test_speakers_are_named_on_segments_and_in_the_dialogue() -> None:
    turns = (Turn(0.0, 1.6, "Speaker 1"), Turn(1.9, 4.0, "Speaker 2"))
    found = Speakers(
        job_number=123, status=SpeakersStatus.DONE, provider="channels", turns=turns, error=None,
        tries=1, updated_at=AT,
    )  # fmt: skip
    done = shown(api_job(**DONE), segments=SEGMENTS, speakers=found)
    assert [s["speaker_label"] for s in done["transcript_segments"]] == [
        "Speaker 1", "Speaker 1", "Speaker 2",
    ]  # fmt: skip
    assert done["speaker_aware_transcript"] == "Speaker 1: Hello.\n\nSpeaker 2: World."
    assert done["diarization"] == {
        "status": "completed", "provider": "channels", "updated_at": AT, "error": None,
        "warning": done["diarization"]["warning"], "speaker_count": 2,
        "labelled_segment_count": 3, "speaker_labels": ["Speaker 1", "Speaker 2"],
    }  # fmt: skip
    assert done["transcript_text"] == "Hello. World."


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": Status.QUEUED}, "pending"),
        ({"status": Status.FAILED, "error": "x", "completed_at": AT}, "skipped"),
        ({"order": Order(speakers=False)}, "skipped"),
    ],
)
def test_speakers_are_pending_until_a_wanted_jobs_end(changes: dict[str, Any], status: str) -> None:
    assert shown(api_job(**changes))["diarization"]["status"] == status
