"""Troubles that pass, each in the middle of work. Afterwards every accepted job must be done.

A fault is a function that gets a `Trouble`; what is marked as quick belongs to the short part.
"""

import os
import shutil
import signal
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psutil

from bench.torture import integrity
from bench.torture.box import DECODER, ENGINE, Box, Materials, outliving, rows
from bench.torture.report import Report

DISK_TROUBLE_S = 12.0
QUICK_TROUBLE_S = 3.0
REPAIRED_WITHIN_S = 240.0
"""How long its jobs may take to end after a trouble: a pause after a crash is a minute at most."""
LONGEST_TOLD = 20_000
"""Characters of an error: the log of a server that does not end has the stacks of its threads."""
LAST_END_S = 4.0
"""The server may still be ending because of the last failure; so long that takes at most."""
RESTART_S = 1.0
"""What a service manager waits before it starts a server again."""


class Trouble:
    """One box for one fault, and the jobs that it has accepted."""

    def __init__(self, name: str, folder: Path, materials: Materials, report: Report, quick: bool):
        self.name, self.folder, self.materials, self.report = name, folder, materials, report
        self.quick = quick
        self.accepted: list[str] = []
        self._boxes: list[Box] = []

    def box(self, **settings: object) -> Box:
        """A box that is not started yet."""
        usual: dict[str, object] = {"WHISPER_MODEL_PATH": self.materials.scripted}
        box = Box(self.folder / f"box-{len(self._boxes)}", **usual | settings)
        self._boxes.append(box)
        return box

    def started(self, **settings: object) -> Box:
        box = self.box(**settings)
        box.start_unless_killed()
        box.load()
        return box

    def submit(self, box: Box, recording: str) -> str:
        job_id = box.submit(self.materials.recording(recording))
        self.accepted.append(job_id)
        return job_id

    def at_work(self, box: Box, recording: str = "short") -> str:
        """Submit a recording; returns the job's id once some of it is transcribed."""
        job_id = self.submit(box, recording)
        box.until(lambda: box.job(job_id)["progress"] > 0, within=60)
        return job_id

    def check(self, box: Box) -> None:
        """Every accepted job must end as done, and the database must be whole."""
        unfinished = list(self.accepted)
        deadline = time.monotonic() + REPAIRED_WITHIN_S
        while unfinished and time.monotonic() < deadline:
            unfinished = [j for j in unfinished if box.job(j)["status"] in ("queued", "running")]
            time.sleep(0.2)
        for job_id in self.accepted:
            job = box.job(job_id)
            if job["status"] != "done":
                self.fail(f"a job is {job['status']}: {job.get('error')}")
        for problem in integrity.problems(box.database):
            self.fail(problem)
        self.report.count(jobs=len(self.accepted))

    def fail(self, problem: str) -> None:
        self.report.fail(f"{self.name}: {problem}")

    def say(self, line: str) -> None:
        self.report.progress(f"{self.name}: {line}")

    def close(self) -> None:
        for box in self._boxes:
            children = box.children() if box.running else []
            if box.running:
                box.kill()
            for child in children:
                child.kill()


Fault = Callable[[Trouble], None]
FAULTS: dict[str, Fault] = {}
QUICK: list[str] = []


def fault(*, quick: bool = False) -> Callable[[Fault], Fault]:
    def register(function: Fault) -> Fault:
        FAULTS[function.__name__] = function
        if quick:
            QUICK.append(function.__name__)
        return function

    return register


def run(folder: Path, materials: Materials, names: list[str], *, quick: bool = False) -> Report:
    report = Report("faults")
    for name in names:
        trouble = Trouble(name, folder / f"fault-{name}", materials, report, quick)
        began = time.monotonic()
        try:
            FAULTS[name](trouble)
        except (AssertionError, httpx.HTTPError) as error:
            trouble.fail(f"{type(error).__name__}: {str(error)[:LONGEST_TOLD]}")
        finally:
            trouble.close()
        report.count(faults=1)
        trouble.say(f"over ({time.monotonic() - began:.0f} s)")
    return report


