"""kill -9, SIGTERM, and crashes of the engine."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.server import Server
from tests.audio import silence


def engine_pid(server: Server) -> int:
    children = psutil.Process(server.pid).children()
    return next(c.pid for c in children if "actors.engine.child" in c.cmdline())


def progressed(server: Server, job_id: str) -> int:
    """The percent of the job, once it has done something."""
    server.until(lambda: server.job(job_id)["progress"] > 0)
    progress: int = server.job(job_id)["progress"]
    return progress


def test_after_a_kill_every_job_goes_on_and_what_was_shown_stays(
    start: Start, talk: Path, clip: Path
) -> None:
    server = start()
    server.load()
    first, second = server.submit(talk), server.submit(clip)
    seen = []
    for event in server.events(f"/jobs/{first}/stream"):
        if event.name == "segment":
            seen.append(event["segment"])
        if len(seen) >= 6:
            break
    server.kill()
    server.start()
    jobs = [server.ended(job_id) for job_id in (first, second)]
    assert [job["status"] for job in jobs] == ["done", "done"]
    assert jobs[0]["segments"][: len(seen)] == seen


def test_a_stream_resumes_after_a_kill_without_loss_or_repeat(start: Start, talk: Path) -> None:
    server = start()
    server.load()
    job_id = server.submit(talk)
    indices, last, percents = [], None, [0]
    for event in server.events(f"/jobs/{job_id}/stream"):
        last = event.id
        if event.name == "segment":
            indices.append(event["segment"]["index"])
        if len(indices) >= 5:
            break
    server.kill()
    server.start()
    for event in server.events(f"/jobs/{job_id}/stream", last):
        if event.name == "segment":
            indices.append(event["segment"]["index"])
        if event.name == "progress":
            percents.append(event["percent"])
    assert indices == list(range(len(server.job(job_id)["segments"])))
    assert percents == sorted(percents)


def test_a_clean_stop_ends_streams_exits_0_and_costs_a_job_nothing(
    start: Start, talk: Path
) -> None:
    server = start()
    server.load()
    job_id = server.submit(talk)
    for _ in range(4):  # more restarts than a job survives crashes
        server.until(lambda: server.job(job_id)["status"] != "queued")
        stream = server.events(f"/jobs/{job_id}/stream")
        next(stream)
        assert server.stop() == 0
        server.start()
    assert server.ended(job_id)["status"] == "done"


def test_a_stop_gives_back_a_chunk_that_takes_too_long(
    start: Start, slow: Path, talk: Path
) -> None:
    server = start(WHISPER_MODEL_PATH=slow, SHUTDOWN_GRACE_SECS=0)
    server.load()
    job_id = server.submit(talk)
    server.until(lambda: server.job(job_id)["status"] == "running")
    assert server.stop() == 0
    server.start()
    assert server.job(job_id)["status"] in ("queued", "running")


def test_a_server_that_stops_says_so_and_takes_no_more(
    start: Start, slow: Path, talk: Path, clip: Path
) -> None:
    server = start(WHISPER_MODEL_PATH=slow, SHUTDOWN_GRACE_SECS=5)
    server.load()
    job_id = server.submit(talk)
    server.until(lambda: server.job(job_id)["status"] == "running")
    os.kill(server.pid, signal.SIGTERM)
    server.until(lambda: server.http.get("/readyz").status_code == 503)
    assert server.http.get("/livez").status_code == 200
    answer = server.http.post("/jobs", files={"audio": ("a.wav", clip.read_bytes())})
    assert (answer.status_code, answer.json()["error"]) == (503, "the server is shutting down")
    assert "retry-after" in answer.headers
    server.until(lambda: not server.running)
    assert server.stop() == 0


def test_a_crash_of_the_queue_has_the_guides_words_and_is_mended(start: Start, clip: Path) -> None:
    server = start()
    server.load()
    database = next((server.folder / "data").glob("*.db"))

    def rename(table: str, to: str) -> None:
        with closing(sqlite3.connect(database, timeout=10)) as db, db:
            db.execute(f"ALTER TABLE {table} RENAME TO {to}")

    rename("jobs", "elsewhere")
    answer = server.http.post("/jobs", files={"audio": ("a.wav", clip.read_bytes())})
    assert (answer.status_code, answer.json()) == (500, {"error": "worker channel closed"})
    rename("elsewhere", "jobs")
    assert server.ended(server.submit(clip))["status"] == "done"


def test_an_engine_that_is_killed_costs_a_chunk(start: Start, talk: Path) -> None:
    server = start()
    server.load()
    job_id = server.submit(talk)
    progressed(server, job_id)
    os.kill(engine_pid(server), signal.SIGKILL)
    assert server.ended(job_id)["status"] == "done"


def test_a_running_job_is_cancelled_within_a_second_and_the_next_one_runs(
    start: Start, slow: Path, scripted: Path, talk: Path
) -> None:
    server = start(WHISPER_MODEL_PATH=slow)
    server.load()
    first, second = server.submit(talk), server.submit(talk)
    server.until(lambda: server.job(first)["status"] == "running")
    assert server.http.delete(f"/jobs/{first}").json()["status"] == "cancelled"
    server.until(lambda: server.job(second)["status"] == "running", within=60)
    assert server.job(first)["segments"] == []


def test_an_unload_leaves_no_engine_behind(start: Start) -> None:
    server = start()
    for _ in range(3):
        server.load()
        pid = engine_pid(server)
        server.http.post("/model/unload")
        server.until(lambda: server.http.get("/model/status").json()["state"] == "unloaded")
        assert not psutil.pid_exists(pid)


def test_an_unload_during_a_job_waits_for_the_chunk_and_the_job_goes_on_later(
    start: Start, talk: Path
) -> None:
    server = start(GPU_POLL_INTERVAL_SECS=1)
    server.load()
    job_id = server.submit(talk)
    progressed(server, job_id)
    events = server.events("/model/events")
    next(events)
    server.http.post("/model/unload")
    assert next(events).name == "model_unloaded"
    assert server.ended(job_id)["status"] == "done"


@pytest.fixture
def hears_hangups() -> Iterator[None]:
    """Servers that are started hear SIGHUP, even if the tests were started with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hears_hangups")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_idle_server_stops_on_either_signal(start: Start, number: signal.Signals) -> None:
    server = start()
    os.kill(server.pid, number)
    server.until(lambda: not server.running)
    assert server.stop() == 0


