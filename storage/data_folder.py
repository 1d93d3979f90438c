"""The data folder: one server has locked it, and no other user can read it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from storage.errors import Fatal, Unusable

LOCK = "lock"
"""The name of the locked file within the folder."""


def make_private() -> None:
    """From now on, the files of this process can be read by its own user only."""
    os.umask(0o077)


def make_data_folder(folder: Path) -> None:
    """Make the data folder and its spool if they do not exist, and close the folder to others.

    Raises:
        Unusable: it cannot be made.
    """
    try:
        (folder / "spool").mkdir(parents=True, exist_ok=True)
        if folder.stat().st_uid == os.geteuid():  # else its owner decides
            folder.chmod(0o700)
    except OSError as error:
        raise _cannot_write(folder, error) from error


class DataFolder:
    """A data folder that this process has locked."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path, self._lock = path, lock

    def check(self) -> None:
        """
        Raises:
            Fatal: somebody has deleted the folder or put another in its place.
        """
        try:
            there = (self.path / LOCK).stat()
        except FileNotFoundError:
            same = False
        except OSError:
            return  # the disk does not answer now, which says nothing about the folder
        else:
            same = os.path.samestat(there, os.fstat(self._lock.fileno()))
        if not same:
            raise Fatal(
                f"DATA_DIR {self.path} was deleted or replaced while the server was running; what "
                "was in it cannot be used any more. To put another folder in its place, stop the "
                "server first"
            )


@contextmanager
def locked_data_folder(folder: Path) -> Iterator[DataFolder]:
    """Make the data folder if it does not exist, and lock it until the block ends.

    Raises:
        Unusable: it cannot be made or written, or another process has locked it.
    """
    make_data_folder(folder)
    try:
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(
                f"another Whisperbox is running on DATA_DIR {folder}: stop it, or set DATA_DIR "
                "to another folder for this one"
            ) from None
        yield DataFolder(folder, lock)


def _cannot_write(folder: Path, error: OSError) -> Unusable:
    return Unusable(f"cannot write to DATA_DIR {folder}: {error.strerror}")
