"""What people made of transcripts: every version is kept, and the engine's own text beside them."""

from collections.abc import Sequence

import msgspec

from storage.database import Connection, Database
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

    async def put(
        self,
        job: Job,
        position: int,
        text: str | None,
        words: Sequence[Word],
        account: int | None,
        now: str,
    ) -> bool:
        """A new version of a segment, or with None the engine's again; whether there is such a
        segment of a job that is done."""

        async def work(c: Connection) -> bool:
            changed = await c.execute(
                "INSERT INTO corrections (job_number, position, text, words, account, at) "
                "SELECT job_number, position, ?, ?, ?, ? FROM segments "
                "JOIN jobs ON jobs.number = job_number "
                "WHERE job_number = ? AND position = ? AND status = 'done'",
                (text, _encoded(words), account, now, job.number, position),
            )
            return bool(changed.rowcount)

        return await self._database.write(work)

    async def restore(self, job: Job, account: int | None, now: str) -> int:
        """Give every segment the engine's text again; how many had another."""

        async def work(c: Connection) -> int:
            changed = await c.execute(
                "INSERT INTO corrections (job_number, position, text, account, at) "
                "SELECT job_number, position, NULL, ?, ? FROM corrections c "
                f"WHERE job_number = ? AND {_IN_FORCE}",
                (account, now, job.number),
            )
            return changed.rowcount

        return await self._database.write(work)

    async def count(self, job: Job) -> int:
        """How many segments have another text than the engine's."""

        async def select(c: Connection) -> int:
            rows = await c.execute_fetchall(
                f"SELECT count(*) FROM corrections c WHERE job_number = ? AND {_IN_FORCE}",
                (job.number,),
            )
            return int(next(iter(rows))[0])

        return await self._database.read(select)

    async def versions(self, job: Job, position: int | None = None) -> list[Correction]:
        """Of one segment or of all, newest first."""

        async def select(c: Connection) -> list[Correction]:
            rows = await c.execute_fetchall(
                "SELECT c.number, position, text, email, at FROM corrections c "
                "LEFT JOIN accounts a ON a.number = c.account "
                "WHERE job_number = ?1 AND (?2 IS NULL OR position = ?2) "
                "ORDER BY c.number DESC",
                (job.number, position),
            )
            return [
                Correction(
                    number=row["number"],
                    position=row["position"],
                    text=row["text"],
                    email=row["email"],
                    at=row["at"],
                )
                for row in rows
            ]

        return await self._database.read(select)


def _encoded(words: Sequence[Word]) -> str:
    return msgspec.json.encode([msgspec.structs.astuple(word) for word in words]).decode()
