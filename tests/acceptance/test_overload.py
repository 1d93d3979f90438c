"""More work than the server can take is refused in time, and repeated requests add none."""

from pathlib import Path

import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import Member
from tests.acceptance.server import Server

AUDIO = ("talk.wav", b"RIFF", "audio/wav")


@pytest.fixture
def waiting(start: Start, tmp_path: Path) -> Server:
    """A server that takes jobs and begins none, because its model is not there."""
    return start(
        WHISPER_MODEL_PATH=tmp_path / "away.bin", QUEUE_WHEN_UNLOADED=True, MAX_QUEUED_JOBS=2
    )


def test_a_full_queue_refuses_before_it_reads_a_recording(waiting: Server, clip: Path) -> None:
    ada = Member(waiting, "ada@example.org", "--grant", "whisper.use")
    jobs = [waiting.submit(clip), waiting.submit(clip)]
    native = waiting.http.post("/jobs", files={"audio": AUDIO})
    assert (native.status_code, native.headers["retry-after"]) == (503, "5")
    assert native.json() == {"error": "the queue is full: 2 jobs are waiting; try again later"}
    hub = ada.ask("POST", "/jobs", files={"media_file": AUDIO})
    assert (hub.status_code, hub.headers["retry-after"]) == (503, "5")
    waiting.http.delete(f"/jobs/{jobs[0]}")
    waiting.submit(clip)


def test_a_repeated_request_of_the_hub_is_the_same_job(waiting: Server, clip: Path) -> None:
    ada = Member(waiting, "ada@example.org", "--grant", "whisper.use")

    def submit(key: str) -> dict[str, object]:
        with clip.open("rb") as content:
            answer = ada.ask(
                "POST",
                "/jobs",
                files={"media_file": (clip.name, content, "audio/wav")},
                headers={"Idempotency-Key": key},
            )
        assert answer.status_code == 200, answer.text
        job: dict[str, object] = answer.json()["job"]
        return job

    first = submit("monday")
    assert submit("monday")["id"] == first["id"]
    assert submit("tuesday")["id"] != first["id"]
    long = ada.ask("POST", "/jobs", json={}, headers={"Idempotency-Key": "k" * 256})
    assert (long.status_code, long.json()["ok"]) == (422, False)
