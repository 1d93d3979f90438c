"""The hub dialect, walked through against a real process."""

import gzip
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest

from app.hub.documents import HubJob, HubStatus, ShareLink
from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import PASSWORD, Member
from tests.acceptance.receiver import Receiver
from tests.acceptance.server import Server
from tests.media_server import MediaServer, fails_at_first, gives, redirects

TEXT = "Hello world. How are you?"
LOOPBACK = {"FETCH_NETWORKS": "127.0.0.0/8", "FETCH_PAGES": "false"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, scripted: Path) -> Iterator[Server]:
    """One server for the tests that leave no traces that others would see."""
    folder = tmp_path_factory.mktemp("hub")
    server = Server(
        folder, WHISPER_MODEL_PATH=scripted, REQUESTS_PER_MINUTE=0, QUEUE_WHEN_UNLOADED=True,
        **LOOPBACK,
    ).start()  # fmt: skip
    yield server
    server.kill()


@pytest.fixture(scope="module")
def ann(hub: Server) -> Member:
    return Member(hub, "ann@box.example", "--grant", "whisper.use", "--grant", "whisper.api")


@pytest.fixture(scope="module")
def bob(hub: Server) -> Member:
    return Member(hub, "bob@box.example", "--grant", "whisper.use", "--grant", "whisper.api")


@pytest.fixture(scope="module")
def root(hub: Server) -> Member:
    return Member(hub, "root@box.example", "--admin")


def test_an_upload_goes_from_queued_to_its_transcript(ann: Member, clip: Path) -> None:
    job = ann.upload(clip, source_label="Interview", source_note="a note", language="en")
    assert (job["status"], job["queue_channel"]) == ("queued", "web")
    done = ann.ended(job["id"])
    assert done["status"] == "completed"
    assert done["transcript_text"] == TEXT
    assert done["transcript_segments"][0].items() >= {
        "start": 0.0, "end": 2.0, "text": "Hello world.", "speaker_label": None,
    }.items()  # fmt: skip
    assert done["transcript_segments"][0]["language"] == "en"
    assert 0 < done["transcript_segments"][0]["speech_share"] <= 1
    assert (done["source_label"], done["source_note"]) == ("Interview", "a note")
    assert (done["source_mime"], done["source_size_bytes"]) == ("audio/wav", clip.stat().st_size)
    assert [line["message"] for line in done["runtime_log"]][-1] == "done"
    assert done["liveness"]["state"] == "inactive"
    assert str(ann.server.folder) not in str(done)


def test_every_document_has_the_shape_that_the_documentation_says(ann: Member, clip: Path) -> None:
    number = ann.upload(clip)["id"]
    msgspec.convert(ann.ended(number), HubJob)
    msgspec.convert(ann.get("/jobs")["jobs"], list[HubJob])
    msgspec.convert(ann.get("/status"), HubStatus)
    shared = ann.ask("POST", f"/jobs/{number}/share", json={"with_audio": True}).json()["share"]
    assert msgspec.convert(shared, ShareLink) == shared
    assert ann.job(number).keys() == HubJob.__required_keys__


def test_a_job_by_token_is_called_back_and_shared(
    ann: Member, receiver: Receiver, clip: Path
) -> None:
    program = ann.token()
    job = program.upload(clip, receiver.url, source_label="Customer interview")
    assert job["callback"] == {
        "url": receiver.url, "status": "pending", "http_status": None, "last_attempt_at": None,
        "delivered_at": None, "error": None,
    }  # fmt: skip
    assert (job["queue_channel_label"], job["share"]) == ("API queue", None)
    (body,) = receiver.wait(1)
    assert (body["ok"], body["event"]) == (True, "whisper.job.completed")
    told = body["job"]
    assert (told["job_id"], told["source"]) == (job["id"], "Customer interview")
    assert told["transcript_text"] == TEXT
    assert told["share"] == {"url": told["share_url"]}
    assert told["job_url"].endswith(f"/whisper/jobs/{job['id']}")
    ann.server.until(lambda: ann.job(job["id"])["callback"]["status"] == "delivered")
    seen = program.ask("GET", f"/jobs/{job['id']}").json()["job"]
    assert (seen["callback"]["http_status"], seen["callback"]["error"]) == (200, None)
    page = ann.server.http.get(told["share_url"])
    assert (page.status_code, "Hello world." in page.text) == (200, True)
    assert ann.job(job["id"])["share"]["access_count"] == 1
    assert len(receiver.bodies) == 1, "a hub callback hears of its job alone"


