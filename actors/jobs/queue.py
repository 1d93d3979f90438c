"""The actor that owns the jobs: only the queue changes their rows.

Other actors tell the queue what they have done. It first commits that to the database and then
publishes it. The database is always right, and messages only report changes. So if all messages
are lost, for example in a crash, some work is done again, but no job is lost.
"""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import assert_never

import anyio
import msgspec
from prometheus_client import Counter

from actors.engine.messages import (
    WINDOWS_PER_PLACE,
    AbortChunk,
    ChunkDone,
    ChunkFailed,
    GiveBack,
    InferenceMessage,
    Transcribe,
)
from actors.jobs.messages import (
    Cancel,
    CheckStalled,
    ChunkCommitted,
    Delete,
    Drain,
    FetchedAfterEnd,
    JobAbandoned,
    JobChanged,
    JobDeleted,
    JobEnded,
    JobExpired,
    JobQueued,
    QueueMessage,
    Rename,
    Restart,
    Rested,
    Submit,
)
from actors.jobs.preparation import Preparation
from actors.jobs.scheduler import Scheduler
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Address, Mailbox
from actors.kernel.publisher import Publish
from actors.media.messages import (
    Fetched,
    FetchesLost,
    FetchFailed,
    Heartbeat,
    Planned,
    SplitFailed,
    SplitsLost,
)
from actors.models.messages import (
    LifecycleMessage,
    ModelFailed,
    ModelGone,
    ModelReady,
    ModelWaits,
    Work,
)
from storage.blobs import RECORDING_GONE, Spool
from storage.errors import Busy, Conflict, NoSpace, NotFound
from storage.jobs import Jobs
from storage.records import Action, Job, Segment, Stage, Status, Task
from storage.times import utc

log = logging.getLogger(__name__)

ENDED = Counter("whisperbox_jobs_ended", "Jobs by their last status", ["status"])
MAX_CRASHES = 3
"""A job fails after this many crashes without a committed chunk in between."""
CRASH_PAUSES_S = {1: 5.0, 2: 60.0}
"""Seconds that a job waits after its first and its second crash. What crashed it may pass (another
program that used up the memory), and three crashes in a moment would blame the recording."""
LOOK_EVERY_S = 30.0
"""Seconds between two searches for stalled jobs. It is half the time without a heartbeat after
which the hub calls a job quiet."""


