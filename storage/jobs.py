"""All changes of jobs, their plans and their transcripts. Each change is one transaction."""

from collections.abc import Collection, Mapping, Sequence

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
from storage.records import TERMINAL, Chunk, Job, LeftOut, Order, Segment, Stage, Status
from storage.shares import new_token
from storage.speakers import request_speakers
from storage.texts import put_into_outbox, request_texts
from storage.usage import note_usage


class Jobs(JobQueries):
    """Only the queue calls the methods of this class, because they change something.

    The inherited ones, which only read, may be called by anybody.
    """

    @write
    async def insert(
        self,
        c: Connection,
        job_id: str,
        order: Order,
        size_bytes: int | None,
        now: str,
        max_open_jobs: int | None = None,
    ) -> Job:
        """Store a new job; if there is one with the same idempotency key, return that instead.

        Raises:
            OverQuota: the owner already has ``max_open_jobs`` jobs that are queued or running.
        """
        if order.idempotency_key is not None:
            earlier = await select_jobs(c, "WHERE idempotency_key = ?", order.idempotency_key)
            if earlier:
                return earlier[0]
        if max_open_jobs is not None:
            n = await scalar(
                c, f"SELECT count(*) FROM jobs WHERE owner = ? AND {OPEN}", order.owner
            )
            if n >= max_open_jobs:
                raise OverQuota(f"{n} of your jobs are not done yet, and no more may wait at once")
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
        """Store a heartbeat: the job is being worked on, at ``stage``.

        None if the job is not queued or running.
        """
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
        """Store that the job's input was fetched; None if the job has ended or had an input."""
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
        """Set a queued job to running, with that model; None if the job is not queued."""
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
    async def rename(self, c: Connection, job_id: str, label: str | None) -> Job | None:
        return await _updated(c, "UPDATE jobs SET label = ? WHERE id = ?", label, job_id)

    @write
    async def restart(self, c: Connection, job_id: str, *, refetch: bool = False) -> Job | None:
        """Put a failed or cancelled job back into the queue; None if the job has another status.

        All results of its earlier run are deleted. Webhooks about its earlier end that have not
        been delivered yet are given up. ``refetch``: its input is no longer in the spool and must
        be fetched again from its source_url.
        """
        job = await _updated(
            c,
            "UPDATE jobs SET status = 'queued', error = NULL, completed_at = NULL, "
            "started_at = NULL, chunks_total = NULL, chunks_done = 0, segments = 0, "
            "attempt = attempt + 1, "
            "crashes = 0, detected_language = NULL, secs_by_language = '{}', duration_secs = NULL, "
            "stage = NULL, stage_detail = NULL, output_at = NULL, heard_by = NULL, notices = '[]', "
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
            "DELETE FROM left_out WHERE job_number = ?",
            "DELETE FROM texts WHERE job_number = ?",
            "DELETE FROM speakers WHERE job_number = ?",
            "DELETE FROM speaker_names WHERE job_number = ?",
            "DELETE FROM edits WHERE job_number = ?",
            "UPDATE deliveries SET due = NULL, error = 'the job was restarted' "
            "WHERE job_number = ? AND due IS NOT NULL",
        ):
            await c.execute(sql, (job.number,))
        await _log(c, job_id, "restarted")
        return job

    @write
    async def delete(self, c: Connection, job_id: str) -> bool:
        """Delete a job and all rows that belong to it; returns whether there was such a job."""
        return bool(await changed(c, "DELETE FROM jobs WHERE id = ?", job_id))

    @write
    async def plan(
        self,
        c: Connection,
        job_id: str,
        duration_secs: float,
        chunks: Sequence[Chunk],
        waveform: bytes = b"",
        notices: Sequence[str] = (),
    ) -> Job | None:
        """Store the job's chunks; None if the job has ended or has a plan already.

        ``waveform``: the loudness of equal parts of the recording, one byte each, 0 to 255.
        """
        job = await _updated(
            c,
            "UPDATE jobs SET duration_secs = ?, chunks_total = ?, notices = ?, stage = CASE stage "
            "WHEN 'decoding' THEN NULL ELSE stage END, stage_detail = NULL "
            f"WHERE id = ? AND {OPEN} AND chunks_total IS NULL",
            duration_secs,
            len(chunks),
            stored(tuple(notices)),
            job_id,
        )
        if job is None:
            return None
        await note_usage(c, job.order.owner, audio_secs=duration_secs)
        await _log(c, job_id, f"{duration_secs:.1f} s of audio in {len(chunks)} chunks")
        for notice in notices:
            await _log(c, job_id, notice)
        await c.execute("INSERT OR REPLACE INTO waveforms VALUES (?, ?)", (job.number, waveform))
        await c.executemany(
            "INSERT INTO chunks (job_number, ordinal, spans, speech) VALUES (?, ?, ?, ?)",
            [(job.number, x.ordinal, stored(x.spans), stored(x.speech)) for x in chunks],
        )
        return job

    @write
    async def commit_chunk(
        self,
        c: Connection,
        job_id: str,
        ordinal: int,
        segments: Sequence[Segment],
        left_out: Sequence[LeftOut] = (),
    ) -> Job | None:
        """Store a chunk's segments, and what is left out of them.

        None if the job is not running or another chunk is next.
        """
        job = await _updated(
            c,
            "UPDATE jobs SET chunks_done = chunks_done + 1, segments = segments + ?, "
            f"crashes = 0, stage_detail = NULL, beat_at = {NOW}, output_at = {NOW} "
            "WHERE id = ? AND status = 'running' AND chunks_done = ? "
            "AND chunks_done < chunks_total",
            len(segments),
            job_id,
            ordinal,
        )
        if job is None:
            return None
        await c.executemany(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(job.number, *segment_values(segment)) for segment in segments],
        )
        await c.executemany(
            "INSERT INTO left_out VALUES (?, ?, ?, ?, ?)",
            [(job.number, x.start, x.end, x.text, x.reason) for x in left_out],
        )
        secs = _with_more(job.secs_by_language, segments)
        if secs == job.secs_by_language:
            return job
        return await _updated(
            c,
            "UPDATE jobs SET secs_by_language = ?, "
            "detected_language = coalesce(?, detected_language) WHERE number = ?",
            msgspec.json.encode(secs).decode(),
            max(secs, key=secs.__getitem__, default=None),
            job.number,
        )

    @write
    async def count_crash_of_interrupted(self, c: Connection) -> list[str]:
        """Count a crash against the job that was in flight when the last process ended.

        If there were several, any of them may be the cause: none is charged, and their ids are
        returned. For the server's start. After a clean stop no job is running, so no crash is
        counted. The stages of queued jobs are cleared as well, because nothing is being fetched or
        decoded yet.
        """
        rows = await c.execute_fetchall("SELECT id FROM jobs WHERE status = 'running' AND engaged")
        interrupted = [row[0] for row in rows]
        if len(interrupted) == 1:
            await c.execute("UPDATE jobs SET crashes = crashes + 1 WHERE id = ?", interrupted)
        await c.execute("UPDATE jobs SET engaged = 0 WHERE engaged")
        await c.execute("UPDATE jobs SET stage = NULL, stage_detail = NULL WHERE status = 'queued'")
        return interrupted if len(interrupted) > 1 else []

    @write
    async def mark_in_flight(self, c: Connection, job_ids: Collection[str]) -> None:
        """Mark these jobs, and no others, as in flight: the engine has chunks of them."""
        await c.execute("UPDATE jobs SET engaged = 0 WHERE engaged")
        await c.executemany("UPDATE jobs SET engaged = 1 WHERE id = ?", [(n,) for n in job_ids])

    async def count_crash(self, job_id: str) -> Job | None:
        """Count a crash against a job; None if the job has ended."""
        return await self._change(
            f"UPDATE jobs SET crashes = crashes + 1 WHERE id = ? AND {OPEN}", job_id
        )

    async def requeue(self, job_id: str) -> Job | None:
        """Set a running job back to queued. It keeps its place, and no crash is counted.

        None if the job is not running.
        """
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
        """End a job. Its webhook's delivery and its public page are made in the same transaction.

        If a language model is to write texts for the job, the rows of these texts are made instead
        of the delivery: the webhook is sent after the last of them.

        ``due`` is when to try the webhook first, in seconds since the epoch. None if the job has
        ended already.
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
            await request_texts(c, job, now)
        else:
            await put_into_outbox(c, job.number, due)
        if job.status is Status.DONE and job.order.speakers and job.segments:
            await request_speakers(c, job, now)
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
    """Run an UPDATE and return the changed job; None if it changed no row."""
    found = await rows(c, f"{update} RETURNING {JOB_COLUMNS}", *values)
    return next(map(job_of, found), None)


def _with_more(
    secs_by_language: Mapping[str, float], segments: Sequence[Segment]
) -> dict[str, float]:
    """The seconds in each language, with those of more segments."""
    more = dict(secs_by_language)
    for segment in segments:
        if segment.language is not None:
            secs = more.get(segment.language, 0.0) + segment.end - segment.start
            more[segment.language] = round(secs, 2)
    return more


async def _log(c: Connection, job_id: str, line: str) -> None:
    await c.execute(
        f"INSERT INTO job_log SELECT number, {NOW}, ? FROM jobs WHERE id = ?", (line, job_id)
    )
