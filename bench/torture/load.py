"""More work, readers and receivers than a home box ever meets: how long people wait meanwhile."""

import asyncio
import multiprocessing
import random
import resource
import socket
import sqlite3
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import psutil

from app.http.slow_clients import UNREAD_S
from bench.serving import resident_mb
from bench.torture import integrity
from bench.torture.box import ADMIN, ENGINE, Box, Materials
from bench.torture.report import Report
from tests.acceptance.hub_client import PASSWORD
from tests.acceptance.receiver import Receiver

HEALTH_TARGET_MS = 100
RECEIVER_TARGET_S = 2.0
DEAD_DELIVERIES = 300
FINISHED_JOBS, LINES_OF_A_JOB = 20_000, 20
SEARCHERS, SEARCH_SECS = 3, 15.0
STREAMS = 5000
SLOW = 2000
"""Clients of each slow kind."""
DRIP_SECS = 5.0
LONGEST_HOLD_S = UNREAD_S + 30
"""How long a slow client may keep its connection; it has to be opened and noticed as well."""
CLIENTS = 8
QUEUE_LIMIT = 500
WORDS = (
    "the quick brown fox jumps over a lazy dog while seven wizards mix very strange jugs of liquid"
).split()


def run(folder: Path, materials: Materials, names: list[str], minutes: float) -> Report:
    report = Report("load")
    parts: dict[str, Callable[[Box, Materials, Report], None]] = {
        "receivers": _receivers,
        "searches": _searches,
        "streams": _streams,
        "slow": _slow,
        "overload": lambda box, m, r: _overload(box, m, r, minutes),
    }
    for name in names or parts:
        model = materials.scripted
        box = Box(
            folder / f"load-{name}", WHISPER_MODEL_PATH=model, IDLE_TIMEOUT_SECS=0,
            KEEP_UPLOAD_HOURS=1 if name == "slow" else 0,
            MAX_QUEUED_JOBS=QUEUE_LIMIT if name == "overload" else 0,
        )  # fmt: skip
        box.start_unless_killed()
        box.load()
        try:
            parts[name](box, materials, report)
        finally:
            box.kill()
    return report


class Health:
    """Asks for /health all the time, in a process of its own: what else this process does must not
    count."""

    def __init__(self, box: Box) -> None:
        self.answers: list[float] = []
        """How long each took, in ms."""
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_ask, args=[str(box.http.base_url), theirs])

    def __enter__(self) -> "Health":
        self._process.start()
        self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.send(None)
        self.answers = self._ours.recv()
        self._process.join()

    def tell(self, report: Report, during: str) -> None:
        *_, p99 = statistics.quantiles(self.answers, n=100)
        report.progress(
            f"/health during {during}: median {statistics.median(self.answers):.0f} ms, "
            f"p99 {p99:.0f} ms, at most {max(self.answers):.0f} ms of {len(self.answers)} answers "
            f"(target: p99 {HEALTH_TARGET_MS} ms)"
        )
        if p99 > HEALTH_TARGET_MS:
            report.fail(f"/health takes {p99:.0f} ms during {during}")


def _ask(base_url: str, pipe: Connection) -> None:
    answers: list[float] = []
    with httpx.Client(base_url=base_url, timeout=60, trust_env=False) as http:
        http.get("/health")
        pipe.send(None)
        while not pipe.poll(0.05):
            began = time.perf_counter()
            http.get("/health").raise_for_status()
            answers.append(1000 * (time.perf_counter() - began))
    pipe.send(answers)


# A receiver that answers, beside one that does not.


