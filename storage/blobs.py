"""Where a job's bytes lie, and how they get there without being half there."""

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from storage.errors import NoSpace, Unusable

RESERVE_BYTES = 5 << 30
RESERVE_SHARE = 0.05
"""The larger of the two stays free, or a filled disk takes the database down with it. On a small
disk the share alone counts: see `Spool.spare_bytes`."""

GOING = ".going"
"""What the janitor appends to a file's name before it removes it."""
NOT_KEPT = "the submitted file is no longer kept: submit it again"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Spool:
    """The folder of the inputs (``ID.input``) and of their decoded audio (``ID.pcm``)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def input(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.input"

    def pcm(self, job_id: str) -> Path:
        """Decoded audio: mono s16 little-endian at 16 kHz, no header."""
        return self.folder / f"{job_id}.pcm"

    def part(self, job_id: str) -> Path:
        """A new name for a file on its way: what an earlier try left is in nobody's way."""
        return self.folder / f"{job_id}.{secrets.token_hex(4)}.part"

    def spare_bytes(self) -> int:
        """What may still be written before the reserve is touched; never negative."""
        disk = shutil.disk_usage(self.folder)
        reserve = max(min(RESERVE_BYTES, disk.total // 4), int(disk.total * RESERVE_SHARE))
        return max(0, disk.free - reserve)

    @contextmanager
    def receiving(self, job_id: str) -> Iterator["Receiving"]:
        """A file under a temporary name that is gone after the block unless it was kept.

        Raises:
            NoSpace: a write found the disk full.
        """
        receiving = Receiving(self.part(job_id), self.input(job_id))
        try:
            yield receiving
        except OSError as error:
            if error.errno in DISK_FULL:
                raise NoSpace("the disk is full") from error
            raise
        finally:
            receiving.close()

    def adopt(self, job_id: str, file: Path) -> int:
        """Make a finished file in this folder the job's input; returns its bytes. Blocks."""
        with file.open("rb+") as content:
            settle(content, file, self.input(job_id))
            return os.fstat(content.fileno()).st_size

    def discard(self, job_id: str) -> None:
        """Drop an input that became no job."""
        self.input(job_id).unlink(missing_ok=True)

    def tidy(self) -> None:
        """After the last process: what was on its way in goes, since nothing resumes it; what was
        on its way out is looked at again. Blocks."""
        for path in self.files():
            if path.suffix in (".part", ".page"):
                path.unlink()
            elif path.suffix == GOING:
                path.rename(path.with_suffix(""))

    def files(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_file()]


class Receiving:
    """An upload on its way into the spool. Its methods block: call them in a thread."""

    def __init__(self, part: Path, target: Path) -> None:
        self._part, self._target = part, target
        self._file: BinaryIO | None = None

    def write(self, data: bytes | bytearray) -> None:
        if self._file is None:
            self._file = self._part.open("xb")
        self._file.write(data)

    def keep(self, rest: bytes | bytearray = b"") -> None:
        """Write ``rest`` and give the file its name, once it and its name are on the disk."""
        if rest:
            self.write(rest)
        assert self._file is not None, "nothing was written"
        settle(self._file, self._part, self._target)

    def close(self) -> None:
        """Remove what was not kept."""
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)


def settle(file: BinaryIO, part: Path, target: Path) -> None:
    """Rename ``part``, open as ``file``, to ``target``, with both on the disk. Blocks."""
    file.flush()
    os.fsync(file.fileno())
    part.rename(target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """A rename is durable only when its folder is synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def owned(folder: Path) -> Iterator[Path]:
    """The data folder, made if need be and locked against a second owner.

    Raises:
        Unusable: it cannot be made or written, or another process owns it.
    """
    try:
        (folder / "spool").mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise Unusable(f"cannot write to DATA_DIR {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(
                f"another Whisperbox is running on DATA_DIR {folder}: stop it, or set DATA_DIR "
                "to another folder for this one"
            ) from None
        yield folder
