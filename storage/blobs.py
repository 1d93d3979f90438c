"""The spool: the folder of the recordings. A file appears in it only when it is complete."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from storage.errors import NoSpace

RESERVE_BYTES = 5 << 30
RESERVE_SHARE = 0.05
"""The reserve that stays free on the disk: so many bytes, or this share of the disk if that is
more. Without it, a full disk would stop the database as well. On a small disk the reserve is less:
see `Spool.spare_bytes`."""

REMOVING_SUFFIX = ".going"
"""The janitor appends this to a file's name before it removes the file."""
RECORDING_GONE = "the submitted file is no longer kept: submit it again"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Spool:
    """The folder of the recordings (``ID.input``) and of their decoded audio (``ID.pcm``).

    ID is the job's id.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def input(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.input"

    def pcm(self, job_id: str) -> Path:
        """The path of the decoded audio: mono s16 little-endian at 16 kHz, no header."""
        return self.folder / f"{job_id}.pcm"

    def part(self, job_id: str) -> Path:
        """A new temporary path for a file that is being written.

        Each call gives another one, so that a file left by an earlier try causes no conflict.
        """
        return self.folder / f"{job_id}.{secrets.token_hex(4)}.part"

    def spare_bytes(self) -> int:
        """The bytes that may still be written without using the reserve; never negative.

        The reserve is RESERVE_BYTES, but at most a quarter of the disk; and at least RESERVE_SHARE
        of the disk.
        """
        disk = shutil.disk_usage(self.folder)
        reserve = max(min(RESERVE_BYTES, disk.total // 4), int(disk.total * RESERVE_SHARE))
        return max(0, disk.free - reserve)

    @contextmanager
    def receiving(self, job_id: str) -> Iterator["Receiving"]:
        """Receive a job's input in a temporary file.

        The file is removed at the end of the block, unless `Receiving.keep` was called.

        Raises:
            NoSpace: the disk was full at a write.
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

    def take_over(self, job_id: str, file: Path) -> int:
        """Make a complete file in this folder the job's input; returns its bytes. Blocks."""
        with file.open("rb+") as content:
            rename_durably(content, file, self.input(job_id))
            return os.fstat(content.fileno()).st_size

    def share_input(self, job_id: str, other: str) -> int:
        """Give another job the same input, without a copy; returns its bytes. Blocks.

        Raises:
            FileNotFoundError: it is no longer kept.
        """
        os.link(self.input(job_id), self.input(other))
        _sync_folder(self.folder)
        return self.input(other).stat().st_size

    def discard(self, job_id: str) -> None:
        """Remove an input whose job was not accepted."""
        self.input(job_id).unlink(missing_ok=True)

    def clean_up(self) -> None:
        """Clean up at the server's start. Blocks.

        Unfinished files are removed, because nothing continues them. Files that the janitor was
        about to remove get their names back, so that it checks them again.
        """
        for path in self.files():
            if path.suffix in (".part", ".page"):
                path.unlink()
            elif path.suffix == REMOVING_SUFFIX:
                path.rename(path.with_suffix(""))

    def files(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_file()]


class Receiving:
    """A recording that is being written to the spool. Its methods block: call them in a thread."""

    def __init__(self, part: Path, target: Path) -> None:
        self._part, self._target = part, target
        self._file: BinaryIO | None = None

    def write(self, data: bytes | bytearray) -> None:
        if self._file is None:
            self._file = self._part.open("xb")
        self._file.write(data)

    def keep(self, rest: bytes | bytearray = b"") -> None:
        """Write ``rest`` and give the file its final name; returns when both are on the disk."""
        if rest:
            self.write(rest)
        assert self._file is not None, "nothing was written"
        rename_durably(self._file, self._part, self._target)

    def close(self) -> None:
        """Remove the temporary file, if it was not kept."""
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)


def rename_durably(file: BinaryIO, part: Path, target: Path) -> None:
    """Rename ``part``, which is open as ``file``, to ``target``. Blocks.

    When this returns, the contents and the new name are on the disk (fsync).
    """
    file.flush()
    os.fsync(file.fileno())
    part.rename(target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Sync a folder: a renaming in it is on the disk only after that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