def test_a_callback_can_be_sent_again(ann: Member, receiver: Receiver, clip: Path) -> None:
    job = ann.token().upload(clip, receiver.url)
    receiver.wait(1)
    ann.server.until(lambda: ann.job(job["id"])["callback"]["status"] == "delivered")
    assert ann.ask("POST", f"/jobs/{job['id']}/callback").status_code == 200
    receiver.wait(2)
    assert receiver.bodies[0] == receiver.bodies[1]
    assert receiver.headers[0]["webhook-id"] == receiver.headers[1]["webhook-id"]


def test_a_callback_that_answers_with_a_bomb_is_read_no_further(
    ann: Member, web: MediaServer, clip: Path
) -> None:
    bomb = gives(gzip.compress(bytes(64 << 20)), Content_Encoding="gzip")
    job = ann.token().upload(clip, web.at("/hook", bomb))
    ann.server.until(lambda: ann.job(job["id"])["callback"]["status"] == "delivered")


def test_the_model_stays_what_it_was_whatever_the_default_becomes(
    start: Start, scripted: Path, clip: Path
) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true")
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    name = ann.ask("GET", "/status").json()["config"]["default_model"]
    named, unnamed = ann.upload(clip, model=name), ann.upload(clip)
    for job in (named, unnamed):
        ann.ended(job["id"])
    server.stop()
    server.settings["WHISPER_MODEL"] = "other"
    server.start()
    ann.sign_in()
    assert ann.ask("GET", "/status").json()["config"]["default_model"] == "other"
    assert [ann.job(job["id"])["model"] for job in (named, unnamed)] == [name, name]


def test_a_callback_that_redirects_is_tried_again_and_not_followed(
    ann: Member, web: MediaServer, clip: Path
) -> None:
    url = web.at("/hook", gives(b"", status=301, Location="/inside"))
    job = ann.token().upload(clip, url)
    ann.server.until(lambda: ann.job(job["id"])["callback"]["status"] == "retrying")
    assert ann.job(job["id"])["callback"]["http_status"] == 301
    assert "/inside" not in web.asked


def test_a_callback_of_an_end_before_a_restart_is_not_sent_again(
    ann: Member, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "a.mp3").write_bytes(b"no audio at all")
    job = ann.token().upload(tmp_path / "a.mp3", receiver.url)
    receiver.wait(1)
    ann.server.until(lambda: ann.job(job["id"])["callback"]["status"] == "delivered")
    assert ann.ask("POST", f"/jobs/{job['id']}/restart").status_code == 200
    receiver.wait(2)
    assert receiver.headers[0]["webhook-id"] != receiver.headers[1]["webhook-id"]


def test_a_failed_job_is_called_back_with_its_error(
    ann: Member, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "a.mp3").write_bytes(b"no audio at all")
    ann.token().upload(tmp_path / "a.mp3", receiver.url)
    (body,) = receiver.wait(1)
    assert (body["ok"], body["event"]) == (False, "whisper.job.failed")
    assert "not audio or video" in body["job"]["failure_error"]
    assert {"transcript_text", "share", "share_url"}.isdisjoint(body["job"])


def test_counters_and_capabilities_are_the_guides(ann: Member) -> None:
    status = ann.get("/status")
    assert status["ok"] is True
    assert set(status["summary"]) == {"queued", "processing", "completed", "failed"}
    assert status["can_manage_all"] is False
    assert status["config"]["enabled"] is True
    assert status["config"]["upload_limit"]["effective_max_label"] == "No limit"


# The transports of a token.


