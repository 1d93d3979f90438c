"""A server that can be killed at any file operation, and what one needs to torture it."""

import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from tests.acceptance.hub_client import PASSWORD
from tests.acceptance.server import STOP_S, Server
from tests.audio import silence, spoken
from tests.scripted import scripted_model, slow_model

SCRIPT = "<|0.00|> Hello world.<|2.00|><|2.50|> How are you?<|4.00|>"
ADMIN = "admin@box.example"
ENGINE, DECODER = "actors.engine.child", "actors.media.decode_child"
CHILDREN_END_S = 5.0
"""The longest time for which a child may outlive a server that was killed."""


@cache
def shim() -> Path:
    """The library of shim.c, compiled."""
    made = Path(tempfile.mkdtemp(prefix="whisperbox-shim-")) / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", made, source], check=True)
    return made


@dataclass(frozen=True)
class Materials:
    """Models and recordings, made once for all parts."""

    scripted: Path
    slow: Path
    clip: Path
    """Three seconds."""
    short: Path
    """Two minutes: four chunks or so."""
    talk: Path
    """Ten minutes."""
    silence: Path
    """An hour."""

    @classmethod
    def make(cls, folder: Path) -> "Materials":
        folder.mkdir(parents=True, exist_ok=True)
        return cls(
            scripted=scripted_model(folder / "scripted.bin", SCRIPT, language=2),
            slow=slow_model(folder / "slow.bin"),
            clip=spoken(folder / "clip.wav"),
            short=spoken(folder / "short.wav", [9.0] * 12),
            talk=spoken(folder / "talk.wav", [9.0] * 60),
            silence=silence(folder / "silence.flac", minutes=60),
        )

    def recording(self, name: str) -> Path:
        path: Path = getattr(self, name)
        return path


LINES_OF_A_HANG = 80


class Box(Server):
    """A server with an administrator, whose files the shim can watch."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        usual = {
            "ADMIN_EMAIL": ADMIN,
            "ADMIN_PASSWORD": PASSWORD,
            "DIARIZATION": "false",
            "GPU_POLL_INTERVAL_SECS": 1,
            "QUEUE_WHEN_UNLOADED": "true",
            "REQUESTS_PER_MINUTE": 0,
        }
        super().__init__(folder, **usual | settings)
        self.shim: dict[str, object] = {}

    @property
    def data(self) -> Path:
        return Path(str(self.settings["DATA_DIR"]))

    @property
    def database(self) -> Path:
        return self.data / "whisperbox.db"

    @property
    def exit_status(self) -> int | None:
        return self._process.poll() if self._process else None

    def start_unless_killed(self, **shim_rules: object) -> bool:
        """Start with these SHIM_ variables; False if the server was killed before it listened.

        Raises:
            AssertionError: it ended in another way, or does not listen.
        """
        self.shim = {}
        if shim_rules:
            self.shim = {"LD_PRELOAD": shim(), "SHIM_DIR": self.data, **shim_rules}
        try:
            self.start()
        except AssertionError:
            if self.exit_status == -signal.SIGKILL:
                return False
            raise
        return True

    def _environment(self) -> dict[str, str]:
        rules = {name: str(value) for name, value in self.shim.items()}
        return super()._environment() | {"PYTHONFAULTHANDLER": "1"} | rules

    def wait(self) -> int:
        """Wait for its end; returns the exit status.

        Raises:
            AssertionError: it does not end; the text has its log, with the stacks of its threads.
        """
        assert self._process
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            children = [" ".join(child.cmdline()) for child in self.children()]
            self.signal(signal.SIGABRT)  # the fault handler writes the stacks
            self._process.wait(STOP_S)
            assert self._reader
            self._reader.join(STOP_S)  # or the stacks would not be in the log yet
            log = "\n".join(self.log[-LINES_OF_A_HANG:])
            raise AssertionError(
                f"it did not end in {STOP_S:.0f} s; its children: {children}; its log:\n{log}"
            ) from None

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)

    def children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def child(self, module: str) -> psutil.Process | None:
        """The youngest child that runs this module, if there is one.

        The decoder at work is a child of its fork server, which is older.
        """
        those = [c for c in self.children() if alive(c) and module in words(c)]
        return max(those, key=psutil.Process.create_time, default=None)

    def wait_for_child(self, module: str) -> psutil.Process:
        self.until(lambda: self.child(module) is not None, within=60)
        child = self.child(module)
        assert child
        return child

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        return rows(self.database, query, *values)

    def sign_in(self) -> str:
        """The administrator's bearer token."""
        login = {"email": ADMIN, "password": PASSWORD}
        answer = self.http.post("/api/account/login", json=login).raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    def wait_until_idle(self, within: float = 600) -> None:
        """Until every job has ended."""
        unfinished = "SELECT 1 FROM jobs WHERE status IN ('queued', 'running') LIMIT 1"
        self.until(lambda: not self.rows(unfinished), within)


def rows(database: Path, query: str, *values: object) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query, values).fetchall()


def has_tables(database: Path) -> bool:
    return bool(rows(database, "SELECT 1 FROM sqlite_schema WHERE name = 'spoken'"))


def segments(database: Path) -> dict[int, list[tuple[Any, ...]]]:
    """The transcript of each job by its number: position, start, end and text of its lines."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    query = "SELECT job_number, position, start_secs, end_secs, text FROM segments ORDER BY 1, 2"
    for row in rows(database, query):
        found.setdefault(row[0], []).append(tuple(row)[1:])
    return found


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def outliving(children: list[psutil.Process]) -> Iterator[str]:
    """Name the children that are alive CHILDREN_END_S after their server was killed, and end
    them."""
    until = time.monotonic() + CHILDREN_END_S
    while time.monotonic() < until and any(map(alive, children)):
        time.sleep(0.01)
    for child in filter(alive, children):
        yield f"a child outlives its server by {CHILDREN_END_S:g} s: {' '.join(words(child))}"
        child.kill()