@pytest.mark.usefixtures("hears_hangups")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_every_process_costs_no_recording(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    server = start()
    server.load()
    job_id = server.submit(silence(tmp_path / "silence.flac", minutes=15))

    def children() -> list[psutil.Process]:
        return psutil.Process(server.pid).children()

    server.until(lambda: any("actors.media.decode_child" in each.cmdline() for each in children()))
    for process in (*children(), psutil.Process(server.pid)):
        process.send_signal(number)
    server.until(lambda: not server.running)
    assert server.stop() == 0
    server.start()
    assert server.ended(job_id)["status"] == "done"


def test_a_decoder_that_is_killed_costs_a_pause(start: Start, tmp_path: Path) -> None:
    server = start()
    server.load()
    job_id = server.submit(silence(tmp_path / "silence.flac", minutes=15))

    def decoder() -> psutil.Process | None:
        """The child that decodes: a child of the fork server."""
        for child in psutil.Process(server.pid).children():
            if "actors.media.decode_child" in child.cmdline():
                return next(iter(child.children()), None)
        return None

    server.until(lambda: decoder() is not None)
    found = decoder()
    assert found
    found.kill()
    server.wait_for_log("a child ended too early")
    assert server.ended(job_id)["status"] == "done"


def test_no_child_outlives_a_killed_server(start: Start) -> None:
    server = start()
    server.load()
    pid = engine_pid(server)
    server.kill()
    server.until(lambda: not psutil.pid_exists(pid))
