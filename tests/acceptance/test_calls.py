"""Calls that are answered with the transcript itself, by clients that do not wait for it."""

import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import openai
import psutil
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import write_event

from tests.acceptance.conftest import Start
from tests.acceptance.server import Server
from tests.acceptance.test_openai import PATH, client_of, jobs
from tests.acceptance.test_restarts import engine_pid
from tests.audio import spoken

CHUNK = 64 << 10


def request(path: str, field: str, recording: bytes, **fields: str) -> bytes:
    """A whole request, as it goes over the wire."""
    made = httpx.Request("POST", f"http://box{path}", files={field: recording}, data=fields)
    head = b"".join(b"%s: %s\r\n" % each for each in made.headers.raw)
    return f"POST {path} HTTP/1.1\r\n".encode() + head + b"\r\n" + made.read()


@contextmanager
def connected(server: Server, port: int | None = None) -> Iterator[socket.socket]:
    url = server.http.base_url
    with socket.create_connection((url.host, port or url.port), timeout=30) as connection:
        yield connection


def say_to_wyoming(connection: socket.socket, recording: bytes, *, whole: bool) -> None:
    chunks = [recording[at : at + CHUNK] for at in range(0, len(recording), CHUNK)]
    events = [Transcribe(), AudioStart(16_000, 2, 1)]
    events += [AudioChunk(16_000, 2, 1, chunk) for chunk in chunks]
    with connection.makefile("wb") as file:
        for event in [*events, AudioStop()] if whole else events:
            write_event(event.event(), file)


def read_until(connection: socket.socket, wanted: bytes) -> None:
    read = b""
    while wanted not in read:
        part = connection.recv(1 << 16)
        assert part, read
        read += part


def begun_uploads(server: Server) -> list[Path]:
    return list((server.folder / "data" / "spool").glob("*.part"))


def statuses(server: Server) -> list[str]:
    return sorted(job["status"] for job in jobs(server))


def test_a_client_that_hangs_up_in_any_phase_leaves_no_work_behind(
    start: Start, slow: Path, tmp_path: Path
) -> None:
    """All phases at once: what is given up is given up after a while in which clients may come
    again."""
    server = start(WHISPER_MODEL_PATH=slow, WYOMING_PORT=0)
    wyoming = int(server.wait_for_log(r"Wyoming.*:(\d+)")[1])
    server.load()
    talk = spoken(tmp_path / "talk.wav", [9.0] * 60).read_bytes()
    recordings = [spoken(tmp_path / f"{n}.wav", [1.0 + n]).read_bytes() for n in range(5)]
    shared = request(PATH, "file", recordings[0])
    waiting = [
        request(PATH, "file", recordings[1], response_format="srt"),
        request("/asr", "audio_file", recordings[2]),
        request("/detect-language", "audio_file", recordings[3]),
    ]
    unfinished = [
        b"POST /v1/audio/transcr",
        request(PATH, "file", talk)[:-1000],
        request("/asr", "audio_file", talk)[:-1000],
    ]
    with ThreadPoolExecutor() as pool:
        with ExitStack() as clients:
            reader = clients.enter_context(connected(server))
            reader.sendall(request(PATH, "file", talk, stream="true"))
            read_until(reader, b"transcript.text.delta")
            engine = psutil.Process(engine_pid(server))
            engine.suspend()  # so that nothing ends by itself
            for each in [shared, *waiting]:
                clients.enter_context(connected(server)).sendall(each)
            say_to_wyoming(
                clients.enter_context(connected(server, wyoming)), recordings[4], whole=True
            )
            server.until(lambda: len(jobs(server)) == 1 + 1 + len(waiting) + 1)
            also_waits = pool.submit(
                server.http.post, PATH, files={"file": recordings[0]}, timeout=120
            )
            for each in unfinished:
                clients.enter_context(connected(server)).sendall(each)
            say_to_wyoming(clients.enter_context(connected(server, wyoming)), talk, whole=False)
            server.until(lambda: len(begun_uploads(server)) == len(unfinished))
        # All have hung up but the one who waits for the same as another.
        server.until(lambda: statuses(server).count("cancelled") == 5, within=90)
        with suppress(psutil.NoSuchProcess):  # it may have been ended for not answering
            engine.resume()
        assert also_waits.result().json()["text"]
    assert statuses(server) == [*["cancelled"] * 5, "done"]
    server.until(lambda: not begun_uploads(server))


def test_one_call_is_one_job_through_time_outs_of_its_client(
    start: Start, scripted: Path, tmp_path: Path
) -> None:
    """A quarter of an hour of speech, and a client that waits a second for an answer; the model is
    there only after it has tried twice."""
    model = tmp_path / "late.bin"
    server = start(WHISPER_MODEL_PATH=model, QUEUE_WHEN_UNLOADED="true")
    talk = spoken(tmp_path / "talk.wav", [9.0] * 100)
    tries: list[httpx.Request] = []

    def count(request: httpx.Request) -> None:
        tries.append(request)
        if len(tries) == 3:
            shutil.copy(scripted, tmp_path / "part")
            (tmp_path / "part").rename(model)

    with (
        openai.DefaultHttpxClient(event_hooks={"request": [count]}) as http,
        client_of(
            server, max_retries=100, timeout=httpx.Timeout(30, read=1), http_client=http
        ) as client,
    ):
        text = client.audio.transcriptions.create(model="whisper-1", file=talk).text
    assert text.count("Hello world.") > 20
    assert len(tries) >= 3
    (job,) = jobs(server)
    assert job["status"] == "done"
