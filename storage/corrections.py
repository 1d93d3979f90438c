"""The corrections that people make to transcripts.

Every version is kept, and the engine's own text as well.
"""

from collections.abc import Sequence

import msgspec

from storage.database import Connection, Database, changed, one, read, rows, write
from storage.records import Correction, Job, Word

_IN_FORCE = (
    "text IS NOT NULL AND number = (SELECT max(number) FROM corrections "
    "WHERE job_number = c.job_number AND position = c.position)"
)
"""The condition that a correction ``c`` is the newest of its segment and gives it another text."""


class Corrections:
    """Only the surfaces (`app`) call the methods that change something."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @write
    async def put(
        self,
        c: Connection,
        job: Job,
        position: int,
        text: str | None,
        words: Sequence[Word],
        account: int | None,
        now: str,
    ) -> bool:
        """Store a new version of a segment; ``text`` None: the engine's text applies again.

        Returns False if the job is not done or has no such segment.
        """
        return bool(
            await changed(
                c,
                "INSERT INTO corrections (job_number, position, text, words, account, at) "
                "SELECT job_number, position, ?, ?, ?, ? FROM segments "
                "JOIN jobs ON jobs.number = job_number "
                "WHERE job_number = ? AND position = ? AND status = 'done'",
                text,
                _encoded(words),
                account,
                now,
                job.number,
                position,
            )
        )

    @write
    async def restore(self, c: Connection, job: Job, account: int | None, now: str) -> int:
        """Make the engine's text apply again in all segments; returns how many were changed."""
        return await changed(
            c,
            "INSERT INTO corrections (job_number, position, text, account, at) "
            "SELECT job_number, position, NULL, ?, ? FROM corrections c "
            f"WHERE job_number = ? AND {_IN_FORCE}",
            account,
            now,
            job.number,
        )

    @read
    async def count(self, c: Connection, job: Job) -> int:
        """How many segments have a text that differs from the engine's."""
        row = await one(
            c,
            f"SELECT count(*) FROM corrections c WHERE job_number = ? AND {_IN_FORCE}",
            job.number,
        )
        assert row is not None
        return int(row[0])

    @read
    async def versions(
        self, c: Connection, job: Job, position: int | None = None
    ) -> list[Correction]:
        """The versions of one segment, or of all segments (None), newest first."""
        found = await rows(
            c,
            "SELECT c.number, position, text, email, at FROM corrections c "
            "LEFT JOIN accounts a ON a.number = c.account "
            "WHERE job_number = ?1 AND (?2 IS NULL OR position = ?2) "
            "ORDER BY c.number DESC",
            job.number,
            position,
        )
        return [
            Correction(
                number=row["number"],
                position=row["position"],
                text=row["text"],
                email=row["email"],
                at=row["at"],
            )
            for row in found
        ]


def _encoded(words: Sequence[Word]) -> str:
    return msgspec.json.encode([msgspec.structs.astuple(word) for word in words]).decode()
