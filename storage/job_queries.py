"""Queries about jobs, their plans and their transcripts. Nothing in here changes a row."""

from collections.abc import Sequence
from typing import Any

import msgspec

from storage.database import Connection, Database, one, read, read_for_health, rows, scalar
from storage.job_rows import OPEN, segment_of, select_jobs, visible_to
from storage.records import Callback, Chunk, Job, LeftOut, LogLine, Segment, Span, Status, View

_RAW = (
    "SELECT position, position AS line, 0 AS version, NULL AS speaker, start_secs, end_secs, text, "
    "words, repair, language, evidence, 0 AS corrected FROM segments "
    "WHERE job_number = ? AND position >= ? ORDER BY position LIMIT ?"
)
_EDITED = (
    "SELECT *, row_number() OVER (ORDER BY start_secs, line) - 1 AS position FROM lines "
    "WHERE job_number = ?1 ORDER BY start_secs, line LIMIT ?3 OFFSET ?2"
)
EVERYTHING = View()
ASKED_AT_ONCE = 500
"""The most ids in one statement, because SQLite limits a statement's parameters."""
LOG_KEPT = 200
"""How many lines of a job's log are shown: the last ones."""

_spans = msgspec.json.Decoder(tuple[Span, ...])

_UNDER_KEY = "idempotency_key > ? || ':' AND idempotency_key < ? || ';'"
"""Begins with a key and a colon; a semicolon is the next character."""