@pytest.mark.parametrize("how", ["bearer", "x-api-key", "apikey header", "apikey query"])
def test_a_token_is_taken_in_four_ways(ann: Member, how: str) -> None:
    secret = ann.token().secret
    headers, query = {}, ""
    match how:
        case "bearer":
            headers = {"Authorization": f"bearer {secret}"}
        case "x-api-key":
            headers = {"X-Api-Key": secret}
        case "apikey header":
            headers = {"apikey": secret}
        case "apikey query":
            query = f"?apikey={secret}"
    answer = ann.server.http.get(f"/api/whisper/transcribe/status{query}", headers=headers)
    assert answer.status_code == 200


# What is turned away.


def refused(answer: Any, status: int) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["ok"]) == (status, False), answer.text
    return body


def test_a_revoked_token_is_refused_at_once(ann: Member) -> None:
    program = ann.token()
    assert program.ask("GET", "/status").status_code == 200
    number = ann.server.command("token", "list", ann.email).splitlines()[1].split()[0]
    ann.server.command("token", "revoke", number)
    refused(program.ask("GET", "/status"), 401)


def test_an_expired_token_is_refused(ann: Member) -> None:
    refused(ann.token("--expires-days", "-1").ask("GET", "/status"), 401)


def test_a_token_is_no_session_and_a_session_is_no_token(ann: Member) -> None:
    secret = ann.token().secret
    refused(ann.ask("GET", "/jobs", headers={"Authorization": f"Bearer {secret}"}), 401)
    answer = ann.server.http.get(
        "/api/whisper/transcribe/jobs", headers={"Authorization": f"Bearer {ann.bearer}"}
    )
    refused(answer, 401)


def test_a_token_needs_its_owners_permissions(hub: Server) -> None:
    eve = Member(hub, "eve@box.example", "--grant", "whisper.use")
    program = eve.token()
    assert "whisper.api" in refused(program.ask("GET", "/status"), 403)["message"]
    hub.command("user", "grant", eve.email, "whisper.api")
    assert program.ask("GET", "/status").status_code == 200


def test_a_disabled_user_is_out_with_all_they_have(hub: Server) -> None:
    tom = Member(hub, "tom@box.example", "--grant", "whisper.use", "--grant", "whisper.api")
    program = tom.token()
    hub.command("user", "disable", tom.email)
    refused(tom.ask("GET", "/jobs"), 401)
    refused(program.ask("GET", "/status"), 401)
    login = {"email": tom.email, "password": PASSWORD}
    refused(hub.http.post("/api/account/login", json=login), 401)
    hub.command("user", "enable", tom.email)
    tom.sign_in()
    assert tom.ask("GET", "/jobs").status_code == 200


def test_a_session_ends_with_its_logout_and_others_stay(ann: Member) -> None:
    first = ann.bearer
    ann.sign_in()
    headers = {"Authorization": f"Bearer {first}"}
    assert ann.server.http.post("/api/account/logout", headers=headers).status_code == 200
    refused(ann.server.http.get("/api/whisper/jobs", headers=headers), 401)
    assert ann.ask("GET", "/jobs").status_code == 200


@pytest.mark.parametrize("key", ["", "another key, which is long enough for HS256"])
def test_a_session_that_we_did_not_sign_is_refused(ann: Member, key: str) -> None:
    claims = jwt.decode(ann.bearer, options={"verify_signature": False})
    forged = jwt.encode(claims, key or None, "HS256" if key else "none")
    refused(ann.ask("GET", "/jobs", headers={"Authorization": f"Bearer {forged}"}), 401)


def test_a_session_is_over_after_its_hour(ann: Member) -> None:
    assert jwt.decode(ann.bearer, options={"verify_signature": False})["exp"] < time.time() + 3601


