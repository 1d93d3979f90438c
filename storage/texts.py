"""What language models make of transcripts."""

from collections.abc import Sequence
from typing import Any

from storage.database import Connection, Database, changed, one, read, rows, write
from storage.records import Job, Text, TextKind, TextStatus
from storage.usage import note_usage

_TEXT = ", ".join(f"t.{field}" for field in Text.__struct_fields__)


class Texts:
    """The analyst alone calls the methods that change something.

    (The first rows of a job are written by `Jobs.finish`, in the transaction of its end.)
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @read
    async def of_jobs(self, c: Connection, jobs: Sequence[Job]) -> dict[int, list[Text]]:
        """By the job's number."""
        found: dict[int, list[Text]] = {job.number: [] for job in jobs}
        marks = ", ".join("?" * len(found))
        for row in await rows(
            c, f"SELECT {_TEXT} FROM texts t WHERE job_number IN ({marks})", *found
        ):
            found[row["job_number"]].append(_text(row))
        return found

    @read
    async def pending(self, c: Connection, limit: int) -> list[tuple[Text, str]]:
        """Texts to be written, the oldest first, with the id of their job."""
        found = await rows(
            c,
            f"SELECT {_TEXT}, jobs.id FROM texts t JOIN jobs ON jobs.number = t.job_number "
            "WHERE t.status = 'pending' ORDER BY t.updated_at LIMIT ?",
            limit,
        )
        return [(_text(row), row["id"]) for row in found]

    @write
    async def want(self, c: Connection, job: Job, kind: TextKind, language: str, now: str) -> None:
        """Have a text written, or written anew."""
        await _want(c, job.number, kind, language, now)

    @write
    async def begin(self, c: Connection, text: Text, now: str) -> bool:
        """Pending becomes running; False where it is not pending."""
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
        """A text is written; where it was the job's last, the webhook is due."""
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
        """A text will not be written; where it was the job's last, the webhook is due."""
        await self._settle(
            "status = 'failed', error = ?, tokens = tokens + ?",
            (error, tokens),
            text,
            tokens,
            now,
            due,
        )

    @write
    async def revive(self, c: Connection) -> None:
        """What was being written when the server ended is to be written again."""
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


async def want_texts(c: Connection, job: Job, now: str) -> None:
    """The texts that a job gets by itself when it is done."""
    await _want(c, job.number, TextKind.ANALYSIS, job.analysis_language, now)
    for language in job.order.translations:
        await _want(c, job.number, TextKind.TRANSLATION, language, now)


async def put_into_outbox(c: Connection, job_number: int, due: float) -> None:
    """What is to be said of a job's end, once for each end."""
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
