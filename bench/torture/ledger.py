"""What clients asked a server, what it acknowledged, and what must therefore be on its disk."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.torture.box import has_tables, rows

ENDS = ("done", "failed", "cancelled")

Asked = Literal["cancel", "restart", "delete", "share", "unshare"]


@dataclass(eq=False)
class Job:
    """A job as its client knows it. Only its ``lock``'s holder asks for a change of it."""

    dialect: str
    recording: str
    key: str
    """The Idempotency-Key that it is submitted with, however often."""
    id: str | None = None
    number: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Event:
    at: int
    """CLOCK_MONOTONIC in nanoseconds, as in the shim's records."""
    job: Job
    what: str
    """accepted, seen, asked, granted or refused."""
    facts: dict[str, Any]


@dataclass
class Known:
    """What is certain of a job at a moment."""

    accepted: bool = False
    end: str | None = None
    """The end that somebody was shown."""
    percent: int = 0
    share: str | None = None
    deleted: bool = False
    pending: Asked | None = None
    """A change that was asked for and not answered: it may or may not have been made."""

    def learn(self, event: Event) -> None:
        facts = event.facts
        match event.what:
            case "accepted":
                self.accepted = True
            case "seen":
                self.end = facts["status"] if facts["status"] in ENDS else None
                self.percent = facts["percent"]
                if self.pending in ("cancel", "restart", "delete"):
                    self.pending = None
            case "asked":
                self.pending = facts["change"]
                if self.pending == "restart":
                    self.percent = 0
            case "refused":
                self.pending = None
            case "granted":
                self._grant(facts)

    def _grant(self, facts: dict[str, Any]) -> None:
        match self.pending:
            case "cancel":
                self.end = "cancelled"
            case "restart":
                self.end, self.percent, self.share = None, 0, None
            case "delete":
                self.deleted = True
            case "share":
                self.share = facts["token"]
            case "unshare":
                self.share = None
        self.pending = None


class Ledger:
    """Everything that clients asked and were told, in order."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._lock = threading.Lock()
        self._now: dict[Job, Known] = {}

    def note(self, job: Job, what: str, **facts: Any) -> None:
        with self._lock:
            event = Event(time.monotonic_ns(), job, what, facts)
            self._events.append(event)
            self._now.setdefault(job, Known()).learn(event)

    def now(self, job: Job) -> Known:
        return self._now.setdefault(job, Known())

    @property
    def jobs(self) -> list[Job]:
        with self._lock:
            return list(self._now)

    def known(self, at: int | None = None) -> dict[Job, Known]:
        """What was certain of each accepted job at that moment; None: now."""
        with self._lock:
            if at is None:
                known = dict(self._now)
            else:
                known = {}
                for event in self._events:
                    if event.at < at:
                        known.setdefault(event.job, Known()).learn(event)
        return {job: each for job, each in known.items() if each.accepted}

    def __len__(self) -> int:
        return len(self._events)


def broken_promises(data: Path, known: dict[Job, Known], recordings: dict[str, bytes]) -> list[str]:
    """What in a data folder contradicts what clients were told."""
    database = data / "whisperbox.db"
    if not (database.exists() and has_tables(database)):
        return ["the database has no tables"] if known else []
    by_id = {row["id"]: row for row in rows(database, "SELECT * FROM jobs")}
    by_number = {row["number"]: row for row in by_id.values()}
    shares = {row["job_number"]: row["token"] for row in rows(database, "SELECT * FROM shares")}
    problems = []
    for job, want in known.items():
        row = by_id.get(job.id) if job.id else by_number.get(job.number)
        name = job.id or f"number {job.number}"
        if row is None:
            if not (want.deleted or want.pending == "delete"):
                problems.append(f"accepted, and gone: {name}")
            continue
        if want.deleted:
            problems.append(f"deleted, and there again: {name}")
        if want.end and want.pending is None and row["status"] != want.end:
            problems.append(f"it was {want.end} and is {row['status']}: {name}")
        if row["status"] in ("queued", "running"):
            problems += _input_problems(data, row, recordings[job.recording])
            percent = 100 * row["chunks_done"] // row["chunks_total"] if row["chunks_total"] else 0
            if want.pending is None and want.end is None and percent < want.percent:
                problems.append(f"{want.percent} % were shown, {percent} % are left: {name}")
        if want.pending is None and want.share and shares.get(row["number"]) != want.share:
            problems.append(f"shared, and not any more: {name}")
    return problems


def _input_problems(data: Path, row: Any, recording: bytes) -> list[str]:
    path = data / "spool" / f"{row['id']}.input"
    if not path.exists():
        return [f"waiting, and its recording is gone: {row['id']}"]
    if path.read_bytes() != recording:
        return [f"waiting, and its recording is another: {row['id']}"]
    return []
