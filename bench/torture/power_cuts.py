"""Cuts the power of a server at work: every change of its data folder is recorded (shim.c), and the
folder is rebuilt as a disk would have it after a cut at any recorded moment.

What was synced is there. Of what was not, there is nothing, all of it, or some: any sectors of
changed files and any first few of the changes of names. To sync a file does not keep its name, as
POSIX has it: its folder must be synced for that.
"""

import random
import shutil
import sqlite3
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from bench.torture import integrity
from bench.torture.box import Box, Materials, segments
from bench.torture.clients import Crowd
from bench.torture.ledger import Job, Known, broken_promises
from bench.torture.report import Report
from tests.acceptance.receiver import Receiver

SECTOR = 512
HEAD = struct.Struct("<BHHIQQq")
"""As `struct head` in shim.c."""
REST_S = 1.0
"""So long the server goes on after its clients."""


class Kind(IntEnum):
    """The operations, as shim.c counts them."""

    WRITE, FSYNC, RENAME, UNLINK, TRUNCATE, OPEN = range(6)


@dataclass(frozen=True)
class Operation:
    kind: Kind
    at: int
    """CLOCK_MONOTONIC in nanoseconds."""
    inode: int
    offset: int
    path: str
    other: str
    """The new name, of a rename."""
    data: bytes


