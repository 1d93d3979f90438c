"""Jobs, their plans and their transcripts. Every change is one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec

from storage.database import NOW, Connection, Database
from storage.errors import OverQuota
from storage.records import (
    TERMINAL,
    Callback,
    Chunk,
    Job,
    LogLine,
    Order,
    Segment,
    Span,
    Stage,
    Status,
    Task,
    View,
    Word,
)
from storage.shares import new_token
from storage.speakers import want_speakers
from storage.texts import put_into_outbox, want_texts
from storage.usage import note_usage

_ORDER = ", ".join(Order.__struct_fields__)
_JOB = (
    f"number, id, status, {_ORDER}, size_bytes, detected_language, duration_secs, chunks_total, "
    "chunks_done, segments, crashes, error, created_at, started_at, completed_at, "
    "stage, stage_detail, stage_at, beat_at, output_at, heard_by"
)
_RAW = (
    "SELECT position, start_secs, end_secs, text, words, repair, 0 AS corrected FROM segments "
    "WHERE job_number = ? AND position >= ? ORDER BY position LIMIT ?"
)
_CORRECTED = (
    "SELECT s.position, start_secs, end_secs, coalesce(c.text, s.text) AS text, "
    "iif(c.text IS NULL, s.words, c.words) AS words, repair, c.text IS NOT NULL AS corrected "
    "FROM segments s LEFT JOIN corrections c ON c.number = (SELECT max(number) FROM corrections "
    "WHERE job_number = s.job_number AND position = s.position) "
    "WHERE s.job_number = ? AND s.position >= ? ORDER BY s.position LIMIT ?"
)
EVERYTHING = View()
ASKED_AT_ONCE = 500
"""SQLite limits the parameters of a statement."""
_OPEN = "status IN ('queued', 'running')"
LOG_KEPT = 200
"""Lines of a job's log that are shown: the last ones."""

_spans = msgspec.json.Decoder(tuple[Span, ...])
_words = msgspec.json.Decoder(tuple[tuple[str, float, float, float], ...])
_texts = msgspec.json.Decoder(tuple[str, ...])


