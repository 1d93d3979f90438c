"""Webhooks to a real receiver on loopback."""

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.receiver import Receiver


def jobs_of(receiver: Receiver) -> list[dict[str, Any]]:
    return [body for body in receiver.bodies if "id" in body]


def test_a_finished_job_is_sent_as_it_is_polled(
    start: Start, receiver: Receiver, clip: Path
) -> None:
    server = start(WEBHOOK_SECRET="whsec_c2VjcmV0")
    server.load()
    job_id = server.submit(clip, webhook_url=receiver.url)
    receiver.wait(1)
    assert receiver.bodies == [server.job(job_id)]
    (headers,) = receiver.headers
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"].startswith("msg_")
    assert headers["webhook-signature"].startswith("v1,")


def test_failed_and_cancelled_jobs_are_sent_too(
    start: Start, receiver: Receiver, tmp_path: Path, talk: Path
) -> None:
    server = start()
    server.load()
    (tmp_path / "bad.wav").write_text("no audio")
    cancelled = server.submit(talk, webhook_url=receiver.url)
    server.http.delete(f"/jobs/{cancelled}")
    server.submit(tmp_path / "bad.wav", webhook_url=receiver.url)
    receiver.wait(2)
    assert sorted(body["status"] for body in receiver.bodies) == ["cancelled", "failed"]


def test_a_receiver_that_fails_is_tried_again_with_the_same_id(
    start: Start, receiver: Receiver, clip: Path
) -> None:
    server = start()
    server.load()
    receiver.statuses = [500, 301]  # a redirect is a failure, and never followed
    server.submit(clip, webhook_url=receiver.url)
    receiver.wait(3)
    assert len({headers["webhook-id"] for headers in receiver.headers}) == 1


def test_a_delivery_survives_a_kill(start: Start, receiver: Receiver, clip: Path) -> None:
    server = start()
    server.load()
    receiver.statuses = [503]
    job_id = server.submit(clip, webhook_url=receiver.url)
    receiver.wait(1)
    server.kill()
    server.start()
    receiver.wait(2)
    assert [body["id"] for body in jobs_of(receiver)[:2]] == [job_id, job_id]


def test_the_models_comings_and_goings_reach_urls_that_were_submitted(
    start: Start, receiver: Receiver, clip: Path
) -> None:
    server = start()
    server.load()
    server.submit(clip, webhook_url=receiver.url)
    receiver.wait(1)
    server.http.post("/model/unload")
    receiver.wait(2)
    server.load()
    *_, unloaded, ready = receiver.wait(3)
    assert unloaded == {"type": "model_unloaded"}
    loaded_at = server.http.get("/model/status").json()["loaded_at"]
    assert ready == {"type": "model_ready", "loaded_at": loaded_at}


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("http://169.254.169.254/latest/meta-data", {}),
        ("http://[::ffff:169.254.169.254]/", {}),
        ("http://[64:ff9b::a9fe:a9fe]/", {}),
        ("http://127.0.0.1:1/", {"WEBHOOK_PRIVATE_NETWORKS": "false"}),
        ("http://localhost:1/", {"WEBHOOK_PRIVATE_NETWORKS": "false"}),
    ],
)
def test_addresses_that_must_not_be_dialled_are_not(
    start: Start, clip: Path, url: str, settings: dict[str, str]
) -> None:
    server = start(**settings)
    server.load()
    server.submit(clip, webhook_url=url)
    server.wait_for_log(r"webhook retried: the address \S+ is not allowed")
