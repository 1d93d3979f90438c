"""What bad input gets: a status, one clear sentence, and nothing left behind."""

import socket
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage.migrate import migrations
from tests.acceptance.conftest import Start
from tests.acceptance.server import Server
from tests.audio import silence

BOUNDARY = "frontier"
MULTIPART = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
AUDIO = {"audio": ("a.wav", b"RIFF")}


def part(name: str, value: bytes, filename: str = "") -> bytes:
    named = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def head(length: int) -> bytes:
    """A request whose body is still to come."""
    lines = ["POST /jobs HTTP/1.1", "Host: x", f"Content-Length: {length}"]
    lines += [f"Content-Type: {MULTIPART['content-type']}", "", ""]
    return "\r\n".join(lines).encode()


END = f"--{BOUNDARY}--\r\n".encode()


def said(response: httpx.Response) -> tuple[int, Any]:
    body = response.json()
    assert set(body) == {"error"}
    return response.status_code, body["error"]


@pytest.mark.parametrize(
    ("files", "fields", "sentence"),
    [
        ({"sound": b"RIFF"}, {}, "missing 'audio' field"),
        ({"audio": ("a.wav", b"")}, {}, "audio field is empty"),
        (AUDIO, {"task": "sing"}, "task must be 'transcribe' or 'translate'"),
        (AUDIO, {"language": "klingon"}, "language 'klingon' is not a code that Whisper knows"),
        (AUDIO, {"webhook_url": "not a url"}, "webhook_url must be an http or https URL"),
        (AUDIO, {"webhook_url": "ftp://a/"}, "webhook_url must be an http or https URL"),
        (AUDIO, {"webhook_url": "http://[::1/"}, "webhook_url is not a URL"),
        (AUDIO, {"webhook_url": "http://a:99999999/"}, "webhook_url is not a URL"),
        (AUDIO, {"audio_track": "0"}, "audio_track must be a whole number from 1 to 99"),
        (AUDIO, {"audio_track": "second"}, "audio_track must be a whole number from 1 to 99"),
        (AUDIO, {"word_timestamps": "maybe"}, "word_timestamps must be 'true' or 'false'"),
        (
            AUDIO,
            {"model": "../../etc/passwd"},
            "there is no model '../../etc/passwd' on this server, which has scripted",
        ),
        (
            AUDIO,
            {"model": "medium"},
            "there is no model 'medium' on this server, which has scripted",
        ),
        (AUDIO, {"prompt": "x" * 3000}, "prompt is longer than 2000 characters"),
    ],
)
def test_a_wrong_form_is_told_what_is_wrong(
    shared: Server, files: Any, fields: dict[str, str], sentence: str
) -> None:
    assert said(shared.http.post("/jobs", files=files, data=fields)) == (400, sentence)


def test_a_second_audio_field_is_one_too_many(shared: Server) -> None:
    body = part("audio", b"x", "a") + part("audio", b"y", "b") + END
    response = shared.http.post("/jobs", content=body, headers=MULTIPART)
    assert said(response) == (400, "there is more than one 'audio' field")


def test_a_text_field_of_300_mb_is_refused_and_never_held(shared: Server) -> None:
    def body() -> Any:
        yield part("prompt", b"")[:-2]
        for _ in range(300):
            yield bytes(1 << 20)

    before = resident_mb(shared.pid)
    try:
        response = shared.http.post("/jobs", content=body(), headers=MULTIPART)
        assert said(response) == (400, "field 'prompt' is longer than 16384 bytes")
    except (httpx.WriteError, httpx.ReadError):
        pass  # refused while we were still sending
    assert resident_mb(shared.pid) < before + 32
    assert shared.http.get("/livez").status_code == 200


def test_an_upload_over_the_limit_is_refused_and_leaves_nothing(start: Start, talk: Path) -> None:
    server = start(UPLOAD_MAX_MB=1)
    server.load()
    response = server.http.post("/jobs", files={"audio": ("a.wav", talk.read_bytes())})
    assert said(response) == (413, "the file is larger than 1 MB, which is all that is taken")
    assert list((server.folder / "data" / "spool").iterdir()) == []


