"""Writes a consistent backup while the server runs."""

import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from storage.database import DATABASE
from storage.errors import Unusable


@dataclass(frozen=True)
class Backup:
    size: int
    """Bytes."""
    left_out: tuple[str, ...]
    """The ids of jobs whose recordings were deleted before they could be copied."""


def backup(data_dir: Path, target: Path) -> Backup:
    """Write the backup as a tar archive.

    To restore it, unpack it into an empty DATA_DIR. It contains the database as it was at one
    moment, and the recordings of the jobs that were queued or running then. If such a job ends and
    its recording is deleted before it is copied, the recording is left out.

    Raises:
        Unusable: there is no database, or ``target`` cannot be written.
    """
    source = data_dir / DATABASE
    if not source.exists():
        raise Unusable(f"there is no database in DATA_DIR {data_dir}")
    part = target.with_name(f"{target.name}.part")
    left_out = []
    try:
        with tempfile.TemporaryDirectory(dir=target.absolute().parent) as folder:
            copy = Path(folder) / DATABASE
            open_jobs = _copy(source, copy)
            with tarfile.open(part, "w") as archive:
                archive.add(copy, DATABASE)
                for job_id, uploaded in open_jobs:
                    there = _add(archive, data_dir / "spool" / f"{job_id}.input")
                    if uploaded and not there:
                        left_out.append(job_id)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise Unusable(f"cannot write the backup {target}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return Backup(target.stat().st_size, tuple(left_out))


def _add(archive: tarfile.TarFile, path: Path) -> bool:
    """Add a recording; False if it is not there. Once it is open, its deletion does no harm."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return False
    with file:
        archive.addfile(archive.gettarinfo(arcname=f"spool/{path.name}", fileobj=file), file)
    return True


def _copy(source: Path, copy: Path) -> list[tuple[str, bool]]:
    """Copy the database while others may write to it.

    Returns the ids of the jobs that are queued or running in the copy, and whether each was
    uploaded.
    """
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(copy)) as still,
    ):
        live.backup(still)
        rows = still.execute(
            "SELECT id, source_url IS NULL FROM jobs WHERE status IN ('queued', 'running')"
        )
        return [(job_id, bool(uploaded)) for job_id, uploaded in rows]
