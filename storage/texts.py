"""The texts that a language model writes about transcripts: analyses and translations."""

from collections.abc import Sequence
from typing import Any

from storage.database import Connection, Database, changed, one, read, rows, write
from storage.records import Job, Text, TextKind, TextStatus
from storage.usage import note_usage

_TEXT = ", ".join(f"t.{field}" for field in Text.__struct_fields__)


class Texts:
    """Only the analyst calls the methods that change something.

    (`Jobs.finish` writes the first rows of a job, in the transaction that ends the job.)
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @read
    async def of_jobs(self, c: Connection, jobs: Sequence[Job]) -> dict[int, list[Text]]:
        """The texts of these jobs, by the job's number."""
        found: dict[int, list[Text]] = {job.number: [] for job in jobs}
        marks = ", ".join("?" * len(found))
        for row in await rows(
            c, f"SELECT {_TEXT} FROM texts t WHERE job_number IN ({marks})", *found
        ):
            found[row["job_number"]].append(_text(row))
        return found

    @read
    async def pending(self, c: Connection, limit: int) -> list[tuple[Text, str]]:
        """Up to ``limit`` texts that are to be written, oldest first, each with its job's id."""
        found = await rows(
            c,
            f"SELECT {_TEXT}, jobs.id FROM texts t JOIN jobs ON jobs.number = t.job_number "
            "WHERE t.status = 'pending' ORDER BY t.updated_at LIMIT ?",
            limit,
        )
        return [(_text(row), row["id"]) for row in found]

    @write
    async def want(self, c: Connection, job: Job, kind: TextKind, language: str, now: str) -> None:
        """Store that a text is to be written, or written again."""
        await _want(c, job.number, kind, language, now)

    @write
    async def begin(self, c: Connection, text: Text, now: str) -> bool:
        """Set a pending text to running; False if it is not pending."""
        return bool(
            await changed(
                c,
                "UPDATE texts SET status = 'running', tries = tries + 1, updated_at = ? "
                "WHERE job_number = ? AND kind = ? AND language = ? AND status = 'pending'",
                now,
                text.job_number,
                text.kind,
                text.language,
            )
        )

    async def done(
        self, text: Text, words: str, model: str, truncated: bool, tokens: int, now: str, due: float
    ) -> None:
        """Store a text that was written. If it was the job's last, the webhook's delivery is made.

        ``due`` is when to try the webhook first, in seconds since the epoch.
        """
        await self._settle(
            "status = 'done', text = ?, model = ?, truncated = ?, tokens = tokens + ?, "
            "error = NULL",
            (words, model, truncated, tokens),
            text,
            tokens,
            now,
            due,
        )

    async def failed(self, text: Text, error: str, tokens: int, now: str, due: float) -> None:
        """Store that a text failed. If it was the job's last, the webhook's delivery is made."""
        await self._settle(
            "status = 'failed', error = ?, tokens = tokens + ?",
            (error, tokens),
            text,
            tokens,
            now,
            due,
        )

    @write
    async def reset_running(self, c: Connection) -> None:
        """Set running texts back to pending: their work was lost when the server or actor ended."""
        await c.execute("UPDATE texts SET status = 'pending' WHERE status = 'running'")

    @write
    async def _settle(
        self,
        c: Connection,
        change: str,
        values: tuple[object, ...],
        text: Text,
        tokens: int,
        now: str,
        due: float,
    ) -> None:
        await note_usage(c, await _owner(c, text.job_number), tokens=tokens)
        if await changed(
            c,
            f"UPDATE texts SET {change}, updated_at = ? "
            "WHERE job_number = ? AND kind = ? AND language = ? AND status = 'running'",
            *values,
            now,
            text.job_number,
            text.kind,
            text.language,
        ) and not await _still_open(c, text.job_number):
            await put_into_outbox(c, text.job_number, due)


async def request_texts(c: Connection, job: Job, now: str) -> None:
    """Store which texts are to be written for a job that is done, as its order says."""
    await _want(c, job.number, TextKind.ANALYSIS, job.analysis_language, now)
    for language in job.order.translations:
        await _want(c, job.number, TextKind.TRANSLATION, language, now)


async def put_into_outbox(c: Connection, job_number: int, due: float) -> None:
    """Write the delivery for a job's end, if the job has a webhook; only once for each end."""
    await c.execute(
        "INSERT INTO deliveries (id, event, url, format, job_number, happened_at, due) "
        "SELECT 'msg_' || lower(hex(randomblob(16))), 'job_ended', webhook_url, "
        "webhook_format, number, completed_at, ?1 FROM jobs "
        "WHERE number = ?2 AND webhook_url IS NOT NULL AND completed_at IS NOT NULL "
        "AND NOT EXISTS (SELECT * FROM deliveries WHERE job_number = ?2 "
        "AND happened_at = completed_at)",
        (due, job_number),
    )


async def _want(c: Connection, number: int, kind: TextKind, language: str, now: str) -> None:
    await c.execute(
        "INSERT INTO texts (job_number, kind, language, updated_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET status = 'pending', error = NULL, tries = 0, "
        "updated_at = excluded.updated_at WHERE status IN ('done', 'failed')",
        (number, kind, language, now),
    )


async def _owner(c: Connection, number: int) -> int | None:
    row = await one(c, "SELECT owner FROM jobs WHERE number = ?", number)
    return None if row is None else row["owner"]


async def _still_open(c: Connection, number: int) -> bool:
    return None is not await one(
        c,
        "SELECT 1 FROM texts WHERE job_number = ? AND status IN ('pending', 'running')",
        number,
    )


def _text(row: Any) -> Text:
    fields = {field: row[field] for field in Text.__struct_fields__}
    fields["kind"], fields["status"] = TextKind(fields["kind"]), TextStatus(fields["status"])
    fields["truncated"] = bool(fields["truncated"])
    return Text(**fields)