class Jobs:
    """The queue alone calls the methods that change something."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Questions.

    async def get(self, job_id: str, view: View = EVERYTHING) -> Job | None:
        return await self._one(f"WHERE id = ? AND {seen(view)}", job_id)

    async def numbered(self, number: int, view: View = EVERYTHING) -> Job | None:
        return await self._one(f"WHERE number = ? AND {seen(view)}", number)

    async def by_idempotency_key(self, key: str) -> Job | None:
        return await self._one("WHERE idempotency_key = ?", key)

    async def waiting(self) -> list[Job]:
        """The jobs that are not over, in the order of arrival."""
        return await self._all(f"WHERE {_OPEN} ORDER BY number")

    async def depth(self) -> int:
        """How many jobs wait, those that run not counted."""

        async def count(c: Connection) -> int:
            rows = await c.execute_fetchall("SELECT count(*) FROM jobs WHERE status = 'queued'")
            (n,) = next(iter(rows))
            return int(n)

        return await self._database.read(count)

    async def oldest_wait_secs(self) -> float:
        """How long the first of the waiting jobs has waited; 0 where none waits."""

        async def select(c: Connection) -> float:
            rows = await c.execute_fetchall(
                "SELECT (julianday('now') - julianday(created_at)) * 86400 FROM jobs "
                "WHERE status = 'queued' ORDER BY number LIMIT 1"
            )
            row = next(iter(rows), None)
            return 0.0 if row is None else max(0.0, float(row[0]))

        return await self._database.read(select)

    async def page(
        self, status: Status | None, before: int | None, limit: int, view: View = EVERYTHING
    ) -> list[Job]:
        """Up to ``limit`` jobs, newest first, of ``status`` and older than number ``before``."""
        return await self._all(
            "WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR number < ?2) "
            f"AND {seen(view)} ORDER BY number DESC LIMIT ?3",
            status,
            before,
            limit,
        )

    async def transcript(
        self, job: Job, start: int = 0, *, most: int = -1, raw: bool = False
    ) -> list[Segment]:
        """The committed segments from index ``start`` on, up to ``most`` of them, as people have
        corrected them, or ``raw``: as the engine gave them."""

        async def select(c: Connection) -> list[Segment]:
            rows = await c.execute_fetchall(_RAW if raw else _CORRECTED, (job.number, start, most))
            return [_segment(row) for row in rows]

        return await self._database.read(select)

    async def chunk(self, job: Job, ordinal: int) -> Chunk | None:
        async def select(c: Connection) -> Chunk | None:
            rows = await c.execute_fetchall(
                "SELECT spans FROM chunks WHERE job_number = ? AND ordinal = ?",
                (job.number, ordinal),
            )
            row = next(iter(rows), None)
            if row is None:
                return None
            return Chunk(ordinal=ordinal, spans=_spans.decode(row["spans"]))

        return await self._database.read(select)

    async def known(self, ids: Sequence[str], view: View = EVERYTHING) -> dict[str, Job]:
        """Those of ``ids`` that are jobs in that view."""
        found: dict[str, Job] = {}
        for at in range(0, len(ids), ASKED_AT_ONCE):
            some = ids[at : at + ASKED_AT_ONCE]
            jobs = await self._all(
                f"WHERE id IN ({', '.join('?' * len(some))}) AND {seen(view)}", *some
            )
            found |= {job.id: job for job in jobs}
        return found

    async def counts(self, view: View) -> dict[tuple[Status, bool], int]:
        """How many jobs there are by status and whether they are being fetched."""

        async def select(c: Connection) -> dict[tuple[Status, bool], int]:
            rows = await c.execute_fetchall(
                "SELECT status, coalesce(stage = 'fetching', 0), count(*) FROM jobs "
                f"WHERE {seen(view)} GROUP BY 1, 2"
            )
            return {(Status(row[0]), bool(row[1])): row[2] for row in rows}

        return await self._database.read(select)

    async def log(self, job: Job) -> list[LogLine]:
        """The last LOG_KEPT lines, oldest first."""

        async def select(c: Connection) -> list[LogLine]:
            rows = await c.execute_fetchall(
                "SELECT at, line FROM job_log WHERE job_number = ? ORDER BY rowid DESC LIMIT ?",
                (job.number, LOG_KEPT),
            )
            return [LogLine(row["at"], row["line"]) for row in rows][::-1]

        return await self._database.read(select)

    async def waveform(self, job: Job) -> bytes:
        """How loud equal parts of the recording are, 0 to 255; empty where nobody knows."""

        async def select(c: Connection) -> bytes:
            rows = await c.execute_fetchall(
                "SELECT levels FROM waveforms WHERE job_number = ?", (job.number,)
            )
            row = next(iter(rows), None)
            return b"" if row is None else bytes(row[0])

        return await self._database.read(select)

    async def waiting_in(self, view: View, most: int) -> list[Job]:
        """The first jobs of that view that wait."""
        return await self._all(
            f"WHERE status = 'queued' AND {seen(view)} ORDER BY urgent DESC, number LIMIT ?", most
        )

    async def line(self) -> list[int]:
        """The numbers of the jobs that wait, in about the order of their turns.

        The urgent first, then each owner's first before anybody's second.
        """

        async def select(c: Connection) -> list[int]:
            rows = await c.execute_fetchall(
                "SELECT number FROM (SELECT number, status, urgent, row_number() OVER "
                "(PARTITION BY urgent, owner ORDER BY status = 'queued', number) AS place "
                f"FROM jobs WHERE {_OPEN}) WHERE status = 'queued' "
                "ORDER BY urgent DESC, place, number"
            )
            return [row[0] for row in rows]

        return await self._database.read(select)

    async def callbacks(self, jobs: Sequence[Job]) -> dict[int, Callback]:
        """The webhook of each job's end, by the job's number; not of an end before a restart."""
        numbers = [job.number for job in jobs if job.order.webhook_url]

        async def select(c: Connection) -> dict[int, Callback]:
            rows = await c.execute_fetchall(
                "SELECT job_number, d.id, attempts, http_status, d.error, tried_at, delivered_at, "
                "due FROM deliveries d JOIN jobs ON number = job_number "
                "AND happened_at = completed_at "
                f"WHERE job_number IN ({', '.join('?' * len(numbers))})",
                numbers,
            )
            return {row["job_number"]: _callback(row) for row in rows}

        return await self._database.read(select)

    # Changes.

    async def insert(
        self,
        job_id: str,
        order: Order,
        size_bytes: int | None,
        now: str,
        most_open: int | None = None,
    ) -> Job:
        """A new job, or the earlier one with the same idempotency key.

        Raises:
            OverQuota: its owner has ``most_open`` jobs already that are not over.
        """

        async def work(c: Connection) -> Job:
            if order.idempotency_key is not None:
                earlier = await select_jobs(c, "WHERE idempotency_key = ?", order.idempotency_key)
                if earlier:
                    return earlier[0]
            if most_open is not None:
                rows = await c.execute_fetchall(
                    f"SELECT count(*) FROM jobs WHERE owner = ? AND {_OPEN}", (order.owner,)
                )
                (n,) = next(iter(rows))
                if n >= most_open:
                    raise OverQuota(f"{n} of your jobs are waiting, which is as many as may wait")
            values = [_stored(getattr(order, field)) for field in Order.__struct_fields__]
            (row,) = await c.execute_fetchall(
                f"INSERT INTO jobs (id, {_ORDER}, size_bytes, created_at) "
                f"VALUES (?, {', '.join('?' * len(values))}, ?, ?) RETURNING {_JOB}",
                (job_id, *values, size_bytes, now),
            )
            return _job(row)

        return await self._database.write(work)

    async def beat(self, job_id: str, stage: Stage, detail: str) -> Job | None:
        """A sign of life from whoever is at ``stage``; None where the job is over."""

        async def work(c: Connection) -> Job | None:
            before = await select_jobs(c, f"WHERE id = ? AND {_OPEN}", job_id)
            if not before:
                return None
            if before[0].stage is not stage:
                await _log(c, job_id, detail)
            return await _updated(
                c,
                f"UPDATE jobs SET beat_at = {NOW}, stage_detail = ?1, stage = ?2, "
                f"stage_at = iif(stage IS ?2, stage_at, {NOW}) WHERE id = ?3",
                detail,
                stage,
                job_id,
            )

        return await self._database.write(work)

    async def fetched(
        self, job_id: str, size_bytes: int, media_type: str | None, filename: str | None
    ) -> Job | None:
        """The input is there; None where the job is over or had one."""

        async def work(c: Connection) -> Job | None:
            job = await _updated(
                c,
                "UPDATE jobs SET size_bytes = ?, media_type = ?, filename = ?, stage = NULL, "
                f"stage_detail = NULL, stage_at = {NOW} "
                f"WHERE id = ? AND {_OPEN} AND size_bytes IS NULL",
                size_bytes,
                media_type,
                filename,
                job_id,
            )
            if job is None:
                return None
            await _log(c, job_id, f"fetched {size_bytes} bytes")
            return job

        return await self._database.write(work)

    async def start(self, job_id: str, model: str | None = None) -> Job | None:
        """Queued becomes running, by that model; None where the job is not queued."""

        async def work(c: Connection) -> Job | None:
            job = await _updated(
                c,
                f"UPDATE jobs SET status = 'running', started_at = coalesce(started_at, {NOW}), "
                f"stage = 'transcribing', stage_detail = NULL, stage_at = {NOW}, "
                f"beat_at = {NOW}, heard_by = ? WHERE id = ? AND status = 'queued'",
                model,
                job_id,
            )
            if job is None:
                return None
            await _log(c, job_id, "transcription began")
            return job

        return await self._database.write(work)

    async def restart(self, job_id: str, *, refetch: bool = False) -> Job | None:
        """Back to the queue as first submitted; None where the job waits, runs or is done.

        ``refetch``: its input is gone, but can be had again from its source_url.

        What is still to be said of its earlier end is not said any more.
        """

        async def work(c: Connection) -> Job | None:
            job = await _updated(
                c,
                "UPDATE jobs SET status = 'queued', error = NULL, completed_at = NULL, "
                "started_at = NULL, chunks_total = NULL, chunks_done = 0, segments = 0, "
                "crashes = 0, detected_language = NULL, duration_secs = NULL, stage = NULL, "
                "stage_detail = NULL, output_at = NULL, heard_by = NULL, "
                "size_bytes = iif(?, NULL, size_bytes) "
                "WHERE id = ? AND status IN ('failed', 'cancelled')",
                refetch,
                job_id,
            )
            if job is None:
                return None
            for sql in (
                "DELETE FROM chunks WHERE job_number = ?",
                "DELETE FROM segments WHERE job_number = ?",
                "DELETE FROM texts WHERE job_number = ?",
                "DELETE FROM speakers WHERE job_number = ?",
                "DELETE FROM speaker_names WHERE job_number = ?",
                "DELETE FROM corrections WHERE job_number = ?",
                "UPDATE deliveries SET due = NULL, error = 'the job was restarted' "
                "WHERE job_number = ? AND due IS NOT NULL",
            ):
                await c.execute(sql, (job.number,))
            await _log(c, job_id, "restarted")
            return job

        return await self._database.write(work)

    async def delete(self, job_id: str) -> bool:
        """Whether there was such a job; all that hangs on it goes with it."""

        async def work(c: Connection) -> bool:
            changed = await c.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
            return bool(changed.rowcount)

        return await self._database.write(work)

    async def plan(
        self, job_id: str, duration_secs: float, chunks: Sequence[Chunk], waveform: bytes = b""
    ) -> Job | None:
        """Commit the plan; None where the job is over or has a plan already.

        ``waveform``: how loud equal parts of the recording are, 0 to 255.
        """

        async def work(c: Connection) -> Job | None:
            job = await _updated(
                c,
                "UPDATE jobs SET duration_secs = ?, chunks_total = ?, stage = CASE stage "
                "WHEN 'decoding' THEN NULL ELSE stage END, stage_detail = NULL "
                f"WHERE id = ? AND {_OPEN} AND chunks_total IS NULL",
                duration_secs,
                len(chunks),
                job_id,
            )
            if job is None:
                return None
            await note_usage(c, job.order.owner, audio_secs=duration_secs)
            await _log(c, job_id, f"{duration_secs:.1f} s of audio in {len(chunks)} chunks")
            await c.execute(
                "INSERT OR REPLACE INTO waveforms VALUES (?, ?)", (job.number, waveform)
            )
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
            job = await _updated(
                c,
                "UPDATE jobs SET chunks_done = chunks_done + 1, segments = segments + ?, "
                "crashes = 0, detected_language = coalesce(detected_language, ?), "
                f"stage_detail = NULL, beat_at = {NOW}, output_at = {NOW} "
                "WHERE id = ? AND status = 'running' AND chunks_done = ? "
                "AND chunks_done < chunks_total",
                len(segments),
                language,
                job_id,
                ordinal,
            )
            if job is None:
                return None
            await c.executemany(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(job.number, *_segment_values(segment)) for segment in segments],
            )
            return job

        return await self._database.write(work)

    async def charge_interrupted(self) -> None:
        """Count a crash against the job that the last process left at the engine.

        A clean stop parks its jobs, so that they are not running now. Nobody is at any stage.
        """

        async def work(c: Connection) -> None:
            await c.execute(
                "UPDATE jobs SET crashes = crashes + 1 WHERE status = 'running' AND engaged"
            )
            await c.execute("UPDATE jobs SET engaged = 0 WHERE engaged")
            await c.execute(
                "UPDATE jobs SET stage = NULL, stage_detail = NULL WHERE status = 'queued'"
            )

        await self._database.write(work)

    async def engage(self, job_id: str | None) -> None:
        """That job, and no other, is at the engine."""

        async def work(c: Connection) -> None:
            await c.execute("UPDATE jobs SET engaged = 0 WHERE engaged")
            await c.execute("UPDATE jobs SET engaged = 1 WHERE id = ?", (job_id,))

        await self._database.write(work)

    async def crash(self, job_id: str) -> Job | None:
        """Count a crash against a job; None where it is over."""
        return await self._change(
            f"UPDATE jobs SET crashes = crashes + 1 WHERE id = ? AND {_OPEN}", job_id
        )

    async def park(self, job_id: str) -> Job | None:
        """Running becomes queued, at its old place, without a crash counted."""
        return await self._change(
            "UPDATE jobs SET status = 'queued', stage = NULL, stage_detail = NULL "
            "WHERE id = ? AND status = 'running'",
            job_id,
        )

    async def finish(
        self, job_id: str, status: Status, now: str, due: float, error: str | None = None
    ) -> Job | None:
        """The end of a job, its webhook's outbox row and its public page, in one transaction.

        A done job that a language model is to read has the rows of its texts instead of the
        webhook's, which waits for them.

        ``due`` is when the webhook is to be tried first. None where the job is over already.
        """
        assert status in TERMINAL

        async def work(c: Connection) -> Job | None:
            job = await _updated(
                c,
                "UPDATE jobs SET status = ?, error = ?, completed_at = ?, stage = NULL, "
                f"stage_detail = NULL WHERE id = ? AND {_OPEN}",
                status,
                error,
                now,
                job_id,
            )
            if job is None:
                return None
            if job.status is Status.DONE and job.order.assisted and job.segments:
                await want_texts(c, job, now)
            else:
                await put_into_outbox(c, job.number, due)
            if job.status is Status.DONE and job.order.speakers and job.segments:
                await want_speakers(c, job, now)
            if status is Status.DONE:
                await c.execute(
                    "INSERT OR IGNORE INTO shares (token, job_number, created_at) "
                    "SELECT ?, number, ? FROM jobs WHERE id = ? AND shared",
                    (new_token(), now, job_id),
                )
            await _log(c, job_id, f"{status}: {error}" if error else str(status))
            return job

        return await self._database.write(work)

    async def _change(self, sql: str, job_id: str) -> Job | None:
        async def work(c: Connection) -> Job | None:
            return await _updated(c, sql, job_id)

        return await self._database.write(work)

    async def _one(self, where: str, *values: object) -> Job | None:
        found = await self._all(where, *values)
        return found[0] if found else None

    async def _all(self, where: str, *values: object) -> list[Job]:
        return await self._database.read(lambda c: select_jobs(c, where, *values))


async def select_jobs(c: Connection, where: str, *values: object) -> list[Job]:
    rows = await c.execute_fetchall(f"SELECT {_JOB} FROM jobs {where}", values)
    return [_job(row) for row in rows]


async def _updated(c: Connection, update: str, *values: object) -> Job | None:
    """The job as ``update`` left it; None where it met none."""
    rows = await c.execute_fetchall(f"{update} RETURNING {_JOB}", values)
    return next(map(_job, rows), None)


def seen(view: View) -> str:
    """What a row must be to be seen: numbers and names of our own, no text from outside."""
    terms = []
    if view.owner is not None:
        terms.append(f"owner = {view.owner:d}")
    if view.channels is not None:
        terms.append(f"channel IN ({', '.join(repr(str(name)) for name in view.channels)})")
    return " AND ".join(terms) or "TRUE"


async def _log(c: Connection, job_id: str, line: str) -> None:
    await c.execute(
        f"INSERT INTO job_log SELECT number, {NOW}, ? FROM jobs WHERE id = ?", (line, job_id)
    )


def _stored(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, tuple) else value


def _job(row: Any) -> Job:
    fields = {key: row[key] for key in row.keys()}  # noqa: SIM118 - a Row is no mapping
    order = {name: fields.pop(name) for name in Order.__struct_fields__}
    order["task"] = Task(order["task"])
    order["translations"] = _texts.decode(order["translations"])
    for flag in ("word_timestamps", "model_events", "urgent", "speakers", "shared", "assisted"):
        order[flag] = bool(order[flag])
    fields["status"] = Status(fields["status"])
    fields["stage"] = fields["stage"] and Stage(fields["stage"])
    return Job(**fields, order=Order(**order))


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


def _segment(row: Any) -> Segment:
    return Segment(
        index=row["position"],
        start=row["start_secs"],
        end=row["end_secs"],
        text=row["text"],
        words=tuple(Word(*word) for word in _words.decode(row["words"])),
        repair=row["repair"],
        corrected=bool(row["corrected"]),
    )


def _segment_values(s: Segment) -> tuple[object, ...]:
    words = [msgspec.structs.astuple(word) for word in s.words]
    return (s.index, s.start, s.end, s.text, msgspec.json.encode(words).decode(), s.repair)
