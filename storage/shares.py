"""Shares: the public pages of transcripts."""

import secrets
from collections.abc import Sequence
from typing import Any

from storage.database import Connection, Database, changed, one, read, rows, write
from storage.records import Job, Share

_SHARE = (
    "s.token, s.job_number, s.created_at, s.expires, s.password_hash, s.with_audio, "
    "s.with_downloads, s.access_count, s.last_accessed_at"
)


def new_token() -> str:
    """A new random token for a share's address, with 256 random bits."""
    return secrets.token_urlsafe(32)


class Shares:
    """Only the surfaces (`app`) call the methods that change something.

    (If a job's order asks for a share, `Jobs.finish` makes it, in the transaction that ends the
    job.)
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @read
    async def of_jobs(self, c: Connection, jobs: Sequence[Job]) -> dict[int, Share]:
        """The shares of these jobs, by the job's number."""
        if not jobs:
            return {}
        numbers = [job.number for job in jobs]
        found = await rows(
            c,
            f"SELECT {_SHARE} FROM shares s "
            f"WHERE s.job_number IN ({', '.join('?' * len(numbers))})",
            *numbers,
        )
        return {row["job_number"]: _share(row) for row in found}

    @read
    async def find(self, c: Connection, token: str, now: float) -> tuple[Share, str] | None:
        """The share with that token and its job's id.

        None if there is none, if it has expired, or if its job is not done. ``now``: seconds since
        the epoch.
        """
        row = await one(
            c,
            f"SELECT {_SHARE}, jobs.id FROM shares s JOIN jobs ON jobs.number = s.job_number "
            "WHERE s.token = ? AND jobs.status = 'done' AND coalesce(s.expires, ?) >= ?",
            token,
            now,
            now,
        )
        return None if row is None else (_share(row), row["id"])

    @write
    async def put(
        self,
        c: Connection,
        job: Job,
        now: str,
        *,
        expires: float | None,
        password_hash: str | None,
        with_audio: bool,
        with_downloads: bool = True,
    ) -> Share:
        """Share a job, or change how it is shared; then the page's address stays the same."""
        row = await one(
            c,
            "INSERT INTO shares AS s "
            "(token, job_number, created_at, expires, password_hash, with_audio, "
            "with_downloads) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_number) DO UPDATE SET "
            "expires = excluded.expires, password_hash = excluded.password_hash, "
            "with_audio = excluded.with_audio, with_downloads = excluded.with_downloads "
            f"RETURNING {_SHARE.replace('s.', '')}",
            new_token(),
            job.number,
            now,
            expires,
            password_hash,
            with_audio,
            with_downloads,
        )
        assert row is not None
        return _share(row)

    @write
    async def revoke(self, c: Connection, job: Job) -> bool:
        """Delete a job's share; returns whether there was one. Its address never works again."""
        return bool(await changed(c, "DELETE FROM shares WHERE job_number = ?", job.number))

    @write
    async def count_access(self, c: Connection, token: str, now: str) -> None:
        await c.execute(
            "UPDATE shares SET access_count = access_count + 1, last_accessed_at = ? "
            "WHERE token = ?",
            (now, token),
        )


def _share(row: Any) -> Share:
    return Share(
        token=row["token"],
        job_number=row["job_number"],
        created_at=row["created_at"],
        expires=row["expires"],
        password_hash=row["password_hash"],
        with_audio=bool(row["with_audio"]),
        with_downloads=bool(row["with_downloads"]),
        access_count=row["access_count"],
        last_accessed_at=row["last_accessed_at"],
    )
