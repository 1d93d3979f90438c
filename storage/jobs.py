"""Every change of jobs, their plans and their transcripts: each is one transaction."""

from collections.abc import Sequence

import msgspec

from storage.database import NOW, Connection, changed, rows, scalar, write
from storage.errors import OverQuota
from storage.job_queries import JobQueries
from storage.job_rows import (
    JOB_COLUMNS,
    OPEN,
    ORDER_COLUMNS,
    job_of,
    segment_values,
    select_jobs,
    stored,
)
from storage.records import TERMINAL, Chunk, Job, Order, Segment, Stage, Status
from storage.shares import new_token
from storage.speakers import want_speakers
from storage.texts import put_into_outbox, want_texts
from storage.usage import note_usage


class Jobs(JobQueries):
    """The queue alone calls these methods: each changes something."""

    @write
    async def insert(
        self,
        c: Connection,
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
        if order.idempotency_key is not None:
            earlier = await select_jobs(c, "WHERE idempotency_key = ?", order.idempotency_key)
            if earlier:
                return earlier[0]
        if most_open is not None:
            n = await scalar(
                c, f"SELECT count(*) FROM jobs WHERE owner = ? AND {OPEN}", order.owner
            )
            if n >= most_open:
                raise OverQuota(f"{n} of your jobs are waiting, which is as many as may wait")
        values = [stored(getattr(order, field)) for field in Order.__struct_fields__]
        (row,) = await rows(
            c,
            f"INSERT INTO jobs (id, {ORDER_COLUMNS}, size_bytes, created_at) "
            f"VALUES (?, {', '.join('?' * len(values))}, ?, ?) RETURNING {JOB_COLUMNS}",
            job_id,
            *values,
            size_bytes,
            now,
        )
        return job_of(row)

    @write
    async def heartbeat(self, c: Connection, job_id: str, stage: Stage, detail: str) -> Job | None:
        """A sign of life from whoever is at ``stage``; None where the job is over."""
        before = await select_jobs(c, f"WHERE id = ? AND {OPEN}", job_id)
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

    @write
    async def fetched(
        self,
        c: Connection,
        job_id: str,
        size_bytes: int,
        media_type: str | None,
        filename: str | None,
    ) -> Job | None:
        """The input is there; None where the job is over or had one."""
        job = await _updated(
            c,
            "UPDATE jobs SET size_bytes = ?, media_type = ?, filename = ?, stage = NULL, "
            f"stage_detail = NULL, stage_at = {NOW} "
            f"WHERE id = ? AND {OPEN} AND size_bytes IS NULL",
            size_bytes,
            media_type,
            filename,
            job_id,
        )
        if job is None:
            return None
        await _log(c, job_id, f"fetched {size_bytes} bytes")
        return job

    @write
    async def start(self, c: Connection, job_id: str, model: str | None = None) -> Job | None:
        """Queued becomes running, by that model; None where the job is not queued."""
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

    @write
    async def restart(self, c: Connection, job_id: str, *, refetch: bool = False) -> Job | None:
        """Back to the queue as first submitted; None where the job waits, runs or is done.

        ``refetch``: its input is gone, but can be had again from its source_url.

        What is still to be said of its earlier end is not said any more.
        """
        job = await _updated(
            c,
            "UPDATE jobs SET status = 'queued', error = NULL, completed_at = NULL, "
            "started_at = NULL, chunks_total = NULL, chunks_done = 0, segments = 0, "
            "attempt = attempt + 1, "
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

    @write
    async def delete(self, c: Connection, job_id: str) -> bool:
        """Whether there was such a job; all that hangs on it goes with it."""
        return bool(await changed(c, "DELETE FROM jobs WHERE id = ?", job_id))

    @write
    async def plan(
        self,
        c: Connection,
        job_id: str,
        duration_secs: float,
        chunks: Sequence[Chunk],
        waveform: bytes = b"",
    ) -> Job | None:
        """Commit the plan; None where the job is over or has a plan already.

        ``waveform``: how loud equal parts of the recording are, 0 to 255.
        """
        job = await _updated(
            c,
            "UPDATE jobs SET duration_secs = ?, chunks_total = ?, stage = CASE stage "
            "WHEN 'decoding' THEN NULL ELSE stage END, stage_detail = NULL "
            f"WHERE id = ? AND {OPEN} AND chunks_total IS NULL",
            duration_secs,
            len(chunks),
            job_id,
        )
        if job is None:
            return None
        await note_usage(c, job.order.owner, audio_secs=duration_secs)
        await _log(c, job_id, f"{duration_secs:.1f} s of audio in {len(chunks)} chunks")
        await c.execute("INSERT OR REPLACE INTO waveforms VALUES (?, ?)", (job.number, waveform))
        await c.executemany(
            "INSERT INTO chunks (job_number, ordinal, spans) VALUES (?, ?, ?)",
            [(job.number, x.ordinal, msgspec.json.encode(x.spans).decode()) for x in chunks],
        )
        return job

    @write
    async def commit_chunk(
        self,
        c: Connection,
        job_id: str,
        ordinal: int,
        language: str | None,
        segments: Sequence[Segment],
    ) -> Job | None:
        """Commit the next chunk's segments; None where it is not the next of a running job."""
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
            [(job.number, *segment_values(segment)) for segment in segments],
        )
        return job

    @write
    async def charge_interrupted(self, c: Connection) -> None:
        """Count a crash against the job that the last process left at the engine.

        A clean stop parks its jobs, so that they are not running now. Nobody is at any stage.
        """
        await c.execute(
            "UPDATE jobs SET crashes = crashes + 1 WHERE status = 'running' AND engaged"
        )
        await c.execute("UPDATE jobs SET engaged = 0 WHERE engaged")
        await c.execute("UPDATE jobs SET stage = NULL, stage_detail = NULL WHERE status = 'queued'")

    @write
    async def mark_in_flight(self, c: Connection, job_id: str | None) -> None:
        """That job, and no other, is at the engine."""
        await c.execute("UPDATE jobs SET engaged = 0 WHERE engaged")
        await c.execute("UPDATE jobs SET engaged = 1 WHERE id = ?", (job_id,))

    async def crash(self, job_id: str) -> Job | None:
        """Count a crash against a job; None where it is over."""
        return await self._change(
            f"UPDATE jobs SET crashes = crashes + 1 WHERE id = ? AND {OPEN}", job_id
        )

    async def park(self, job_id: str) -> Job | None:
        """Running becomes queued, at its old place, without a crash counted."""
        return await self._change(
            "UPDATE jobs SET status = 'queued', stage = NULL, stage_detail = NULL "
            "WHERE id = ? AND status = 'running'",
            job_id,
        )

    @write
    async def finish(
        self,
        c: Connection,
        job_id: str,
        status: Status,
        now: str,
        due: float,
        error: str | None = None,
    ) -> Job | None:
        """The end of a job, its webhook's outbox row and its public page, in one transaction.

        A done job that a language model is to read has the rows of its texts instead of the
        webhook's, which waits for them.

        ``due`` is when the webhook is to be tried first. None where the job is over already.
        """
        assert status in TERMINAL
        job = await _updated(
            c,
            "UPDATE jobs SET status = ?, error = ?, completed_at = ?, stage = NULL, "
            f"stage_detail = NULL WHERE id = ? AND {OPEN}",
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

    @write
    async def _change(self, c: Connection, sql: str, job_id: str) -> Job | None:
        return await _updated(c, sql, job_id)


async def _updated(c: Connection, update: str, *values: object) -> Job | None:
    """The job as ``update`` left it; None where it met none."""
    found = await rows(c, f"{update} RETURNING {JOB_COLUMNS}", *values)
    return next(map(job_of, found), None)


async def _log(c: Connection, job_id: str, line: str) -> None:
    await c.execute(
        f"INSERT INTO job_log SELECT number, {NOW}, ? FROM jobs WHERE id = ?", (line, job_id)
    )