# Disks.


def _disk_fault(operation: str, error: str, place: str) -> Fault:
    def disk_fault(trouble: Trouble) -> None:
        """The operation fails for a while; a server that ends is started again."""
        switch = trouble.folder / "switch"
        rule = {"SHIM_FAIL": f"{operation}:{error}:{place}", "SHIM_FILE": switch}
        box = trouble.box(SHUTDOWN_GRACE_SECS=2)
        box.start_unless_killed(**rule)
        box.load()
        trouble.at_work(box)
        ends = 0
        switch.touch()
        over = time.monotonic() + (QUICK_TROUBLE_S if trouble.quick else DISK_TROUBLE_S)
        while time.monotonic() < over:
            if not box.running:
                ends += 1
                time.sleep(RESTART_S)
                with _tolerating():
                    box.start_unless_killed(**rule)
                continue
            with _tolerating():
                trouble.submit(box, "clip")
            time.sleep(0.3)
        switch.unlink()
        time.sleep(LAST_END_S)
        if not box.running:
            box.start_unless_killed()
        trouble.report.count(**{"ends of the server by a disk": ends})
        trouble.check(box)

    return disk_fault


@contextmanager
def _tolerating() -> Iterator[None]:
    """While the trouble lasts, requests and starts may fail; what matters is what was accepted."""
    try:
        yield
    except (AssertionError, httpx.HTTPError):
        return


for _operation, _error, _place in (
    ("write", "ENOSPC", "whisperbox.db"),
    ("write", "ENOSPC", "/spool/"),
    ("write", "EIO", "whisperbox.db"),
    ("write", "EIO", "/spool/"),
    ("write", "EROFS", "/data/"),
    ("fsync", "EIO", "whisperbox.db"),
    ("fsync", "EIO", "/spool/"),
    ("rename", "EIO", "/spool/"),
    ("open", "EMFILE", "/spool/"),
    ("unlink", "EIO", "/spool/"),
    ("truncate", "EIO", "whisperbox.db"),
):
    _name = f"{_operation}_{_error}_{_place.strip('/').removesuffix('.db')}".lower()
    FAULTS[_name] = _disk_fault(_operation, _error, _place)
QUICK += ["write_enospc_whisperbox", "write_eio_spool", "fsync_eio_whisperbox"]


@fault()
def slow_disk(trouble: Trouble) -> None:
    """Each sync takes a second."""
    box = trouble.box()
    box.start_unless_killed(SHIM_SLOW="fsync:1000")
    box.load()
    for _ in range(3):
        trouble.submit(box, "clip")
    trouble.check(box)