@pytest.mark.parametrize(
    ("body", "field"),
    [({"email": "a" * 10_000 + "@b", "password": "x"}, "email"), ({"email": "a@b"}, "password"),
     ({"email": "nobody", "password": "x"}, "email"), ({"email": 5, "password": "x"}, "email")],
)  # fmt: skip
def test_a_login_that_cannot_be_right_names_its_field(
    hub: Server, body: dict[str, Any], field: str
) -> None:
    assert field in refused(hub.http.post("/api/account/login", json=body), 422)["errors"]


def test_a_wrong_password_and_an_unknown_account_are_told_apart_by_nobody(ann: Member) -> None:
    post = ann.server.http.post
    wrong = post("/api/account/login", json={"email": ann.email, "password": "wrong"})
    unknown = post("/api/account/login", json={"email": "x@y.example", "password": "wrong"})
    assert refused(wrong, 401) == refused(unknown, 401)


def test_guessing_passwords_is_slowed_down(start: Start) -> None:
    server = start()
    guess = {"email": "root@box.example", "password": "guess"}
    statuses = [server.http.post("/api/account/login", json=guess).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2


def test_a_principal_has_so_many_requests_a_minute(start: Start) -> None:
    server = start(REQUESTS_PER_MINUTE=5)
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    bob = Member(server, "bob@box.example", "--grant", "whisper.use")
    answers = [ann.ask("GET", "/jobs") for _ in range(6)]
    assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["4", "3", "2", "1", "0", "0"]
    assert int(answers[-1].headers["retry-after"]) > 0
    refused(answers[-1], 429)
    assert bob.ask("GET", "/jobs").status_code == 200


# What a form may hold.


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "source_url"),
        ({"source_url": "file:///etc/passwd"}, "source_url"),
        ({"source_url": "http://x/" + "a" * 3000}, "source_url"),
        ({"source_url": 7}, "source_url"),
        ({"source_url": "http://x/a.mp3", "language": "xx"}, "language"),
        ({"source_url": "http://x/a.mp3", "model": "../../etc/passwd"}, "model"),
        ({"source_url": "http://x/a.mp3", "source_label": "a" * 256}, "source_label"),
        ({"source_url": "http://x/a.mp3", "analysis_language": "klingon"}, "analysis_language"),
        ({"source_url": "http://x/a.mp3", "disable_diarization": "perhaps"}, "disable_diarization"),
        (
            {"source_url": "http://x/a.mp3", "translation_target_languages": ["en"] * 99 + [{}]},
            "translation_target_languages",
        ),
    ],
)
def test_a_wrong_field_is_named(ann: Member, fields: dict[str, Any], wrong: str) -> None:
    body = refused(ann.ask("POST", "/jobs", json=fields), 422)
    assert wrong in body["errors"]
    assert body["message"] == next(iter(body["errors"].values()))[0]


def test_a_hundred_translations_are_too_many(ann: Member) -> None:
    codes = "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el".split()
    order = {"source_url": "http://x/a", "translation_target_languages": codes}
    errors = refused(ann.ask("POST", "/jobs", json=order), 422)["errors"]
    assert "more than 20 entries" in errors["translation_target_languages"][0]


def test_both_sources_are_refused_before_the_file_is_read(ann: Member, clip: Path) -> None:
    answer = ann.ask(
        "POST", "/jobs", data={"source_url": "http://x/a.mp3"},
        files={"media_file": ("a.wav", clip.read_bytes())},
    )  # fmt: skip
    assert set(refused(answer, 422)["errors"]) == {"source_url", "media_file"}


def test_a_token_submit_wants_a_callback(ann: Member) -> None:
    answer = ann.token().ask("POST", json={"source_url": "http://x/a.mp3"})
    assert "callback_url" in refused(answer, 422)["errors"]


def test_an_upload_over_the_limit_is_told_so_in_words(start: Start, talk: Path) -> None:
    server = start(UPLOAD_MAX_MB=1)
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    answer = ann.ask("POST", "/jobs", files={"media_file": ("a.wav", talk.read_bytes())})
    assert refused(answer, 422)["errors"]["media_file"] == [
        "the file is larger than 1 MB, which is all that is taken"
    ]
    assert ann.get("/status")["config"]["upload_limit"]["effective_max_label"] == "1 MB"
    assert list((server.folder / "data" / "spool").iterdir()) == []