@contextmanager
def _hanging_receiver() -> Iterator[str]:
    """A server that takes every request and never answers; the block gets its address."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            over.wait()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    over.set()
    server.shutdown()
    server.server_close()


def _receivers(box: Box, materials: Materials, report: Report) -> None:
    receiver = Receiver()
    with _hanging_receiver() as dead:
        for n in range(DEAD_DELIVERIES):
            job_id = box.submit(materials.clip, webhook_url=f"{dead}/{n}")
        box.ended(job_id)
        job_id = box.submit(materials.clip, webhook_url=receiver.url)
        box.ended(job_id)
        ended = time.monotonic()
        while not any(body.get("id") == job_id for body in receiver.bodies):
            if time.monotonic() - ended > 60:
                break
            time.sleep(0.01)
        took = time.monotonic() - ended
    receiver.server.shutdown()
    receiver.server.server_close()
    report.progress(
        f"a receiver beside {DEAD_DELIVERIES} deliveries to URLs of a dead one hears after "
        f"{took:.2f} s (target: {RECEIVER_TARGET_S:g} s)"
    )
    if took > RECEIVER_TARGET_S:
        report.fail(f"a receiver that answers waits {took:.1f} s for one that does not")


# Searches.


def _searches(box: Box, materials: Materials, report: Report) -> None:
    box.kill()
    _finished_jobs(box.database)
    box.start_unless_killed()
    with httpx.Client(
        base_url=box.http.base_url, timeout=60, trust_env=False, follow_redirects=True,
        headers=_same_origin(box),
    ) as browser, ThreadPoolExecutor(SEARCHERS) as pool:  # fmt: skip
        browser.post("/sign-in", data={"email": ADMIN, "password": PASSWORD})
        stop = threading.Event()

        def search() -> int:
            count = 0
            while not stop.is_set():
                browser.get("/whisper/search", params={"q": "the"}).raise_for_status()
                count += 1
            return count

        searching = [pool.submit(search) for _ in range(SEARCHERS)]
        with Health(box) as health:
            time.sleep(SEARCH_SECS)
        stop.set()
        count = sum(each.result() for each in searching)
    health.tell(report, f"{count} searches of {SEARCHERS} people in {FINISHED_JOBS} jobs")


def _finished_jobs(database: Path) -> None:
    """Write FINISHED_JOBS jobs that are done."""
    rng = random.Random(1)
    with closing(sqlite3.connect(database)) as db, db:
        (first,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM jobs").fetchone()
        db.executemany(
            "INSERT INTO jobs (number, id, status, task, word_timestamps, filename, channel, "
            "size_bytes, duration_secs, chunks_total, chunks_done, segments, created_at, "
            "completed_at) VALUES (?, ?, 'done', 'transcribe', 0, 'a.wav', 'native', 100, 60.0, 2, "
            "2, ?, '2026-01-01T00:00:00.000Z', '2026-01-01T00:01:00.000Z')",
            [(first + n, str(uuid.uuid4()), LINES_OF_A_JOB) for n in range(FINISHED_JOBS)],
        )
        db.executemany(
            "INSERT INTO segments (job_number, position, start_secs, end_secs, text, words) "
            "VALUES (?, ?, ?, ?, ?, '[]')",
            (
                (first + n, k, 3.0 * k, 3.0 * k + 2.9, " ".join(rng.choices(WORDS, k=12)))
                for n in range(FINISHED_JOBS)
                for k in range(LINES_OF_A_JOB)
            ),
        )


# Readers.


def _streams(box: Box, materials: Materials, report: Report) -> None:
    _raise_file_limit()
    engine = box.child(ENGINE)
    assert engine
    engine.suspend()  # so that all readers are there before the job begins
    job_id = box.submit(materials.talk)
    before = resident_mb(box.pid)
    with Health(box) as health:
        ends = asyncio.run(_read_all(box, job_id, engine.resume))
    health.tell(report, f"{STREAMS} streams that are opened at once and read to their end")
    report.progress(f"{STREAMS} streams: {dict(ends)}; +{resident_mb(box.pid) - before:.0f} MiB")
    if ends["done"] != STREAMS:
        report.fail(f"of {STREAMS} streams {ends['done']} were read to their end: {dict(ends)}")


async def _read_all(box: Box, job_id: str, begin: Callable[[], None]) -> Counter[str]:
    ends: Counter[str] = Counter()
    there = asyncio.Semaphore(0)
    host, port = box.http.base_url.host, box.http.base_url.port

    async def read() -> None:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET /jobs/{job_id}/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            status = (await reader.readline()).decode().strip()
        except OSError as error:
            ends[type(error).__name__] += 1
            return
        finally:
            there.release()
        if " 200 " not in status:
            ends[status] += 1
        else:
            while line := await reader.readline():
                if line.startswith(b"event: done"):
                    ends["done"] += 1
                    break
        writer.close()

    readers = [asyncio.create_task(read()) for _ in range(STREAMS)]
    for _ in readers:
        await there.acquire()
    begin()
    await asyncio.gather(*readers)
    return ends


def _raise_file_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


# Clients that keep a connection and do next to nothing with it.


def _slow(box: Box, materials: Materials, report: Report) -> None:
    """Thousands of heads and bodies that come a byte at a time, and of answers that nobody reads,
    while somebody else has a recording transcribed."""
    _raise_file_limit()
    box.ended(box.submit(materials.talk))
    box.http.post(
        "/sign-in", data={"email": ADMIN, "password": PASSWORD}, headers=_same_origin(box)
    )
    (number,) = box.rows("SELECT max(number) FROM jobs")[0]
    cookies = "; ".join(f"{name}={value}" for name, value in box.http.cookies.items())
    box.http.cookies.clear()
    host = f"Host: {box.http.base_url.host}\r\n"
    kinds = {
        "heads": (f"GET /health HTTP/1.1\r\n{host}X-Slow: ", True),
        "bodies": (
            f"POST /jobs HTTP/1.1\r\n{host}Content-Length: {1 << 20}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n',
            True,
        ),
        "readers": (
            f"GET /whisper/jobs/{number}/audio HTTP/1.1\r\n{host}Cookie: {cookies}\r\n\r\n",
            False,
        ),
    }
    before = resident_mb(box.pid)
    with Health(box) as health, ThreadPoolExecutor(1) as pool:
        all_of_them = pool.submit(asyncio.run, _hold_all(box, kinds))
        box.until(lambda: _connections(box) > SLOW * len(kinds) * 0.9, within=60)
        most = resident_mb(box.pid)
        began = time.monotonic()
        box.ended(box.submit(materials.clip))
        took = time.monotonic() - began
        held = all_of_them.result()
    health.tell(report, f"{SLOW * len(kinds)} slow clients that come at once")
    report.progress(f"a clip beside them is done after {took:.1f} s; +{most - before:.0f} MiB")
    for kind, seconds in held.items():
        report.progress(
            f"{len(seconds)} {kind}: closed after {min(seconds):.0f} to {max(seconds):.0f} s"
        )
        kept = sum(each > LONGEST_HOLD_S for each in seconds)
        if kept:
            report.fail(f"{kept} of {len(seconds)} slow {kind} kept their connection")
    if _connections(box) > CLIENTS:
        report.fail(f"{_connections(box)} connections are open when all slow clients are gone")


def _same_origin(box: Box) -> dict[str, str]:
    return {"Origin": str(box.http.base_url), "Sec-Fetch-Site": "same-origin"}


def _connections(box: Box) -> int:
    return len(psutil.Process(box.pid).net_connections())


async def _hold_all(box: Box, kinds: dict[str, tuple[str, bool]]) -> dict[str, list[float]]:
    """How many seconds each client of each kind could keep its connection; a kind is what it says
    first, and whether a byte follows every DRIP_SECS."""
    host, port = box.http.base_url.host, box.http.base_url.port
    assert port

    async def hold(first: str, drips: bool) -> float:
        ours = socket.socket()
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        with ours:
            began = time.monotonic()
            await loop.sock_connect(ours, (host, port))
            await loop.sock_sendall(ours, first.encode())
            try:
                while time.monotonic() - began < 2 * LONGEST_HOLD_S:
                    await asyncio.sleep(DRIP_SECS)
                    if drips:
                        await loop.sock_sendall(ours, b"x")
                    elif _is_reset(ours):
                        break
            except OSError:
                pass
            return time.monotonic() - began

    holding = {
        kind: [asyncio.create_task(hold(*each)) for _ in range(SLOW)]
        for kind, each in kinds.items()
    }
    return {kind: await asyncio.gather(*tasks) for kind, tasks in holding.items()}


def _is_reset(ours: socket.socket) -> bool:
    return ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


# Overload.


def _overload(box: Box, materials: Materials, report: Report, minutes: float) -> None:
    """Several times the work that the engine can do."""
    recordings = {name: materials.recording(name).read_bytes() for name in ("clip", "short")}
    bearer = {"Authorization": f"Bearer {box.sign_in()}"}
    stop, answers = threading.Event(), Counter[str]()
    receiver = Receiver()

    def client(seed: int) -> None:
        rng, recent = random.Random(seed), [""]
        with httpx.Client(base_url=box.http.base_url, timeout=60, trust_env=False) as http:
            while not stop.wait(0.4):
                file = recordings[rng.choice(["clip"] * 6 + ["short"])]
                match rng.choices(("native", "hub", "look", "cancel", "list"), (10, 5, 2, 1, 2))[0]:
                    case "native":
                        form = {"webhook_url": receiver.url}
                        answer = http.post("/jobs", files={"audio": file}, data=form)
                        if answer.status_code == 202:
                            recent.append(answer.json()["job_id"])
                    case "hub":
                        answer = http.post(
                            "/api/whisper/jobs", files={"media_file": file}, headers=bearer
                        )
                    case "look":
                        answer = http.get(f"/jobs/{rng.choice(recent[-200:])}")
                    case "cancel":
                        answer = http.delete(f"/jobs/{rng.choice(recent[-200:])}")
                    case _:
                        answer = http.get("/api/whisper/jobs?limit=100", headers=bearer)
                answers[f"{answer.request.method} {answer.status_code}"] += 1
                if answer.status_code == 503:
                    assert "retry-after" in answer.headers

    memory: list[tuple[float, float]] = []
    waiting = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, seed) for seed in range(CLIENTS)]
        with Health(box) as health:
            began, full = time.monotonic(), False
            while time.monotonic() - began < 60 * minutes:
                time.sleep(5)
                full = full or box.rows(waiting)[0][0] >= QUEUE_LIMIT
                if full:
                    memory.append((time.monotonic() - began, resident_mb(box.pid)))
        stop.set()
        for each in clients:
            each.result()
    receiver.server.shutdown()
    receiver.server.server_close()
    health.tell(report, f"{minutes:g} minutes of overload")
    report.progress(f"answers: {dict(sorted(answers.items()))}")
    if len(memory) > 2:
        settled = memory[len(memory) // 4 :]  # the first answers after the queue is full fill pools
        slope, _ = statistics.linear_regression(*zip(*settled, strict=True))
        report.progress(
            f"memory from the moment the queue was full: {memory[0][1]:.0f} to "
            f"{memory[-1][1]:.0f} MiB, {1024 * 60 * slope:+.0f} KiB a minute (target: flat)"
        )
    for problem in integrity.problems(box.database):
        report.fail(problem)