class Queue(Actor[QueueMessage]):
    def __init__(
        self,
        mailbox: Mailbox[QueueMessage],
        *,
        jobs: Jobs,
        spool: Spool,
        scheduler: Scheduler,
        preparation: Preparation,
        lifecycle: Address[LifecycleMessage],
        inference: Address[InferenceMessage],
        publish: Publish,
        model_for: Callable[[str | None], str],
        drained: anyio.Event,
        suspects: Collection[str] = (),
    ) -> None:
        """``model_for`` returns the model that the name in an order stands for (None: the default
        model). ``drained`` is set when a Drain is done: all jobs are parked. ``suspects``: ids of
        jobs one of which may have ended the last process."""
        super().__init__(mailbox)
        self._jobs, self._spool = jobs, spool
        self._scheduler, self._preparation = scheduler, preparation
        self._lifecycle, self._inference = lifecycle, inference
        self._publish, self._model_for, self._drained = publish, model_for, drained
        self._in_flight: dict[tuple[str, int], ChunkDone | None] = {}
        """The chunks that were given to the engine and are not committed, by the job's id and the
        chunk's ordinal. One that is done waits here until those before it are committed."""
        self._suspects = dict.fromkeys(suspects, 0)
        """Jobs of which several chunks were in flight when the engine crashed, each with the last
        of these chunks. Until that is committed they are transcribed one chunk at a time and with
        no other job, so that the next crash shows its cause."""
        self._model: str | None = None
        """The model that is loaded."""
        self._load = 0
        """The number of its load."""
        self._capacity = 1
        """How many chunks the engine can be given at once."""
        self._unavailable_model: str | None = None
        """The model that could not be loaded at the last try."""
        self._resting: set[str] = set()
        """Jobs that wait after a crash."""
        self._draining = False
        self._marked: set[str] = set()
        """The jobs that are marked in the database as in flight."""
        self._announced_work: Work | None = None

    async def started(self) -> None:
        for job in await self._jobs.open_jobs():
            self._scheduler.put(job)
            self._preparation.note_prepared(job)
            if job.crashes >= MAX_CRASHES:
                await self._fail_after_crashes(
                    job, "the server was ended while it worked on this job"
                )
            elif job.crashes == MAX_CRASHES - 1:
                self._rest(job)
        with suppress(NoSpace):  # CheckStalled begins it again, and messages are read meanwhile
            await self._begin_next_work()
        self.me.tell(CheckStalled())

    async def handle(self, message: QueueMessage) -> object:
        match message:
            case Submit():
                return await self._submit(message)
            case Cancel():
                return await self._cancel(message)
            case Restart():
                return await self._restart(message)
            case Delete():
                return await self._delete(message)
            case Rename():
                return await self._rename(message)
            case Heartbeat():
                return await self._heartbeat(message)
            case Fetched():
                return await self._fetched(message)
            case FetchFailed():
                return await self._fetch_failed(message)
            case FetchesLost():
                return await self._fetches_lost()
            case Planned():
                return await self._planned(message)
            case SplitFailed():
                return await self._split_failed(message)
            case ChunkDone():
                return await self._chunk_done(message)
            case ChunkFailed():
                return await self._chunk_failed(message)
            case ModelReady():
                return await self._model_ready(message)
            case ModelGone():
                return await self._model_gone()
            case ModelWaits():
                return await self._model_waits(message)
            case ModelFailed():
                return await self._model_failed(message)
            case SplitsLost():
                return await self._splits_lost()
            case JobExpired(job_id):
                return await self._expire(job_id)
            case JobAbandoned():
                return await self._abandoned(message)
            case Rested(job_id):
                return await self._rested(job_id)
            case CheckStalled():
                return await self._look_for_stalled()
            case Drain():
                return await self._drain(message)
            case _:
                assert_never(message)

    async def _submit(self, message: Submit) -> Job:
        if self._draining:
            raise Busy("the server is shutting down")
        now = utc(time.time())
        job = await self._jobs.insert(
            message.job_id, message.order, message.size_bytes, now, message.max_open_jobs
        )
        if job.id == message.job_id:
            log.info("job accepted", extra={"job": job.id})
            self._changed(job)
            self._publish(JobQueued(job.id, job.order))
            await self._begin_next_work()
        return job

    async def _cancel(self, message: Cancel) -> Job:
        job = await self._get_or_refuse(message.job_id)
        ended = await self._cancel_if_open(job.id)
        if ended is None:
            raise Conflict(f"job {job.id} is already in terminal state {job.status}")
        return ended

    async def _abandoned(self, message: JobAbandoned) -> None:
        job = self._scheduler.get(message.job_id)
        if job is not None and job.attempt == message.attempt:  # else somebody has restarted it
            await self._cancel_if_open(job.id)
            log.info("nobody waits for the job any more", extra={"job": job.id})

    async def _restart(self, message: Restart) -> Job:
        job = await self._get_or_refuse(message.job_id)
        if not job.allows(Action.RESTART):
            raise Conflict(f"a job that is {job.status} cannot be restarted")
        if job.status is Status.QUEUED:
            return job
        there = self._spool.input(job.id).exists()
        if not there and job.order.source_url is None:
            raise Conflict(RECORDING_GONE)
        job = await self._jobs.restart(job.id, refetch=not there) or job
        log.info("job restarted", extra={"job": job.id})
        self._changed(job)
        self._publish(JobQueued(job.id, job.order))
        await self._begin_next_work()
        return job

    async def _delete(self, message: Delete) -> None:
        job = await self._get_or_refuse(message.job_id)
        if not job.allows(Action.DELETE):
            raise Conflict("a job that is being worked on cannot be deleted: cancel it first")
        await self._remove(job)
        await self._begin_next_work()

    async def _rename(self, message: Rename) -> Job:
        job = await self._get_or_refuse(message.job_id)
        job = await self._jobs.rename(job.id, message.label) or job
        if self._scheduler.get(job.id) is not None:
            self._scheduler.put(job)
        self._publish(JobChanged(job.id))
        return job

    async def _expire(self, job_id: str) -> None:
        job = await self._jobs.get(job_id)
        if job is not None and job.status.terminal:  # it may have been restarted in the meantime
            await self._remove(job)

    async def _heartbeat(self, message: Heartbeat) -> None:
        job = self._scheduler.get(message.job_id)
        if job is not None:
            self._preparation.heartbeat(job.id)
            await self._set_stage(job, message.stage, message.detail)

    async def _fetched(self, message: Fetched) -> None:
        self._preparation.fetch_ended(message.job_id)
        if self._scheduler.get(message.job_id) is not None:
            job = await self._jobs.fetched(
                message.job_id, message.size_bytes, message.media_type, message.filename
            )
            if job is not None:
                self._changed(job)
        else:
            self._publish(FetchedAfterEnd(message.job_id))
        await self._begin_next_work()

    async def _fetch_failed(self, message: FetchFailed) -> None:
        self._preparation.fetch_ended(message.job_id)
        await self._finish(message.job_id, Status.FAILED, message.problem)
        await self._begin_next_work()

    async def _fetches_lost(self) -> None:
        self._preparation.all_fetches_ended()
        await self._begin_next_work()

    async def _planned(self, message: Planned) -> None:
        self._preparation.decoding_ended(message.job_id)
        known = self._scheduler.get(message.job_id)
        if known is not None:
            planned = await self._jobs.plan(
                message.job_id,
                message.duration_secs,
                message.chunks,
                message.waveform,
                message.notices,
            )
            self._changed(planned or known)
            self._preparation.mark_ready(message.job_id)
        await self._begin_next_work()

    async def _split_failed(self, message: SplitFailed) -> None:
        self._preparation.decoding_ended(message.job_id)
        await self._finish(message.job_id, Status.FAILED, message.problem)
        await self._begin_next_work()

    async def _splits_lost(self) -> None:
        self._preparation.all_decodings_ended()
        await self._begin_next_work()

    async def _chunk_done(self, message: ChunkDone) -> None:
        job = self._scheduler.get(message.job_id)
        if job is None or message.ordinal < job.chunks_done:
            self._in_flight.pop((message.job_id, message.ordinal), None)
        else:
            self._in_flight[message.job_id, message.ordinal] = message
            await self._commit_in_order(job)
        await self._begin_next_work()

    async def _commit_in_order(self, job: Job) -> None:
        """Commit the chunks that are done, up to the first that is not."""
        while (done := self._in_flight.get((job.id, job.chunks_done))) is not None:
            segments = [
                msgspec.structs.replace(segment, index=job.segments + n)
                for n, segment in enumerate(done.segments)
            ]
            committed = await self._jobs.commit_chunk(job.id, done.ordinal, segments, done.left_out)
            del self._in_flight[job.id, done.ordinal]
            if committed is None:
                return
            if done.ordinal >= self._suspects.get(job.id, done.ordinal):
                self._suspects.pop(job.id, None)
            self._progressed(committed, job.segments, segments)
            if committed.chunks_done == committed.chunks_total:
                await self._finish(job.id, Status.DONE)
            job = committed

    async def _chunk_failed(self, message: ChunkFailed) -> None:
        self._in_flight.pop((message.job_id, message.ordinal), None)
        if message.kind in ("crashed", "out_of_memory", "killed"):
            self._model = None  # until the lifecycle reports the next engine
        match message.kind:
            case "crashed" | "out_of_memory" | "lost":
                if message.alone:
                    await self._crashed(message.job_id, message.problem)
                elif self._scheduler.get(message.job_id) is not None:
                    last = self._suspects.get(message.job_id, 0)
                    self._suspects[message.job_id] = max(last, message.ordinal)
            case "aborted" | "killed":
                pass
            case _:
                await self._finish(message.job_id, Status.FAILED, message.problem)
        await self._begin_next_work()

    async def _model_ready(self, message: ModelReady) -> None:
        self._model, self._load = message.model, message.load
        self._capacity = message.capacity
        self._unavailable_model = None
        await self._begin_next_work()

    async def _model_gone(self) -> None:
        """No model is loaded now.

        The chunks in flight that have not been answered yet never will be.
        """
        self._model = self._announced_work = None
        self._in_flight = {key: done for key, done in self._in_flight.items() if done is not None}
        await self._mark_in_flight(set())
        await self._begin_next_work()

    async def _model_waits(self, message: ModelWaits) -> None:
        """A model cannot be loaded now: jobs that need another model can go on meanwhile."""
        self._unavailable_model = message.model
        await self._begin_next_work()

    async def _model_failed(self, message: ModelFailed) -> None:
        for job in self._scheduler.all():
            if self._model_of(job) == message.model:
                await self._finish(job.id, Status.FAILED, message.problem)
        await self._begin_next_work()

    async def _look_for_stalled(self) -> None:
        self.later(LOOK_EVERY_S, CheckStalled())
        for job_id in self._preparation.stalled():
            self._preparation.stop(job_id)
            await self._crashed(job_id, "preparing the recording stalled")
        await self._report_for_those_that_wait()
        await self._begin_next_work()

    async def _report_for_those_that_wait(self) -> None:
        """Store a heartbeat for running jobs that have no chunk in flight.

        They wait for their turn or for the model; without a heartbeat they would look stalled.
        """
        for job in self._scheduler.all():
            if job.status is Status.RUNNING and job.id not in self._jobs_in_flight():
                ready = self._model == self._model_of(job)
                detail = "waiting for its turn" if ready else "waiting for the model"
                await self._set_stage(job, Stage.TRANSCRIBING, detail)

    async def _drain(self, message: Drain) -> None:
        self._draining = True
        if len(self._in_flight) > 1:
            self._inference.tell(GiveBack())
        if message.hurry:
            for job_id in self._jobs_in_flight():
                self._inference.tell(AbortChunk(job_id))
        await self._begin_next_work()

    # What happens next; called after almost every message.

    async def _begin_next_work(self) -> None:
        if not self._draining:
            await self._prepare_next()
            await self._finish_those_without_chunks_left()
            await self._fill_engine()
        elif not self._jobs_in_flight() and not self._drained.is_set():
            for job in self._scheduler.all():
                if job.status is Status.RUNNING:
                    await self._jobs.requeue(job.id)
            self._drained.set()

    async def _prepare_next(self) -> None:
        while (job := self._preparation.next_to_fetch()) is not None:
            await self._set_stage(job, Stage.FETCHING, "fetching the file")
            self._preparation.fetch(job)
        while (job := self._preparation.next_to_decode(self._resting)) is not None:
            self._preparation.decode(job)

    async def _finish_those_without_chunks_left(self) -> None:
        """Finish jobs that have no chunks left and so do not need the engine.

        For example a recording without speech, or a job whose last chunk was committed just before
        the server ended.
        """
        for job in list(self._scheduler.in_order()):
            if self._preparation.is_ready(job) and job.chunks_done == job.chunks_total:
                await self._jobs.start(job.id)
                await self._finish(job.id, Status.DONE)
                await self._prepare_next()

    async def _fill_engine(self) -> None:
        """Give the engine chunks until it has as many as it can be given at once."""
        while True:
            job = self._next_to_transcribe()
            if job is None:
                return
            if not self._preparation.has_decoded_audio(job):
                await self._prepare_next()
                continue
            await self._transcribe(job)

    def _next_to_transcribe(self) -> Job | None:
        """The job whose next chunk the engine is to be given now; None if it is to have no more.

        If it needs another model, the engine first finishes what it has.
        """
        jobs_in_flight = self._jobs_in_flight()
        if len(self._in_flight) >= self._capacity or jobs_in_flight & self._suspects.keys():
            return None
        suspect = self._choose(lambda job: job.id in self._suspects and self._can_run(job))
        job = suspect or self._choose(self._can_run) or self._choose(self._has_work)
        if job is None:
            if not jobs_in_flight:
                self._announce_work(self._choose(_has_recording))
            return None
        if jobs_in_flight and (suspect or self._model != self._model_of(job)):
            return None
        self._announce_work(job)
        return job if self._model == self._model_of(job) else None

    async def _transcribe(self, job: Job) -> None:
        ordinal = self._next_ordinal(job)
        assert ordinal is not None
        next_in_turn = self._scheduler.choose(self._has_work, self._model_of, None)
        if job.status is Status.QUEUED:
            job = await self._jobs.start(job.id, self._model_of(job)) or job
            self._changed(job)
        chunk = await self._jobs.chunk(job, ordinal)
        if chunk is None:
            await self._finish(job.id, Status.FAILED, "the chunks of this job are missing")
            return
        await self._mark_in_flight(self._jobs_in_flight() | {job.id})
        self._scheduler.chunk_started(
            job, out_of_turn=next_in_turn is not None and next_in_turn.id != job.id
        )
        self._in_flight[job.id, ordinal] = None
        self._inference.tell(
            Transcribe(
                self._load,
                job.id,
                ordinal,
                self._spool.pcm(job.id),
                chunk.spans,
                chunk.speech or chunk.spans,
                job.order.language,
                job.secs_by_language,
                job.order.task is Task.TRANSLATE,
                job.order.prompt,
                job.order.word_timestamps,
                job.order.quality,
                job.order.languages,
            )
        )

    def _next_ordinal(self, job: Job) -> int | None:
        """The first chunk of the job that is not in flight; None if it has to wait.

        If the language is not given, an engine that takes one chunk after the other gets the next
        only when it is known what has been heard before. One that takes several looks at them all.
        """
        if job.chunks_total is None:
            return None
        ordinal = job.chunks_done
        while (job.id, ordinal) in self._in_flight:
            ordinal += 1
        together = self._capacity > WINDOWS_PER_PLACE
        if ordinal > job.chunks_done and job.language is None and not together:
            return None
        return ordinal if ordinal < job.chunks_total else None

    def _jobs_in_flight(self) -> set[str]:
        """The jobs of which the engine has chunks."""
        return {job_id for (job_id, _), done in self._in_flight.items() if done is None}

    async def _mark_in_flight(self, job_ids: set[str]) -> None:
        """Store which jobs are in flight: if the server crashes now, one may be the cause."""
        if job_ids != self._marked:
            await self._jobs.mark_in_flight(job_ids)
            self._marked = job_ids

    def _announce_work(self, job: Job | None) -> None:
        work = Work(job.id, self._model_of(job)) if job else Work(None)
        if work != self._announced_work:
            self._announced_work = work
            self._lifecycle.tell(work)

    # Steps that several of the handlers above use.

    async def _cancel_if_open(self, job_id: str) -> Job | None:
        """Cancel the job; None if it has ended already."""
        ended = await self._finish(job_id, Status.CANCELLED)
        if ended is not None:
            if job_id in self._jobs_in_flight():
                self._inference.tell(AbortChunk(job_id))
            self._preparation.stop(job_id)
            await self._begin_next_work()
        return ended

    async def _get_or_refuse(self, job_id: str) -> Job:
        job = await self._jobs.get(job_id)
        if job is None:
            raise NotFound(f"job {job_id} not found")
        return job

    def _choose(self, able: Callable[[Job], bool]) -> Job | None:
        return self._scheduler.choose(able, self._model_of, self._model)

    def _has_work(self, job: Job) -> bool:
        return self._is_ready(job) and self._next_ordinal(job) is not None

    def _can_run(self, job: Job) -> bool:
        return self._has_work(job) and self._model_of(job) != self._unavailable_model

    def _model_of(self, job: Job) -> str:
        return self._model_for(job.order.model)

    async def _set_stage(self, job: Job, stage: Stage, detail: str) -> None:
        with suppress(NoSpace):  # it is only shown: no reason not to do the work
            self._changed(await self._jobs.heartbeat(job.id, stage, detail) or job)

    def _changed(self, job: Job) -> None:
        self._scheduler.put(job)
        self._publish(JobChanged(job.id))

    def _forget(self, job_id: str) -> None:
        self._scheduler.drop(job_id)
        self._preparation.forget(job_id)
        self._suspects.pop(job_id, None)
        for key, done in list(self._in_flight.items()):
            if key[0] == job_id and done is not None:
                del self._in_flight[key]

    def _progressed(self, job: Job, first: int, segments: list[Segment]) -> None:
        self._scheduler.put(job)
        assert job.chunks_total is not None
        self._publish(
            ChunkCommitted(
                job.id, job.percent, job.chunks_done, job.chunks_total, first, tuple(segments)
            )
        )

    async def _remove(self, job: Job) -> None:
        await self._jobs.delete(job.id)
        log.info("job deleted", extra={"job": job.id})
        self._forget(job.id)
        self._preparation.stop(job.id)
        self._publish(JobDeleted(job.id, job.order.owner, job.order.channel))

    async def _crashed(self, job_id: str, problem: str) -> None:
        job = await self._jobs.count_crash(job_id)
        if job is None:
            return
        self._scheduler.put(job)
        log.warning("%s (crash %d of %d)", problem, job.crashes, MAX_CRASHES, extra={"job": job.id})
        if job.crashes >= MAX_CRASHES:
            await self._fail_after_crashes(job, problem)
        else:
            self._rest(job)

    def _rest(self, job: Job) -> None:
        self._resting.add(job.id)
        self.later(CRASH_PAUSES_S[job.crashes], Rested(job.id))

    async def _rested(self, job_id: str) -> None:
        self._resting.discard(job_id)
        await self._begin_next_work()

    def _is_ready(self, job: Job) -> bool:
        return self._preparation.is_ready(job) and job.id not in self._resting

    async def _fail_after_crashes(self, job: Job, problem: str) -> None:
        await self._finish(job.id, Status.FAILED, f"{problem}, {MAX_CRASHES} times")

    async def _finish(self, job_id: str, status: Status, error: str | None = None) -> Job | None:
        """End a job; this is the only place where jobs end. None if it has ended already."""
        now = time.time()
        job = await self._jobs.finish(job_id, status, utc(now), now, error)
        if job is not None:
            log.info("job %s", status, extra={"job": job_id} | ({"error": error} if error else {}))
            ENDED.labels(status).inc()
            self._forget(job_id)
            self._publish(JobEnded(job_id, job.order))
        return job


def _has_recording(job: Job) -> bool:
    return job.size_bytes is not None