def test_a_thousand_parts_are_too_many(shared: Server) -> None:
    body = b"".join(part(f"field{n}", b"x") for n in range(1000)) + END
    status, sentence = said(shared.http.post("/jobs", content=body, headers=MULTIPART))
    assert status == 400
    assert sentence.startswith("multipart error: ")


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "application/json", "text/plain"],
)
def test_a_body_without_a_boundary_is_no_form(shared: Server, content_type: str) -> None:
    response = shared.http.post("/jobs", content=b"{}", headers={"content-type": content_type})
    status, sentence = said(response)
    assert status == 400
    assert sentence.startswith("multipart error: the content-type")


def test_a_body_that_stops_before_its_last_boundary_is_malformed(shared: Server) -> None:
    response = shared.http.post("/jobs", content=part("audio", b"x", "a"), headers=MULTIPART)
    status, sentence = said(response)
    assert status == 400
    assert sentence.startswith("multipart error: ")


def test_a_client_that_vanishes_leaves_nothing(shared: Server) -> None:
    address = shared.http.base_url
    with socket.create_connection((address.host, address.port)) as client:
        client.sendall(head(9_000_000) + part("audio", bytes(3_000_000), "a"))
        shared.until(lambda: any(spool(shared).glob("*.part")))
    shared.until(lambda: not any(spool(shared).glob("*.part")))
    assert shared.http.get("/livez").status_code == 200


def test_a_file_name_is_never_a_path(shared: Server, clip: Path) -> None:
    response = shared.http.post("/jobs", files={"audio": ("../../evil.wav", clip.read_bytes())})
    job = shared.ended(response.json()["job_id"])
    assert (job["status"], job["filename"]) == ("done", "../../evil.wav")
    assert not list(shared.folder.rglob("evil*"))


@pytest.mark.parametrize(
    "playlist", ["ffconcat version 1.0\nfile {}\n", "#EXTM3U\n#EXTINF:4,\n{}\n"]
)
def test_a_playlist_opens_no_other_file(
    shared: Server, clip: Path, tmp_path: Path, playlist: str
) -> None:
    (tmp_path / "list.m3u8").write_text(playlist.format(clip))
    job = shared.ended(shared.submit(tmp_path / "list.m3u8"))
    assert job["status"] == "failed"
    assert str(clip.parent) not in job["error"]


def test_an_hour_of_silence_in_a_small_file_costs_no_inference(
    shared: Server, tmp_path: Path
) -> None:
    path = silence(tmp_path / "silence.flac", minutes=60)
    assert path.stat().st_size < 21_000
    job = shared.ended(shared.submit(path))
    assert (job["status"], job["duration_secs"], job["segments"]) == ("done", 3600.0, [])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/stream"), ("GET", "/transcript"), ("DELETE", "")],
)
@pytest.mark.parametrize("job_id", ["nope", "00000000-0000-0000-0000-000000000000", "%00", "'--"])
def test_an_unknown_job_is_not_found_whatever_its_id(
    shared: Server, method: str, path: str, job_id: str
) -> None:
    status, sentence = said(shared.http.request(method, f"/jobs/{job_id}{path}"))
    assert status == 404
    assert sentence.startswith("job ")
    assert sentence.endswith(" not found")


def test_what_is_over_cannot_be_cancelled(shared: Server, clip: Path) -> None:
    job_id = shared.submit(clip)
    shared.ended(job_id)
    assert said(shared.http.delete(f"/jobs/{job_id}")) == (
        409,
        f"job {job_id} is already in terminal state done",
    )


def test_a_transcript_that_is_not_there_yet_is_a_conflict(
    start: Start, slow: Path, talk: Path
) -> None:
    server = start(WHISPER_MODEL_PATH=slow)
    server.load()
    job_id = server.submit(talk)
    assert server.http.get(f"/jobs/{job_id}/transcript").status_code == 409


def test_an_unknown_format_is_named(shared: Server, clip: Path) -> None:
    job_id = shared.submit(clip)
    response = shared.http.get(f"/jobs/{job_id}/transcript", params={"format": "doc"})
    assert said(response) == (400, "format must be one of txt, srt, vtt, tsv, json")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("POST", "/nope", 404),
        ("PUT", "/jobs", 405),
        ("POST", "/jobs/x", 405),
        ("DELETE", "/model/status", 405),
        ("GET", "/model/load", 405),
        ("GET", "/jobs?limit=0", 400),
        ("GET", "/jobs?limit=x", 400),
        ("GET", "/jobs?status=lost", 400),
        ("GET", "/jobs?before=100000000000000000000", 400),
    ],
)
def test_every_error_has_the_guides_envelope(
    shared: Server, method: str, path: str, status: int
) -> None:
    assert said(shared.http.request(method, path))[0] == status


