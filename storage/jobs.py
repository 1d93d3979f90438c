"""Jobs, their plans and their transcripts. Every change is one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec

from storage.database import Connection, Database
from storage.records import (
    TERMINAL,
    Chunk,
    Job,
    Order,
    Segment,
    Span,
    Status,
    Task,
    Word,
)

_ORDER = ", ".join(Order.__struct_fields__)
_JOB = (
    f"number, id, status, {_ORDER}, size_bytes, detected_language, duration_secs, chunks_total, "
    "chunks_done, segments, crashes, error, created_at, completed_at"
)
ASKED_AT_ONCE = 500
"""SQLite limits the parameters of a statement."""
_OPEN = "status IN ('queued', 'running')"

_spans = msgspec.json.Decoder(tuple[Span, ...])
_words = msgspec.json.Decoder(tuple[tuple[str, float, float, float], ...])


class Jobs:
    """The queue alone calls the methods that change something."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Questions.

    async def get(self, job_id: str) -> Job | None:
        return await self._one("WHERE id = ?", job_id)

    async def by_idempotency_key(self, key: str) -> Job | None:
        return await self._one("WHERE idempotency_key = ?", key)

    async def waiting(self) -> list[Job]:
        """The jobs that are not over, in the order of arrival."""
        return await self._all(f"WHERE {_OPEN} ORDER BY number")

    async def depth(self) -> int:
        """How many jobs wait, those that run not counted."""

        async def count(c: Connection) -> int:
            async with c.execute("SELECT count(*) FROM jobs WHERE status = 'queued'") as rows:
                (n,) = await anext(aiter(rows))
                return int(n)

        return await self._database.read(count)

    async def oldest_wait_secs(self) -> float:
        """How long the first of the waiting jobs has waited; 0 where none waits."""

        async def select(c: Connection) -> float:
            async with c.execute(
                "SELECT (julianday('now') - julianday(created_at)) * 86400 FROM jobs "
                "WHERE status = 'queued' ORDER BY number LIMIT 1"
            ) as rows:
                row = await anext(aiter(rows), None)
                return 0.0 if row is None else max(0.0, float(row[0]))

        return await self._database.read(select)

    async def page(self, status: Status | None, before: int | None, limit: int) -> list[Job]:
        """Up to ``limit`` jobs, newest first, of ``status`` and older than number ``before``."""
        return await self._all(
            "WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR number < ?2) "
            "ORDER BY number DESC LIMIT ?3",
            status,
            before,
            limit,
        )

    async def transcript(self, job: Job, start: int = 0) -> list[Segment]:
        """The committed segments from index ``start`` on."""

        async def select(c: Connection) -> list[Segment]:
            async with c.execute(
                "SELECT position, start_secs, end_secs, text, words, repair FROM segments "
                "WHERE job_number = ? AND position >= ? ORDER BY position",
                (job.number, start),
            ) as rows:
                return [_segment(row) async for row in rows]

        return await self._database.read(select)

    async def chunk(self, job: Job, ordinal: int) -> Chunk | None:
        async def select(c: Connection) -> Chunk | None:
            async with c.execute(
                "SELECT spans FROM chunks WHERE job_number = ? AND ordinal = ?",
                (job.number, ordinal),
            ) as rows:
                row = await anext(aiter(rows), None)
                if row is None:
                    return None
                return Chunk(ordinal=ordinal, spans=_spans.decode(row["spans"]))

        return await self._database.read(select)

    async def known(self, ids: Sequence[str]) -> dict[str, Job]:
        """Those of ``ids`` that are jobs."""
        found: dict[str, Job] = {}
        for at in range(0, len(ids), ASKED_AT_ONCE):
            some = ids[at : at + ASKED_AT_ONCE]
            jobs = await self._all(f"WHERE id IN ({', '.join('?' * len(some))})", *some)
            found |= {job.id: job for job in jobs}
        return found

    # Changes.

    async def insert(self, job_id: str, order: Order, size_bytes: int, now: str) -> Job:
        """A new job, or the earlier one with the same idempotency key."""

        async def work(c: Connection) -> Job:
            if order.idempotency_key is not None:
                earlier = await _select(c, "WHERE idempotency_key = ?", order.idempotency_key)
                if earlier:
                    return earlier[0]
            values = [getattr(order, field) for field in Order.__struct_fields__]
            await c.execute(
                f"INSERT INTO jobs (id, {_ORDER}, size_bytes, created_at) "
                f"VALUES (?, {', '.join('?' * len(values))}, ?, ?)",
                (job_id, *values, size_bytes, now),
            )
            return await _get(c, job_id)

        return await self._database.write(work)

    async def start(self, job_id: str) -> Job | None:
        """Queued becomes running; None where the job is not queued."""
        return await self._change(
            "UPDATE jobs SET status = 'running' WHERE id = ? AND status = 'queued'", job_id
        )

    async def plan(self, job_id: str, duration_secs: float, chunks: Sequence[Chunk]) -> Job | None:
        """Commit the plan; None where the job is over or has a plan already."""

        async def work(c: Connection) -> Job | None:
            changed = await c.execute(
                f"UPDATE jobs SET duration_secs = ?, chunks_total = ? "
                f"WHERE id = ? AND {_OPEN} AND chunks_total IS NULL",
                (duration_secs, len(chunks), job_id),
            )
            if not changed.rowcount:
                return None
            job = await _get(c, job_id)
            await c.executemany(
                "INSERT INTO chunks (job_number, ordinal, spans) VALUES (?, ?, ?)",
                [(job.number, x.ordinal, msgspec.json.encode(x.spans).decode()) for x in chunks],
            )
            return job

        return await self._database.write(work)

    async def commit_chunk(
        self, job_id: str, ordinal: int, language: str | None, segments: Sequence[Segment]
    ) -> Job | None:
        """Commit the next chunk's segments; None where it is not the next of a running job."""

        async def work(c: Connection) -> Job | None:
            changed = await c.execute(
                "UPDATE jobs SET chunks_done = chunks_done + 1, segments = segments + ?, "
                "crashes = 0, detected_language = coalesce(detected_language, ?) "
                "WHERE id = ? AND status = 'running' AND chunks_done = ? "
                "AND chunks_done < chunks_total",
                (len(segments), language, job_id, ordinal),
            )
            if not changed.rowcount:
                return None
            job = await _get(c, job_id)
            await c.executemany(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(job.number, *_segment_values(segment)) for segment in segments],
            )
            return job

        return await self._database.write(work)

    async def charge_interrupted(self) -> None:
        """Count a crash against every job that the last process left running.

        A clean stop parks its jobs, so that they are not running now.
        """

        async def work(c: Connection) -> None:
            await c.execute("UPDATE jobs SET crashes = crashes + 1 WHERE status = 'running'")

        await self._database.write(work)

    async def crash(self, job_id: str) -> Job | None:
        """Count a crash against a job; None where it is over."""
        return await self._change(
            f"UPDATE jobs SET crashes = crashes + 1 WHERE id = ? AND {_OPEN}", job_id
        )

    async def park(self, job_id: str) -> Job | None:
        """Running becomes queued, at its old place, without a crash counted."""
        return await self._change(
            "UPDATE jobs SET status = 'queued' WHERE id = ? AND status = 'running'", job_id
        )

    async def finish(
        self, job_id: str, status: Status, now: str, due: float, error: str | None = None
    ) -> Job | None:
        """The end of a job and its webhook's outbox row, in one transaction.

        ``due`` is when the webhook is to be tried first. None where the job is over already.
        """
        assert status in TERMINAL

        async def work(c: Connection) -> Job | None:
            changed = await c.execute(
                f"UPDATE jobs SET status = ?, error = ?, completed_at = ? WHERE id = ? AND {_OPEN}",
                (status, error, now, job_id),
            )
            if not changed.rowcount:
                return None
            await c.execute(
                "INSERT INTO deliveries (id, event, url, format, job_number, happened_at, due) "
                "SELECT 'msg_' || lower(hex(randomblob(16))), 'job_ended', webhook_url, "
                "webhook_format, number, completed_at, ? "
                "FROM jobs WHERE id = ? AND webhook_url IS NOT NULL",
                (due, job_id),
            )
            return await _get(c, job_id)

        return await self._database.write(work)

    async def _change(self, sql: str, job_id: str) -> Job | None:
        async def work(c: Connection) -> Job | None:
            changed = await c.execute(sql, (job_id,))
            return await _get(c, job_id) if changed.rowcount else None

        return await self._database.write(work)

    async def _one(self, where: str, *values: object) -> Job | None:
        found = await self._all(where, *values)
        return found[0] if found else None

    async def _all(self, where: str, *values: object) -> list[Job]:
        return await self._database.read(lambda c: _select(c, where, *values))


async def _select(c: Connection, where: str, *values: object) -> list[Job]:
    async with c.execute(f"SELECT {_JOB} FROM jobs {where}", values) as rows:
        return [_job(row) async for row in rows]


async def _get(c: Connection, job_id: str) -> Job:
    (job,) = await _select(c, "WHERE id = ?", job_id)
    return job


def _job(row: Any) -> Job:
    fields = {key: row[key] for key in row.keys()}  # noqa: SIM118 - a Row is no mapping
    order = {name: fields.pop(name) for name in Order.__struct_fields__}
    order["task"] = Task(order["task"])
    order["word_timestamps"] = bool(order["word_timestamps"])
    return Job(**fields | {"status": Status(fields["status"]), "order": Order(**order)})


def _segment(row: Any) -> Segment:
    return Segment(
        index=row["position"],
        start=row["start_secs"],
        end=row["end_secs"],
        text=row["text"],
        words=tuple(Word(*word) for word in _words.decode(row["words"])),
        repair=row["repair"],
    )


def _segment_values(s: Segment) -> tuple[object, ...]:
    words = [msgspec.structs.astuple(word) for word in s.words]
    return (s.index, s.start, s.end, s.text, msgspec.json.encode(words).decode(), s.repair)
