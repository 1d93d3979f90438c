"""Writes a consistent backup while the server runs."""

import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from storage.database import DATABASE
from storage.errors import Unusable


def backup(data_dir: Path, target: Path) -> int:
    """Write the backup as a tar archive and return its size in bytes.

    To restore it, unpack it into an empty DATA_DIR. It contains the database as it was at one
    moment, and the recordings of the jobs that were queued or running then.

    Raises:
        Unusable: there is no database, or ``target`` cannot be written.
    """
    source = data_dir / DATABASE
    if not source.exists():
        raise Unusable(f"there is no database in DATA_DIR {data_dir}")
    part = target.with_name(f"{target.name}.part")
    try:
        with tempfile.TemporaryDirectory(dir=target.absolute().parent) as folder:
            copy = Path(folder) / DATABASE
            open_jobs = _copy(source, copy)
            with tarfile.open(part, "w") as archive:
                archive.add(copy, DATABASE)
                for job_id in open_jobs:
                    path = data_dir / "spool" / f"{job_id}.input"
                    if path.exists():
                        archive.add(path, f"spool/{path.name}")
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise Unusable(f"cannot write the backup {target}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, copy: Path) -> list[str]:
    """Copy the database while others may write to it.

    Returns the ids of the jobs that are queued or running in the copy.
    """
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(copy)) as still,
    ):
        live.backup(still)
        rows = still.execute("SELECT id FROM jobs WHERE status IN ('queued', 'running')")
        return [job_id for (job_id,) in rows]