def test_503_comes_before_the_body_is_sent(start: Start) -> None:
    server = start(WHISPER_MODEL_PATH="/nowhere/ggml-none.bin")
    address = server.http.base_url
    with socket.create_connection((address.host, address.port), timeout=10) as client:
        client.sendall(head(9_000_000_000))
        assert client.recv(100).startswith(b"HTTP/1.1 503 ")


# What the server cannot start with.


def refused(tmp_path: Path, **settings: object) -> str:
    server = Server(tmp_path, **settings)
    with pytest.raises(AssertionError, match="the log has no"):
        server.start()
    assert server.stop() == 1
    return server.log[-1]


def test_a_database_of_a_newer_version(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "whisperbox.db") as c:
        c.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    c.close()
    assert "run the newer Whisperbox again" in refused(tmp_path)


def test_a_data_folder_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert "cannot write to DATA_DIR" in refused(tmp_path)


def test_a_data_folder_that_another_instance_owns(start: Start, tmp_path: Path) -> None:
    start()
    assert "another Whisperbox is running on DATA_DIR" in refused(tmp_path)


def test_a_port_in_use(start: Start, tmp_path: Path) -> None:
    port = start().http.base_url.port
    sentence = refused(tmp_path / "other", PORT=port)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; set PORT" in sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "PORT is 'http', but must be a whole number"),
        ("IDLE_TIMEOUT_SECS", "-1", "IDLE_TIMEOUT_SECS is -1.0, but must be at least 0"),
        ("WHISPER_DEVICE", "tpu", "WHISPER_DEVICE is 'tpu', but must be one of"),
        ("QUEUE_WHEN_UNLOADED", "ja", "QUEUE_WHEN_UNLOADED is 'ja', but must be true or false"),
    ],
)
def test_a_setting_that_does_not_fit(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    assert sentence in refused(tmp_path, **{name: value})


def test_a_model_that_nobody_knows(tmp_path: Path) -> None:
    sentence = refused(tmp_path, WHISPER_MODEL="tinny")
    assert "WHISPER_MODEL: there is no model 'tinny'" in sentence


def test_a_wrong_parameter_is_named(shared: Server) -> None:
    status, sentence = said(shared.http.get("/jobs?limit=500"))
    assert (status, sentence[:7]) == (400, "limit: ")
    assert "200" in sentence


# Models that cannot be loaded.


def test_a_model_file_cut_in_half_says_so_and_is_loaded_once_it_is_whole(
    start: Start, scripted: Path, tmp_path: Path, clip: Path
) -> None:
    data = scripted.read_bytes()
    cut = tmp_path / "ggml-cut.bin"
    cut.write_bytes(data[: len(data) // 2])
    server = start(WHISPER_MODEL_PATH=cut, QUEUE_WHEN_UNLOADED="true")
    job_id = server.submit(clip)

    def error() -> str:
        return str(server.http.get("/model/status").json().get("error"))

    server.until(lambda: "ggml-cut.bin is not complete" in error())
    assert server.job(job_id)["status"] == "queued"
    cut.write_bytes(data)
    assert server.ended(job_id)["status"] == "done"


def test_a_server_without_room_on_the_disk_refuses_uploads(shared: Server) -> None:
    address = shared.http.base_url
    with socket.create_connection((address.host, address.port), timeout=10) as client:
        client.sendall(head(1 << 60))
        answer = b""
        while b"}" not in answer:
            answer += client.recv(4000)
    assert answer.startswith(b"HTTP/1.1 507 ")
    assert b"too little free space" in answer


def spool(server: Server) -> Path:
    return server.folder / "data" / "spool"


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no such process")


def test_the_spool_holds_nothing_of_refused_uploads(shared: Server) -> None:
    shared.until(lambda: not any(spool(shared).glob("*.part")))