def test_more_jobs_than_the_quota_wait_for_nobody(start: Start, slow: Path, clip: Path) -> None:
    server = start(WHISPER_MODEL_PATH=slow, QUOTA_JOBS=2)
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    ann.upload(clip)
    ann.upload(clip)
    answer = ann.ask("POST", "/jobs", files={"media_file": ("a.wav", clip.read_bytes())})
    refused(answer, 429)
    assert answer.headers["retry-after"]


# URLs.


def test_a_media_file_is_fetched(ann: Member, web: MediaServer, clip: Path) -> None:
    url = web.at("/talk.wav?x=1", gives(clip.read_bytes()))
    order = {"source_url": url, "language": "en", "translation_target_languages": []}
    job = ann.ask("POST", "/jobs", json=order).json()["job"]
    assert job["source_type"] == "url"
    done = ann.ended(job["id"])
    assert (done["status"], done["transcript_text"]) == ("completed", TEXT)
    assert done["source_size_bytes"] == clip.stat().st_size
    assert done["source_filename"] == "talk.wav"


def test_a_server_that_stumbles_is_asked_again(ann: Member, web: MediaServer, clip: Path) -> None:
    url = web.at("/a.wav", fails_at_first(1, gives(clip.read_bytes())))
    job = ann.ask("POST", "/jobs", data={"source_url": url}).json()["job"]
    assert ann.ended(job["id"])["status"] == "completed"
    assert web.asked == ["/a.wav", "/a.wav"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (gives(b"<!DOCTYPE html><p>hello", Content_Type="audio/mpeg"), "gives a web page"),
        (gives(b"<p>hello", Content_Type="text/html"), "gives a web page"),
        (gives(b"{}", Content_Type="application/json"), "not audio or video"),
        (gives(b"", status=404), "answered 404"),
        (gives(b"", status=200), "empty file"),
        (gives(b"x", size=50 << 30), "larger than 4096 MB"),
        (redirects("http://169.254.169.254/latest"), "an address that is not allowed"),
        (redirects("file:///etc/passwd"), "must be an http or https URL"),
        (redirects("http://[::ffff:10.0.0.1]/"), "an address that is not allowed"),
        (redirects("http://10.0.0.1/"), "an address that is not allowed"),
    ],
)
def test_a_url_that_gives_no_recording_fails_with_a_sentence(
    ann: Member, web: MediaServer, answer: Any, sentence: str
) -> None:
    url = web.at("/a.mp3", answer)
    job = ann.ask("POST", "/jobs", json={"source_url": url}).json()["job"]
    failed = ann.ended(job["id"])
    assert failed["status"] == "failed"
    assert sentence in failed["last_error"]


def test_the_box_and_its_network_are_out_of_reach(
    start: Start, web: MediaServer, clip: Path
) -> None:
    """A literal address is refused at submission; a name only once it is resolved."""
    server = start(FETCH_NETWORKS="")
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    web.at("/", gives(clip.read_bytes()))
    port = web.server.server_port
    for host in (
        f"127.0.0.1:{port}", f"2130706433:{port}", f"[::ffff:127.0.0.1]:{port}", f"0x7f.1:{port}",
        f"127.1:{port}", f"[::1]:{port}", "10.0.0.1", "[::ffff:10.0.0.1]", "169.254.169.254",
    ):  # fmt: skip
        body = refused(ann.ask("POST", "/jobs", json={"source_url": f"http://{host}/"}), 422)
        (sentence,) = body["errors"]["source_url"]
        assert "an address of a private network" in sentence, host
    named = {"source_url": f"http://localhost:{port}/"}
    failed = ann.ended(ann.ask("POST", "/jobs", json=named).json()["job"]["id"])
    assert "an address that is not allowed" in failed["last_error"]
    assert web.asked == []


