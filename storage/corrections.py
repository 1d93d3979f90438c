"""What people made of transcripts: every version is kept, and the engine's own text beside them."""

from collections.abc import Sequence

import msgspec

from storage.database import Connection, Database, changed, one, read, rows, write
from storage.records import Correction, Job, Word

_IN_FORCE = (
    "text IS NOT NULL AND number = (SELECT max(number) FROM corrections "
    "WHERE job_number = c.job_number AND position = c.position)"
)
"""Of the corrections ``c``, those that say what their segment says now."""


class Corrections:
    """The edge alone calls the methods that change something."""

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
        """A new version of a segment, or with None the engine's again; whether there is such a
        segment of a job that is done."""
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
        """Give every segment the engine's text again; how many had another."""
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
        """How many segments have another text than the engine's."""
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
        """Of one segment or of all, newest first."""
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