@dataclass(eq=False)
class File:
    synced: bytearray = field(default_factory=bytearray)
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Since the last sync: data at an offset, or None for a new size."""

    def sync(self) -> None:
        for offset, data in self.changes:
            _change(self.synced, offset, data)
        self.changes = []


@dataclass(frozen=True)
class Rename:
    """A change of names: a file gets a name, another name, or (``new`` is None) loses it."""

    old: str
    new: str | None
    file: File | None = None

    def apply(self, names: dict[str, File]) -> None:
        if self.file is not None:
            names[self.old] = self.file
        elif self.new is None:
            names.pop(self.old, None)
        elif self.old in names:
            names[self.new] = names.pop(self.old)


class Disk:
    """What of the recorded operations has surely reached the disk, and what may have."""

    def __init__(self) -> None:
        self._files: dict[int, File] = {}
        self._names: dict[str, File] = {}
        self._renames: list[Rename] = []

    def apply(self, operation: Operation) -> None:
        file = self._files.get(operation.inode)
        match operation.kind:
            case Kind.OPEN:
                file = self._files[operation.inode] = File()
                self._renames.append(Rename(operation.path, None, file))
            case Kind.WRITE if file:
                file.changes.append((operation.offset, operation.data))
            case Kind.TRUNCATE if file:
                file.changes.append((operation.offset, None))
            case Kind.RENAME:
                self._renames.append(Rename(operation.path, operation.other))
            case Kind.UNLINK:
                self._renames.append(Rename(operation.path, None))
            case Kind.FSYNC if file:
                file.sync()
            case Kind.FSYNC:
                self._sync_folder(operation.path.rstrip("/"))

    def _sync_folder(self, folder: str) -> None:
        rest = []
        for rename in self._renames:
            if rename.old.rpartition("/")[0] == folder:
                rename.apply(self._names)
            else:
                rest.append(rename)
        self._renames = rest

    def after_cut(self, luck: str, rng: random.Random) -> dict[str, bytearray]:
        """The files as the next start finds them. ``luck`` says how much of what was not synced
        has reached the disk: none, some or all."""
        names = dict(self._names)
        lucky = {"none": 0, "some": rng.randint(0, len(self._renames)), "all": len(self._renames)}
        for rename in self._renames[: lucky[luck]]:
            rename.apply(names)
        return {path: _content(file, luck, rng) for path, file in names.items()}


def _content(file: File, luck: str, rng: random.Random) -> bytearray:
    content = bytearray(file.synced)
    for offset, data in file.changes if luck != "none" else ():
        if luck == "all":
            _change(content, offset, data)
        elif data is None:
            if rng.random() < 0.5:
                _change(content, offset, None)
        else:
            for at in range(0, len(data), SECTOR):
                if rng.random() < 0.5:
                    _change(content, offset + at, data[at : at + SECTOR])
    return content


def _change(content: bytearray, offset: int, data: bytes | None) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def run(
    folder: Path, materials: Materials, cuts: int, starts: int, secs: float, seed: int,
    blind: str | None = None,
) -> Report:  # fmt: skip
    """Record ``secs`` seconds of work and check ``cuts`` cuts of it; from ``starts`` of them the
    server is started again, and all its jobs must end as they would have.

    ``blind`` is a control: syncs of paths that contain it are taken as not done, and so losses must
    be found.
    """
    report, rng = Report("cuts", seed), random.Random(seed)
    folder = folder / f"cuts-{seed}"
    record, receiver = folder / "record", Receiver()
    box = Box(folder, WHISPER_MODEL_PATH=materials.scripted, KEEP_UPLOAD_HOURS=0)
    crowd = Crowd(box, materials, receiver.url, rng)
    try:
        crowd.prepare()
        shutil.rmtree(box.data)
        _record(crowd, record, secs)
        operations = sum(1 for _ in _operations(record))
        chosen = set(rng.sample(range(operations), min(cuts, operations)))
        again = set(rng.sample(sorted(chosen), min(starts, len(chosen))))
        report.count(operations=operations, answers=len(crowd.ledger))
        disk = Disk()
        for n, operation in enumerate(_operations(record)):
            if n in chosen:
                report.count(cuts=1)
                known = crowd.ledger.known(operation.at)
                for luck in ("none", "some", "all"):
                    image = _lay(disk.after_cut(luck, rng), box.data, folder / "image")
                    report.count(images=1)
                    problems = _problems(image, known, crowd)
                    if n in again and luck != "all":
                        report.count(starts=1)
                        problems += _after_a_start(image, box, crowd, known)
                    for problem in problems:
                        report.fail(f"cut at operation {n}, {luck} of the rest: {problem}")
            if not (blind and operation.kind is Kind.FSYNC and blind in operation.path):
                disk.apply(operation)
    finally:
        if box.running:
            box.kill()
        receiver.server.shutdown()
        receiver.server.server_close()
    return report


def _record(crowd: Crowd, record: Path, secs: float) -> None:
    box = crowd.box
    # The command that makes the token writes to the database as well.
    box.start_unless_killed(SHIM_LOG=record, SHIM_MATCH="app.cli")
    crowd.make_token()
    with crowd.at_work():
        time.sleep(secs)
    time.sleep(REST_S)
    box.kill()


def _operations(record: Path) -> Iterator[Operation]:
    with record.open("rb") as file:
        while len(head := file.read(HEAD.size)) == HEAD.size:
            kind, size, other_size, data_size, at, inode, offset = HEAD.unpack(head)
            path, other = file.read(size).decode(), file.read(other_size).decode()
            data = file.read(data_size)
            yield Operation(Kind(kind), at, inode, offset, path, other, data)


def _lay(image: dict[str, bytearray], data: Path, to: Path) -> Path:
    """Write the files of an image as a data folder."""
    shutil.rmtree(to, ignore_errors=True)
    (to / "spool").mkdir(parents=True)
    for path, content in image.items():
        name = Path(path).relative_to(data)
        if name.name == "lock" or name.name.endswith("-shm"):  # neither outlives a power cut
            continue
        (to / name).write_bytes(content)
    return to


def _problems(image: Path, known: dict[Job, Known], crowd: Crowd) -> list[str]:
    try:
        return integrity.problems(image / "whisperbox.db") + broken_promises(
            image, known, crowd.recordings
        )
    except sqlite3.DatabaseError as error:
        return [f"the database cannot be read: {error}"]


def _after_a_start(image: Path, box: Box, crowd: Crowd, known: dict[Job, Known]) -> list[str]:
    """Start a server on an image, and let its jobs end: what is not as it should be then."""
    other = Box(image.parent / "again", **box.settings | {"DATA_DIR": image})
    problems = []
    other.start_unless_killed()
    try:
        other.wait_until_idle()
    except AssertionError:
        problems.append("jobs do not end")
    finally:
        other.stop()
    failed = {job.id for job, each in known.items() if each.end == "failed"}
    transcripts = segments(other.database)
    for row in other.rows("SELECT number, id, status, error, filename FROM jobs"):
        recording = row["filename"].removesuffix(".wav")
        found = transcripts.get(row["number"], [])
        if row["status"] == "done" and found != crowd.transcripts[recording]:
            problems.append(f"another transcript of {recording} than undisturbed: {row['id']}")
        if row["status"] == "failed" and row["id"] not in failed:
            problems.append(f"a job failed: {row['error']}")
    return problems