@pytest.mark.parametrize(
    ("proxies", "address"), [("127.0.0.1", "192.0.2.7"), ("192.0.2.0/24", "127.0.0.1")]
)
def test_the_log_has_the_address_of_a_refused_sign_in(
    start: Start, proxies: str, address: str
) -> None:
    server = start(FORWARDED_ALLOW_IPS=proxies)
    answer = server.http.post(
        "/api/account/login",
        json={"email": "eve@box.example", "password": "wrong"},
        headers={"X-Forwarded-For": "192.0.2.7"},
    )
    assert answer.status_code == 401
    server.wait_for_log(rf"warning a sign-in was refused address={re.escape(address)}$")


def test_a_fetch_can_be_cancelled_and_restarted(ann: Member, web: MediaServer, clip: Path) -> None:
    url = web.at("/slow.wav", web.trickles(bytes(10_000), 0.2))
    job = ann.ask("POST", "/jobs", json={"source_url": url}).json()["job"]
    ann.server.until(lambda: ann.job(job["id"])["status"] == "downloading")
    downloading = ann.job(job["id"])
    assert downloading["can_cancel_now"]
    assert not downloading["can_delete"]
    assert downloading["liveness"]["state"] == "active"
    cancelled = ann.ask("POST", f"/jobs/{job['id']}/cancel").json()["job"]
    assert (cancelled["status"], cancelled["cancelled"]) == ("failed", True)
    assert cancelled["last_error"] == "The job was cancelled."
    web.at("/slow.wav", gives(clip.read_bytes()))
    assert ann.ask("POST", f"/jobs/{job['id']}/restart").json()["job"]["status"] == "queued"
    assert ann.ended(job["id"])["status"] == "completed"


def test_a_kill_in_the_middle_of_a_fetch_costs_only_time(
    start: Start, web: MediaServer, receiver: Receiver, clip: Path
) -> None:
    server = start(**LOOPBACK)
    ann = Member(server, "ann@box.example", "--grant", "whisper.use", "--grant", "whisper.api")
    program = ann.token()
    url = web.at("/slow.wav", web.trickles(bytes(10_000), 0.2))
    order = {"source_url": url, "callback_url": receiver.url}
    job = program.ask("POST", json=order).json()["job"]
    server.until(lambda: ann.job(job["id"])["status"] == "downloading")
    server.kill()
    web.at("/slow.wav", gives(clip.read_bytes()))
    server.start()
    (body,) = receiver.wait(1)
    assert (body["event"], body["job"]["job_id"]) == ("whisper.job.completed", job["id"])


# What may be done when.


def test_a_deleted_job_is_gone_with_its_files(ann: Member, clip: Path) -> None:
    job = ann.ended(ann.upload(clip)["id"])
    spool = ann.server.folder / "data" / "spool"
    before = set(spool.iterdir())
    assert ann.ask("DELETE", f"/jobs/{job['id']}").status_code == 200
    refused(ann.ask("GET", f"/jobs/{job['id']}"), 404)
    ann.server.until(lambda: len(before - set(spool.iterdir())) == 1)


def test_a_running_job_is_cancelled_and_not_deleted(start: Start, slow: Path, talk: Path) -> None:
    server = start(WHISPER_MODEL_PATH=slow)
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    job = ann.upload(talk)
    server.until(lambda: ann.job(job["id"])["status"] == "transcribing")
    assert "cancel it first" in refused(ann.ask("DELETE", f"/jobs/{job['id']}"), 422)["message"]
    refused(ann.ask("POST", f"/jobs/{job['id']}/restart"), 422)
    waiting = ann.upload(talk)
    refused(ann.ask("POST", f"/jobs/{waiting['id']}/cancel"), 422)
    assert ann.ask("DELETE", f"/jobs/{waiting['id']}").status_code == 200
    assert ann.ask("POST", f"/jobs/{job['id']}/cancel").json()["job"]["cancelled"]
    assert ann.ask("POST", f"/jobs/{job['id']}/restart").json()["job"]["status"] == "queued"
    assert ann.ask("DELETE", f"/jobs/{job['id']}").status_code in (200, 422)


