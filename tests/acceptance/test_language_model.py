"""Analyses and translations by a real process, from a real server that speaks the protocol."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import Member, Program
from tests.acceptance.receiver import Receiver
from tests.acceptance.server import Server
from tests.audio import wav
from tests.provider import Provider, data_of

RIGHTS = ("--grant", "whisper.use", "--grant", "whisper.api")


@pytest.fixture
def model() -> Iterator[Provider]:
    model = Provider(lambda text: f"about: {data_of(text)}")
    yield model
    model.close()


def assisted(start: Start, model: Provider, **settings: Any) -> Server:
    return start(OPENAI_BASE_URL=model.url, OPENAI_API_KEY="k", OPENAI_MODEL="m", **settings)


def member(server: Server, name: str = "ann", *words: str) -> tuple[Member, Program]:
    made = Member(
        server, f"{name}@box.example", *RIGHTS, *(words or ("--grant", "provider_openai"))
    )
    return made, made.token()


def test_the_callback_waits_for_what_was_asked_for(
    start: Start, model: Provider, receiver: Receiver, clip: Path
) -> None:
    model.hold.clear()
    server = assisted(start, model)
    ann, program = member(server)
    fields = {"translation_target_languages[]": ["sv", "fr"], "language": "en"}
    job = program.upload(clip, receiver.url, **fields)
    ann.server.until(lambda: ann.job(job["id"])["status"] == "completed")
    waiting = ann.job(job["id"])
    assert waiting["analysis"]["status"] in ("pending", "running")
    assert receiver.bodies == []
    model.hold.set()
    (body,) = receiver.wait(1)
    assert body["job"]["analysis_text"] == "about: Hello world.\nHow are you?"
    languages = [t["target_language"] for t in body["job"]["translations"]]
    assert languages == ["sv", "fr"]
    swedish = body["job"]["translations"][0]
    assert swedish["text"].startswith("about: Hello world.")
    assert (swedish["target_language_label"], swedish["source_language_label"]) == (
        "Swedish",
        "English",
    )
    assert (swedish["status"], swedish["truncated"]) == ("completed", False)
    assert (swedish["model"], swedish["error"]) == ("tiny-llm", None)
    assert ann.job(job["id"])["analysis"]["language"] == "en"


def test_a_kill_while_the_model_writes_costs_no_text_and_no_callback(
    start: Start, model: Provider, receiver: Receiver, clip: Path
) -> None:
    model.hold.clear()
    server = assisted(start, model)
    _, program = member(server)
    program.upload(clip, receiver.url)
    server.until(lambda: len(model.asked) == 1)
    server.kill()
    model.hold.set()
    server.start()
    (body,) = receiver.wait(1)
    assert body["job"]["analysis_text"].startswith("about: Hello")


def test_a_provider_that_fails_fails_no_job(
    start: Start, model: Provider, receiver: Receiver, clip: Path
) -> None:
    model.statuses = [401] * 9
    ann, program = member(assisted(start, model))
    job = program.upload(clip, receiver.url)
    (body,) = receiver.wait(1)
    assert (body["event"], body["job"]["analysis_text"]) == ("whisper.job.completed", None)
    analysis = ann.job(job["id"])["analysis"]
    assert (analysis["status"], analysis["text"]) == ("failed", None)
    assert analysis["error"] == "the language model's server answered 401"


def test_an_analysis_can_be_asked_for_again_and_the_old_one_stays_until_then(
    start: Start, model: Provider, clip: Path
) -> None:
    ann, _ = member(assisted(start, model))
    job = ann.upload(clip)
    ann.server.until(lambda: (ann.job(job["id"])["analysis"] or {}).get("status") == "completed")
    assert ann.job(job["id"])["can_analyze_transcript"]
    model.statuses = [401]
    assert ann.ask("POST", f"/jobs/{job['id']}/analyze").status_code == 200
    ann.server.until(lambda: ann.job(job["id"])["analysis"]["status"] == "failed")
    assert ann.job(job["id"])["analysis"]["text"].startswith("about: Hello")
    answer = ann.ask("POST", f"/jobs/{job['id']}/analyze", json={"language": "fr"})
    assert answer.status_code == 200
    french = {"language": "fr", "status": "completed"}
    ann.server.until(lambda: french.items() <= ann.job(job["id"])["analysis"].items())
    assert "French" in model.asked[-1]["messages"][0]["content"]
    wrong = ann.ask("POST", f"/jobs/{job['id']}/analyze", json={"language": "klingon"})
    assert wrong.status_code == 422


def test_who_may_not_use_the_provider_gets_the_transcript_alone(
    start: Start, model: Provider, receiver: Receiver, clip: Path
) -> None:
    bob, program = member(assisted(start, model), "bob", "--grant", "whisper.use")
    order = {"translation_target_languages[]": ["sv"], "analysis_language": "sv"}
    job = program.upload(clip, receiver.url, **order)
    (body,) = receiver.wait(1)
    assert (body["job"]["analysis_text"], body["job"]["translations"]) == (None, [])
    seen = bob.job(job["id"])
    assert seen["translation_target_languages"] == ["sv"], "kept as submitted"
    assert bob.ask("POST", f"/jobs/{job['id']}/analyze").status_code == 403
    assert model.asked == []


def test_a_budget_ends_the_spending(start: Start, model: Provider, clip: Path) -> None:
    ann, _ = member(assisted(start, model, QUOTA_LLM_TOKENS=5))
    first = ann.upload(clip)
    ann.server.until(lambda: (ann.job(first["id"])["analysis"] or {}).get("status") == "completed")
    assert ann.ask("DELETE", f"/jobs/{first['id']}").status_code == 200
    second = ann.upload(clip)
    ann.server.until(lambda: (ann.job(second["id"])["analysis"] or {}).get("status") == "failed")
    assert "budget" in ann.job(second["id"])["analysis"]["error"]
    assert len(model.asked) == 1


def test_a_recording_in_which_nobody_speaks_is_not_analysed(
    start: Start, model: Provider, receiver: Receiver, tmp_path: Path
) -> None:
    _, program = member(assisted(start, model))
    program.upload(wav(tmp_path / "a.wav", (3.0, False)), receiver.url)
    (body,) = receiver.wait(1)
    assert (body["job"]["transcript_text"], body["job"]["analysis_text"]) == ("", None)
    assert model.asked == []
