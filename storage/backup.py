"""A consistent copy of everything that would be missed, while the server runs."""

import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from storage.database import DATABASE
from storage.errors import Unusable


def backup(data_dir: Path, target: Path) -> int:
    """Write a tar archive that, unpacked into an empty DATA_DIR, is this one; returns its bytes.

    It holds the database at one moment, and the inputs of the jobs that are not over in it.

    Raises:
        Unusable: there is nothing to copy, or ``target`` cannot be written.
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
    """Copy page by page without stopping writers; returns the ids of the jobs not over."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(copy)) as still,
    ):
        live.backup(still)
        rows = still.execute("SELECT id FROM jobs WHERE status IN ('queued', 'running')")
        return [job_id for (job_id,) in rows]