def test_what_is_no_longer_kept_cannot_be_restarted_and_its_document_says_so(
    ann: Member, tmp_path: Path
) -> None:
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"no audio at all")
    job = ann.ended(ann.upload(noise)["id"])
    assert (job["can_restart_now"], job["can_reset_for_retry"]) == (True, True)
    spool = ann.server.folder / "data" / "spool"
    for file in spool.iterdir():
        if file.read_bytes() == noise.read_bytes():
            file.unlink()
    job = ann.job(job["id"])
    assert (job["can_restart_now"], job["can_reset_for_retry"]) == (False, False)
    answer = refused(ann.ask("POST", f"/jobs/{job['id']}/restart"), 422)
    assert "no longer kept" in answer["message"]


def test_a_restart_repeats_the_job_as_it_was_submitted(
    start: Start, scripted: Path, clip: Path
) -> None:
    server = start(WHISPER_MODEL_PATH=server_file(scripted, b"no model"))
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    job = ann.upload(clip, language="de", source_note="again")
    failed = ann.ended(job["id"])
    assert failed["status"] == "failed"
    server.stop()
    server.settings["WHISPER_MODEL_PATH"] = scripted
    server.start()
    ann.sign_in()
    assert ann.ask("POST", f"/jobs/{job['id']}/restart").status_code == 200
    done = ann.ended(job["id"])
    assert (done["transcript_text"], done["language"], done["source_note"]) == (TEXT, "de", "again")


def server_file(beside: Path, content: bytes) -> Path:
    path = beside.with_name("broken.bin")
    path.write_bytes(content)
    return path


def test_run_now_is_for_managers_and_puts_failed_jobs_back(
    ann: Member, root: Member, tmp_path: Path
) -> None:
    (tmp_path / "a.mp3").write_bytes(b"no audio at all")
    job = ann.ended(ann.upload(tmp_path / "a.mp3")["id"])
    assert job["can_reset_for_retry"]
    refused(ann.ask("POST", "/run-now", json={}), 403)
    said = root.ask("POST", "/run-now", json={"limit": 1, "reset_failed": True}).json()
    assert said["reset"] == 1
    assert len(ann.ended(job["id"])["runtime_log"]) > len(job["runtime_log"])


def test_analysis_without_a_language_model_says_so(root: Member, clip: Path) -> None:
    job = root.ended(root.upload(clip)["id"])
    body = refused(root.ask("POST", f"/jobs/{job['id']}/analyze"), 422)
    assert "language model" in body["message"]


# Shares.


def test_a_share_can_be_made_changed_and_ended(ann: Member, clip: Path) -> None:
    job, http = ann.ended(ann.upload(clip, source_label="<script>alert(1)</script>")["id"]), ann
    path = f"/jobs/{job['id']}/share"
    share = http.ask("POST", path, json={"with_audio": True}).json()["share"]
    page = ann.server.http.get(share["url"])
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "default-src &#39;none&#39;" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["x-robots-tag"].startswith("noindex")
    assert page.headers["referrer-policy"] == "no-referrer"
    audio = ann.server.http.get(share["url"] + "/audio", headers={"Range": "bytes=0-3"})
    assert (audio.status_code, audio.content) == (206, clip.read_bytes()[:4])
    srt = ann.server.http.get(share["url"] + "/download/srt")
    assert srt.text.startswith("1\n00:00:00,000 --> 00:00:02,000\nHello world.")
    assert http.ask("POST", path, json={}).json()["share"]["url"] == share["url"]
    assert ann.server.http.get(share["url"] + "/audio").status_code == 404
    assert http.ask("DELETE", path).status_code == 200
    assert ann.server.http.get(share["url"]).status_code == 404
    assert http.ask("POST", path, json={}).json()["share"]["url"] != share["url"]


