"""The guide's examples, to the field."""

import json
from typing import Any

import msgspec
import pytest

from actors.models.messages import Loading, ModelState, Ready, Unloaded, WaitingForGpu
from actors.models.vram import Vram
from app.native.documents import model_document, model_event, webhook_body
from app.transcripts.document import job_document
from storage.records import Delivery, Order, Segment, Status
from tests.records import AT, job


def plain(document: object) -> Any:
    return json.loads(msgspec.json.encode(document))


def test_a_running_job_is_the_guides_example() -> None:
    assert plain(job_document(job())) == {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "status": "running",
        "task": "transcribe",
        "language": "en",
        "progress": 42,
        "duration_secs": 120.5,
        "segments": [],
        "created_at": AT,
    }


def test_a_done_job_is_the_guides_example() -> None:
    segment = Segment(index=0, start=0.0, end=3.5, text="Hello, world.")
    done = job(status=Status.DONE, completed_at="2026-05-10T14:02:35.000Z", chunks_done=7)
    document = plain(job_document(done, [segment]))
    assert document["progress"] == 100
    assert document["completed_at"] == "2026-05-10T14:02:35.000Z"
    assert document["segments"] == [
        {"index": 0, "start": 0.0, "end": 3.5, "text": "Hello, world.", "words": []}
    ]


def test_segments_are_shown_of_done_jobs_alone() -> None:
    segment = Segment(index=0, start=0.0, end=3.5, text="Hello, world.")
    for status in (Status.RUNNING, Status.CANCELLED, Status.FAILED):
        assert job_document(job(status=status), [segment]).segments == []


def test_what_is_not_known_is_left_out() -> None:
    document = plain(job_document(job(order=Order(), duration_secs=None)))
    assert set(document) == {"id", "status", "task", "progress", "segments", "created_at"}


@pytest.mark.parametrize(
    ("state", "document", "event"),
    [
        (Unloaded(), {"state": "unloaded"}, {"type": "model_unloaded"}),
        (
            Unloaded("no such file"),
            {"state": "unloaded", "error": "no such file"},
            {"type": "model_unloaded", "error": "no such file"},
        ),
        (Loading("base"), {"state": "loading", "model": "base"}, {"type": "model_loading"}),
        (
            WaitingForGpu("base", 3951, 512, 30),
            {
                "state": "waiting_for_gpu", "vram_needed_mb": 3951, "vram_free_mb": 512,
                "retry_in_secs": 30, "model": "base",
            },
            {
                "type": "model_waiting_for_gpu", "vram_needed_mb": 3951, "vram_free_mb": 512,
                "retry_in_secs": 30,
            },
        ),
        (
            Ready("base", AT),
            {"state": "ready", "loaded_at": AT, "model": "base"},
            {"type": "model_ready", "loaded_at": AT},
        ),
    ],
)  # fmt: skip
def test_the_models_states(state: ModelState, document: Any, event: Any) -> None:
    assert plain(model_document(state, None)) == document
    assert plain(model_event(state)) == event


def test_vram_is_shown_where_there_is_some() -> None:
    document = model_document(Ready("base", AT), Vram(8192, 4096, 4096))
    assert (document.vram_used_mb, document.vram_total_mb) == (4096, 8192)


def test_webhooks_of_the_model_have_a_type_and_no_id() -> None:
    def body(event: str) -> Any:
        made = Delivery(
            id="msg",
            event=event,
            url="",
            origin="",
            format="",
            job_id=None,
            happened_at=AT,
            attempts=0,
        )
        return json.loads(webhook_body(made, None, [], []))

    assert body("model_ready") == {"type": "model_ready", "loaded_at": AT}
    assert body("model_unloaded") == {"type": "model_unloaded"}