@fault(quick=True)
def locked_database(trouble: Trouble) -> None:
    """Another program holds the write lock for longer than SQLite waits."""
    box = trouble.started()
    trouble.at_work(box)
    with closing(sqlite3.connect(box.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(7 if trouble.quick else 25)
        if box.http.get("/health").status_code != 200:
            trouble.fail("/health waits for the lock")
        other.execute("ROLLBACK")
    if not box.running:
        trouble.fail("the server ended")
    trouble.check(box)


# Models and children.


@fault(quick=True)
def model_away(trouble: Trouble) -> None:
    """The model's file goes away, comes back cut in half, and then whole."""
    model = trouble.folder / "model.bin"
    model.parent.mkdir(parents=True)
    content = trouble.materials.scripted.read_bytes()
    box = trouble.box(WHISPER_MODEL_PATH=model)
    model.write_bytes(content)
    box.start_unless_killed()
    box.load()
    box.http.post("/model/unload")
    box.until(lambda: box.http.get("/model/status").json()["state"] == "unloaded")
    model.unlink()
    trouble.submit(box, "clip")
    time.sleep(2)
    model.write_bytes(content[: len(content) // 2])
    trouble.submit(box, "clip")
    time.sleep(2)
    model.write_bytes(content)
    trouble.check(box)


@fault(quick=True)
def decoder_cannot_start(trouble: Trouble) -> None:
    """A library of the decoder is missing, as during an upgrade."""
    hook = trouble.folder / "python"
    hook.mkdir(parents=True)
    switch = hook / "on"
    (hook / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"if os.path.exists({str(switch)!r}) and {DECODER!r} in sys.orig_argv:\n"
        "    sys.modules['av'] = None\n"
    )
    box = trouble.started(PYTHONPATH=hook)
    switch.touch()
    for _ in range(3):
        trouble.submit(box, "clip")
    time.sleep(3)
    switch.unlink()
    trouble.check(box)


@fault()
def little_memory(trouble: Trouble) -> None:
    """A limit of 3 GiB of address space for the decoder, then none, as with LimitAS= of systemd."""
    box = trouble.started()
    whole = psutil.Process(box.pid).rlimit(psutil.RLIMIT_AS)
    psutil.Process(box.pid).rlimit(psutil.RLIMIT_AS, (3 << 30, whole[1]))
    trouble.submit(box, "clip")
    time.sleep(5)
    psutil.Process(box.pid).rlimit(psutil.RLIMIT_AS, whole)
    trouble.check(box)


@fault()
def memory_spike(trouble: Trouble) -> None:
    """For ten seconds each engine and each decoder at work is killed, as by a system that is short
    of memory."""
    box = trouble.started(WHISPER_MODEL_PATH=trouble.materials.slow)
    for recording in ("clip", "silence"):
        trouble.submit(box, recording)
    kills, over = 0, time.monotonic() + 10
    while time.monotonic() < over:
        for module in (ENGINE, DECODER):
            if child := box.child(module):
                child.kill()
                kills += 1
        time.sleep(0.3)
    trouble.say(f"{kills} kills")
    trouble.check(box)


@fault()
def stopped_children(trouble: Trouble) -> None:
    """An engine and a decoder hang; jobs behind them go on."""
    box = trouble.started()
    first = trouble.at_work(box, "talk")
    engine = box.child(ENGINE)
    assert engine
    engine.suspend()
    began = time.monotonic()
    box.until(lambda: not engine.is_running(), within=REPAIRED_WITHIN_S)
    trouble.say(f"a hanging engine was ended after {time.monotonic() - began:.0f} s")
    box.ended(first)
    hanging = trouble.submit(box, "silence")
    decoder = box.wait_for_child(DECODER)
    decoder.suspend()
    behind = trouble.submit(box, "clip")
    began = time.monotonic()
    box.until(lambda: box.job(behind)["status"] == "done", within=60)
    trouble.say(f"a job behind a hanging decoder was done after {time.monotonic() - began:.1f} s")
    box.until(lambda: not decoder.is_running(), within=REPAIRED_WITHIN_S)
    trouble.say(f"the decoder was ended after {time.monotonic() - began:.0f} s")
    box.until(lambda: box.job(hanging)["status"] == "done", within=REPAIRED_WITHIN_S)
    trouble.check(box)


# Signals and files.


@fault(quick=True)
def signals(trouble: Trouble) -> None:
    """SIGTERM, SIGINT and SIGHUP while the engine works: a clean end, and nothing is repeated."""
    box = trouble.started(SHUTDOWN_GRACE_SECS=5)
    trouble.at_work(box)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        children = box.children()
        box.signal(number)
        if status := box.wait():
            trouble.fail(f"{number.name}: it ends with {status}")
        for problem in outliving(children):
            trouble.fail(f"{number.name}: {problem}")
        box.start_unless_killed()
        box.load()
    if crashes := box.rows("SELECT id FROM jobs WHERE crashes > 0"):
        trouble.fail(f"a clean stop was counted as a crash of {len(crashes)} jobs")
    trouble.check(box)


@fault()
def few_files(trouble: Trouble) -> None:
    """So many connections that the server has no file descriptor left."""
    box = trouble.started()
    limits = psutil.Process(box.pid).rlimit(psutil.RLIMIT_NOFILE)
    used = psutil.Process(box.pid).num_fds()
    psutil.Process(box.pid).rlimit(psutil.RLIMIT_NOFILE, (used + 12, limits[1]))
    before = len(box.log)
    clients = [
        httpx.Client(base_url=box.http.base_url, timeout=2, trust_env=False) for _ in range(40)
    ]
    for client in clients:
        with _tolerating():
            client.get("/livez")
    time.sleep(3)
    said = len(box.log) - before
    if said > 20:
        trouble.fail(f"the log got {said} lines")
    for client in clients:
        client.close()
    box.until(lambda: box.http.get("/health").status_code == 200)
    psutil.Process(box.pid).rlimit(psutil.RLIMIT_NOFILE, limits)
    trouble.submit(box, "clip")
    trouble.check(box)


@fault(quick=True)
def backup_at_work(trouble: Trouble) -> None:
    """A backup while jobs come and end, whose recordings are not kept; then it is restored."""
    box = trouble.started(KEEP_UPLOAD_HOURS=0)
    trouble.at_work(box, "short")
    for _ in range(4):
        trouble.submit(box, "clip")
    archive = trouble.folder / "backup.tar"
    box.command("backup", str(archive))
    before = list(trouble.accepted)
    trouble.check(box)
    data = trouble.folder / "restored"
    with tarfile.open(archive) as tar:
        tar.extractall(data, filter="data")
    there = {row["id"]: row for row in rows(data / "whisperbox.db", "SELECT * FROM jobs")}
    for job_id in before:
        if job_id not in there:
            trouble.fail(f"accepted before the backup, and not in it: {job_id}")
    again = trouble.box(DATA_DIR=data)
    again.start_unless_killed()
    again.wait_until_idle(60)
    for row in again.rows("SELECT id, error FROM jobs WHERE status = 'failed'"):
        trouble.fail(f"a job of the backup failed: {row['error']}")


@fault()
def killed_upgrade(trouble: Trouble) -> None:
    """A kill at each sync of the upgrade from each older version of the database."""
    from storage.migrate import migrations

    steps = migrations()
    for version in range(1, len(steps)):
        box = trouble.box()
        _old_data_folder(box, steps[:version], trouble.materials.clip)
        kills = 0
        while not box.start_unless_killed(SHIM_KILL=f"fsync:{kills + 1}:before"):
            kills += 1
        box.kill()  # it listens, but the next sync would kill it
        box.start_unless_killed()
        box.wait_until_idle(60)
        if failed := box.rows("SELECT error FROM jobs WHERE status <> 'done'"):
            trouble.fail(f"from version {version}: {[row['error'] for row in failed]}")
        for problem in integrity.problems(box.database):
            trouble.fail(f"from version {version}: {problem}")
        trouble.report.count(upgrades=1, **{"kills in upgrades": kills})
        box.kill()


def _old_data_folder(box: Box, migrations: list[str], recording: Path) -> None:
    """A database of an older version with two jobs that wait."""
    (box.data / "spool").mkdir(parents=True)
    with closing(sqlite3.connect(box.database, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        for migration in migrations:
            database.executescript(migration)
        database.execute(f"PRAGMA user_version = {len(migrations)}")
        for n in range(2):
            database.execute(
                "INSERT INTO jobs (id, status, task, word_timestamps, size_bytes, created_at, "
                "filename) VALUES (?, 'queued', 'transcribe', 0, ?, ?, 'clip.wav')",
                (f"job-{n}", recording.stat().st_size, "2026-01-01T00:00:00.000Z"),
            )
            shutil.copy(recording, box.data / "spool" / f"job-{n}.input")


@fault(quick=True)
def deleted_data_folder(trouble: Trouble) -> None:
    """The data folder is replaced under the server: it says so and ends, and touches nothing."""
    box = trouble.started()
    away = box.data.with_name("away")
    os.rename(box.data, away)
    box.until(lambda: not box.running, within=30)
    if box.wait() != 1 or not any("was deleted or replaced" in line for line in box.log):
        trouble.fail(f"it ended with {box.exit_status}: {box.log[-1]}")
    os.rename(away, box.data)
    box.start_unless_killed()
    trouble.submit(box, "clip")
    trouble.check(box)