class JobQueries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, job_id: str, view: View = EVERYTHING) -> Job | None:
        return await self._one(f"WHERE id = ? AND {visible_to(view)}", job_id)

    async def by_number(self, number: int, view: View = EVERYTHING) -> Job | None:
        return await self._one(f"WHERE number = ? AND {visible_to(view)}", number)

    async def by_idempotency_key(self, key: str) -> Job | None:
        return await self._one("WHERE idempotency_key = ?", key)

    async def newest_by_key(self, key: str) -> Job | None:
        """The newest job whose idempotency key is this, or begins with it and a colon."""
        return await self._one(
            f"WHERE idempotency_key = ? OR ({_UNDER_KEY}) ORDER BY number DESC LIMIT 1",
            key,
            key,
            key,
        )

    @read
    async def was_done_before(self, c: Connection, key: str, job: Job) -> bool:
        """Whether an earlier job is done whose idempotency key begins with this and a colon."""
        found = await scalar(
            c,
            f"SELECT EXISTS (SELECT 1 FROM jobs WHERE {_UNDER_KEY} "
            "AND status = 'done' AND number < ?)",
            key,
            key,
            job.number,
        )
        return bool(found)

    async def open_jobs(self) -> list[Job]:
        """The jobs that are queued or running, in the order of arrival."""
        return await self._all(f"WHERE {OPEN} ORDER BY number")

    async def _queued_count(self, c: Connection) -> int:
        """How many jobs are queued; running jobs are not counted."""
        n = await scalar(c, "SELECT count(*) FROM jobs WHERE status = 'queued'")
        return int(n)

    queued_count = read(_queued_count)
    queued_count_for_health = read_for_health(_queued_count)

    @read
    async def oldest_wait_secs(self, c: Connection) -> float:
        """How many seconds the first of the queued jobs has waited; 0 if no job is queued.

        Restarted jobs are left out: they have not waited since they were submitted.
        """
        row = await one(
            c,
            "SELECT (julianday('now') - julianday(created_at)) * 86400 FROM jobs "
            "WHERE status = 'queued' AND attempt = 1 ORDER BY number LIMIT 1",
        )
        return 0.0 if row is None else max(0.0, float(row[0]))

    async def page(
        self, status: Status | None, before: int | None, limit: int, view: View = EVERYTHING
    ) -> list[Job]:
        """Up to ``limit`` jobs, newest first.

        ``status``: only jobs with it; ``before``: only jobs with a lower number. None: all.
        """
        return await self._all(
            "WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR number < ?2) "
            f"AND {visible_to(view)} ORDER BY number DESC LIMIT ?3",
            status,
            before,
            limit,
        )

    @read
    async def transcript(
        self, c: Connection, job: Job, start: int = 0, *, most: int = -1, raw: bool = False
    ) -> list[Segment]:
        """The committed segments from index ``start`` on, up to ``most`` of them (-1: all).

        They are as people have edited them, unless ``raw``: then they are as the engine made them.
        """
        edited = "SELECT EXISTS (SELECT 1 FROM line_versions WHERE job_number = ?)"
        as_made = raw or not await scalar(c, edited, job.number)
        found = await rows(c, _RAW if as_made else _EDITED, job.number, start, most)
        return [segment_of(row) for row in found]

    @read
    async def left_out(self, c: Connection, job: Job) -> list[LeftOut]:
        """What the engine wrote and the transcript does not have, in order.

        What somebody has put back, as a line that begins there, is not among it.
        """
        found = await rows(
            c,
            "SELECT l.start_secs, l.end_secs, l.text, reason, l.rowid FROM left_out l "
            "WHERE l.job_number = ?1 AND NOT EXISTS (SELECT 1 FROM line_versions v "
            "WHERE v.job_number = ?1 AND v.newest AND NOT v.gone AND v.line >= ?2 "
            "AND v.start_secs = l.start_secs) ORDER BY l.start_secs",
            job.number,
            job.segments,
        )
        return [
            LeftOut(start=row[0], end=row[1], text=row[2], reason=row[3], number=row[4])
            for row in found
        ]

    @read
    async def chunk(self, c: Connection, job: Job, ordinal: int) -> Chunk | None:
        row = await one(
            c,
            "SELECT spans, speech FROM chunks WHERE job_number = ? AND ordinal = ?",
            job.number,
            ordinal,
        )
        if row is None:
            return None
        spans, speech = _spans.decode(row["spans"]), _spans.decode(row["speech"])
        return Chunk(ordinal=ordinal, spans=spans, speech=speech)

    async def ended_before(self, moment: str, most: int) -> list[Job]:
        """Up to ``most`` jobs that ended before that moment, the oldest first."""
        return await self._all("WHERE completed_at < ? ORDER BY completed_at LIMIT ?", moment, most)

    async def by_ids(self, ids: Sequence[str], view: View = EVERYTHING) -> dict[str, Job]:
        """The jobs with these ids that the view may see, by their id."""
        found: dict[str, Job] = {}
        for at in range(0, len(ids), ASKED_AT_ONCE):
            some = ids[at : at + ASKED_AT_ONCE]
            jobs = await self._all(
                f"WHERE id IN ({', '.join('?' * len(some))}) AND {visible_to(view)}", *some
            )
            found |= {job.id: job for job in jobs}
        return found

    @read
    async def counts(self, c: Connection, view: View) -> dict[tuple[Status, bool], int]:
        """How many jobs there are, by status and by whether they are being fetched."""
        found = await rows(
            c,
            "SELECT status, coalesce(stage = 'fetching', 0), count(*) FROM jobs "
            f"WHERE {visible_to(view)} GROUP BY 1, 2",
        )
        return {(Status(row[0]), bool(row[1])): row[2] for row in found}

    @read
    async def log(self, c: Connection, job: Job) -> list[LogLine]:
        """The last LOG_KEPT lines of the job's log, oldest first."""
        found = await rows(
            c,
            "SELECT at, line FROM job_log WHERE job_number = ? ORDER BY rowid DESC LIMIT ?",
            job.number,
            LOG_KEPT,
        )
        return [LogLine(row["at"], row["line"]) for row in found][::-1]

    @read
    async def waveform(self, c: Connection, job: Job) -> bytes:
        """The loudness of equal parts of the recording, one byte each, 0 to 255.

        Empty if the recording has not been decoded.
        """
        row = await one(c, "SELECT levels FROM waveforms WHERE job_number = ?", job.number)
        return b"" if row is None else bytes(row[0])

    async def waiting_in(self, view: View, most: int) -> list[Job]:
        """Up to ``most`` queued jobs that the view may see: urgent ones first, then by arrival."""
        return await self._all(
            f"WHERE status = 'queued' AND {visible_to(view)} ORDER BY urgent DESC, number LIMIT ?",
            most,
        )

    @read
    async def waiting_numbers(self, c: Connection) -> list[int]:
        """The numbers of the queued jobs, in about the order in which they will run.

        The urgent ones come first; then the first job of each owner, then the second of each, and
        so on.
        """
        found = await rows(
            c,
            "SELECT number FROM (SELECT number, status, urgent, row_number() OVER "
            "(PARTITION BY urgent, owner ORDER BY status = 'queued', number) AS place "
            f"FROM jobs WHERE {OPEN}) WHERE status = 'queued' "
            "ORDER BY urgent DESC, place, number",
        )
        return [row[0] for row in found]

    @read
    async def callbacks(self, c: Connection, jobs: Sequence[Job]) -> dict[int, Callback]:
        """The state of the webhook for each job's end, by the job's number.

        If a job was restarted, its earlier end does not count.
        """
        numbers = [job.number for job in jobs if job.order.webhook_url]
        found = await rows(
            c,
            "SELECT job_number, d.id, attempts, http_status, d.error, tried_at, delivered_at, "
            "due FROM deliveries d JOIN jobs ON number = job_number "
            "AND happened_at = completed_at "
            f"WHERE job_number IN ({', '.join('?' * len(numbers))})",
            *numbers,
        )
        return {row["job_number"]: _callback(row) for row in found}

    async def _one(self, where: str, *values: object) -> Job | None:
        found = await self._all(where, *values)
        return found[0] if found else None

    async def _all(self, where: str, *values: object) -> list[Job]:
        return await self._database.read(lambda c: select_jobs(c, where, *values))


def _callback(row: Any) -> Callback:
    return Callback(
        delivery_id=row["id"],
        attempts=row["attempts"],
        http_status=row["http_status"],
        error=row["error"],
        tried_at=row["tried_at"],
        delivered_at=row["delivered_at"],
        given_up=row["due"] is None and row["delivered_at"] is None,
    )