def test_a_password_keeps_a_share_from_others(ann: Member, clip: Path) -> None:
    job = ann.ended(ann.upload(clip)["id"])
    path = f"/jobs/{job['id']}/share"
    url = ann.ask("POST", path, json={"password": "open sesame"}).json()["share"]["url"]
    http = ann.server.http
    assert "Hello world." not in http.get(url).text
    assert http.get(url + "/download/txt").status_code == 404
    assert http.post(url, data={"password": "wrong"}).status_code == 403
    opened = http.post(url, data={"password": "open sesame"})
    assert opened.status_code == 303
    http.cookies.clear()
    name, value = opened.headers["set-cookie"].split(";")[0].split("=", 1)
    assert "Hello world." in http.get(url, headers={"Cookie": f"{name}={value}"}).text


def test_an_expired_share_is_gone(ann: Member, clip: Path) -> None:
    job = ann.ended(ann.upload(clip)["id"])
    soon = {"expires_in_hours": 0.0001}
    url = ann.ask("POST", f"/jobs/{job['id']}/share", json=soon).json()["share"]["url"]
    ann.server.until(lambda: ann.server.http.get(url).status_code == 404)


# The native dialect beside it.


def test_native_jobs_are_shown_to_managers_alone_and_hub_jobs_to_no_native_client(
    ann: Member, root: Member, clip: Path
) -> None:
    server = ann.server
    native = server.submit(clip)
    server.ended(native)
    hub_job = ann.upload(clip)
    ann.ended(hub_job["id"])
    listed = root.get("/jobs")["jobs"]
    assert "native" in {job["queue_channel"] for job in listed}
    assert "native" not in {job["queue_channel"] for job in ann.get("/jobs")["jobs"]}
    page = server.http.get("/jobs").json()["jobs"]
    assert native in {job["id"] for job in page}
    assert {job.get("filename") for job in page} == {clip.name}
    assert len(page) == sum(job["queue_channel"] == "native" for job in listed)


def test_the_native_dialect_can_be_closed(start: Start, clip: Path) -> None:
    server = start(REQUIRE_TOKEN="true", QUEUE_WHEN_UNLOADED="true")
    for path in ("/jobs", "/model/status", "/metrics"):
        answer = server.http.get(path)
        assert (answer.status_code, set(answer.json())) == (401, {"error"})
    for path in ("/health", "/livez", "/readyz"):
        assert server.http.get(path).status_code == 200
    ann, bob = (
        Member(server, f"{name}@box.example", "--grant", "whisper.use", "--grant", "whisper.api")
        for name in ("ann", "bob")
    )
    server.http.headers["X-Api-Key"] = ann.token().secret
    job_id = server.submit(clip)
    assert server.ended(job_id)["status"] == "done"
    server.settings["WHISPERBOX_TOKEN"] = ann.token().secret
    printed = server.command("transcribe", str(clip), "--server", str(server.http.base_url))
    assert printed == "Hello world.\nHow are you?\n"
    with_key = {"Idempotency-Key": "mine"}
    mine = server.http.post("/jobs", files={"audio": ("a.wav", b"a")}, headers=with_key).json()
    server.http.headers["X-Api-Key"] = bob.token().secret
    theirs = server.http.post("/jobs", files={"audio": ("a.wav", b"a")}, headers=with_key).json()
    assert mine["job_id"] != theirs["job_id"], "a key is its owner's own"
    routes = (("GET", ""), ("DELETE", ""), ("GET", "/stream"), ("GET", "/transcript"))
    for method, path in routes:
        assert server.http.request(method, f"/jobs/{job_id}{path}").status_code == 404


def test_the_first_administrator_comes_from_the_environment(start: Start) -> None:
    server = start(ADMIN_EMAIL="Root@Box.example", ADMIN_PASSWORD=PASSWORD)
    login = {"email": "root@box.example", "password": PASSWORD}
    answer = server.http.post("/api/account/login", json=login).json()
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 3600)
    assert answer["user"] == {"id": 1, "email": "root@box.example"}
    assert "administrator" in server.command("user", "list")


def test_a_token_is_printed_and_nothing_else(ann: Member) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "token", "create", "nobody@box.example", "--scope",
         "whisper.api"],
        env=ann.server._environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no account" in done.stderr
    assert ann.token().secret.startswith("wb_")
