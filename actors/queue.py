"""The ledger of jobs: the only one who changes them.

Workers tell it what they did; it commits, then publishes. The row is the truth and a message
only a hint, so losing every mailbox costs time and never a job.
"""

import logging
import time
from collections.abc import Mapping
from typing import assert_never

import anyio
import msgspec

from actors import metrics
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Address, Mailbox
from actors.messages import (
    AbortChunk,
    AnalystMessage,
    Beat,
    BroadcasterMessage,
    Cancel,
    ChunkDone,
    ChunkerMessage,
    ChunkFailed,
    Delete,
    DiarizerMessage,
    Drain,
    Fetch,
    Fetched,
    FetchesLost,
    FetchFailed,
    InferenceMessage,
    IngestMessage,
    JanitorMessage,
    JobChanged,
    JobEnded,
    JobProgressed,
    LifecycleMessage,
    LookForStalled,
    ModelFailed,
    ModelGone,
    ModelReady,
    ModelWaits,
    Planned,
    QueueMessage,
    Register,
    Release,
    Remove,
    Restart,
    SpeakersWanted,
    Split,
    SplitFailed,
    SplitsLost,
    StopFetch,
    StopSplit,
    Submit,
    TextsWanted,
    Transcribe,
    Wake,
    WebhookMessage,
    Work,
)
from actors.turns import Turns
from storage.blobs import NOT_KEPT, Spool
from storage.errors import Busy, Conflict, NotFound
from storage.jobs import Jobs
from storage.records import Action, Job, Segment, Stage, Status, Task
from storage.times import utc

log = logging.getLogger(__name__)

CRASHES = 3
"""Crashes on one chunk after which the job is to blame."""
SPLIT_AHEAD = 2
"""Jobs that are decoded before their turn, so that the engine never waits."""
FETCHES_AT_ONCE = 3
FETCHES_EACH = 2
"""Of one owner: however slow their servers are, somebody else's can be asked."""
STALLED_S = 600.0
"""Without a sign of life from a fetch or a decoding it is given to somebody else. (The engine is
watched by its owner, chunk by chunk.)"""
LOOK_EVERY_S = 30.0
"""Half of what the hub calls quiet."""


class Queue(Actor[QueueMessage]):
    def __init__(
        self,
        mailbox: Mailbox[QueueMessage],
        *,
        jobs: Jobs,
        spool: Spool,
        lifecycle: Address[LifecycleMessage],
        ingest: Address[IngestMessage],
        chunker: Address[ChunkerMessage],
        inference: Address[InferenceMessage],
        broadcaster: Address[BroadcasterMessage],
        analyst: Address[AnalystMessage],
        diarizer: Address[DiarizerMessage],
        webhooks: Address[WebhookMessage],
        janitor: Address[JanitorMessage],
        default_model: str,
        aliases: Mapping[str, str],
        drained: anyio.Event,
    ) -> None:
        """``aliases``: other names of models; ``drained`` is set once a Drain has been obeyed."""
        super().__init__(mailbox)
        self._jobs, self._spool = jobs, spool
        self._lifecycle, self._ingest = lifecycle, ingest
        self._chunker, self._inference = chunker, inference
        self._broadcaster, self._janitor = broadcaster, janitor
        self._analyst, self._diarizer, self._webhooks = analyst, diarizer, webhooks
        self._default_model, self._drained = default_model, drained
        self._aliases = aliases
        self._waiting = Turns()
        self._fetching: set[str] = set()
        self._signs: dict[str, float] = {}
        """When the last sign of life came of each fetch and decoding, by the event loop's clock."""
        self._splitting: str | None = None
        self._split: set[str] = set()
        """Jobs whose plan is committed and whose decoded audio is there."""
        self._chunk: tuple[str, int] | None = None
        """What the engine is at: job and ordinal."""
        self._model: str | None = None
        self._unavailable: str | None = None
        """The model that could not be loaded just now."""
        self._draining = False
        self._engaged: str | None = None
        self._work: Work | None = None

    async def started(self) -> None:
        for job in await self._jobs.waiting():
            self._waiting.put(job)
            if job.chunks_total is not None and self._spool.pcm(job.id).exists():
                self._split.add(job.id)
            if job.crashes >= CRASHES:
                await self._blame(job, "the server was ended while it worked on this job")
        self.me.tell(LookForStalled())
        await self._step()

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
            case Beat():
                return await self._beat(message)
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
            case LookForStalled():
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
            message.job_id, message.order, message.size_bytes, now, message.most_open
        )
        if job.id == message.job_id:
            log.info("job accepted", extra={"job": job.id})
            self._changed(job)
            self._register(job)
            await self._step()
        return job

    async def _cancel(self, message: Cancel) -> Job:
        job = await self._known(message.job_id)
        ended = await self._finish(job.id, Status.CANCELLED)
        if ended is None:
            raise Conflict(f"job {job.id} is already in terminal state {job.status}")
        if self._chunk and self._chunk[0] == job.id:
            self._inference.tell(AbortChunk(job.id))
        self._stop_preparing(job.id)
        await self._step()
        return ended

    async def _restart(self, message: Restart) -> Job:
        job = await self._known(message.job_id)
        if not job.allows(Action.RESTART):
            raise Conflict(f"a job that is {job.status} cannot be restarted")
        if job.status is Status.QUEUED:
            return job
        there = self._spool.input(job.id).exists()
        if not there and job.order.source_url is None:
            raise Conflict(NOT_KEPT)
        job = await self._jobs.restart(job.id, refetch=not there) or job
        log.info("job restarted", extra={"job": job.id})
        self._changed(job)
        self._register(job)
        await self._step()
        return job

    async def _delete(self, message: Delete) -> None:
        job = await self._known(message.job_id)
        if not job.allows(Action.DELETE):
            raise Conflict("a job that is being worked on cannot be deleted: cancel it first")
        await self._jobs.delete(job.id)
        log.info("job deleted", extra={"job": job.id})
        self._forget(job.id)
        self._stop_preparing(job.id)
        self._broadcaster.tell(JobEnded(job.id))
        self._janitor.tell(Remove(job.id))
        await self._step()

    async def _beat(self, message: Beat) -> None:
        job = self._waiting.get(message.job_id)
        if job is not None:
            self._signs[job.id] = anyio.current_time()
            await self._at(job, message.stage, message.detail)

    async def _fetched(self, message: Fetched) -> None:
        self._fetching.discard(message.job_id)
        if self._waiting.get(message.job_id) is not None:
            job = await self._jobs.fetched(
                message.job_id, message.size_bytes, message.media_type, message.filename
            )
            if job is not None:
                self._changed(job)
        else:
            self._janitor.tell(Release(message.job_id))
        await self._step()

    async def _fetch_failed(self, message: FetchFailed) -> None:
        self._fetching.discard(message.job_id)
        await self._finish(message.job_id, Status.FAILED, message.problem)
        await self._step()

    async def _fetches_lost(self) -> None:
        self._fetching.clear()
        await self._step()

    async def _planned(self, message: Planned) -> None:
        self._split_over(message.job_id)
        known = self._waiting.get(message.job_id)
        if known is not None:
            planned = await self._jobs.plan(
                message.job_id, message.duration_secs, message.chunks, message.waveform
            )
            self._changed(planned or known)
            self._split.add(message.job_id)
        await self._step()

    async def _split_failed(self, message: SplitFailed) -> None:
        self._split_over(message.job_id)
        await self._finish(message.job_id, Status.FAILED, message.problem)
        await self._step()

    async def _chunk_done(self, message: ChunkDone) -> None:
        self._chunk_over(message.job_id, message.ordinal)
        job = self._waiting.get(message.job_id)
        if job is not None:
            segments = [
                msgspec.structs.replace(segment, index=job.segments + n)
                for n, segment in enumerate(message.segments)
            ]
            committed = await self._jobs.commit_chunk(
                job.id, message.ordinal, message.language, segments
            )
            if committed is not None:
                self._progressed(committed, job.segments, segments)
                if committed.chunks_done == committed.chunks_total:
                    await self._finish(job.id, Status.DONE)
        await self._step()

    async def _chunk_failed(self, message: ChunkFailed) -> None:
        self._chunk_over(message.job_id, message.ordinal)
        if message.kind in ("crashed", "out_of_memory", "killed"):
            self._model = None  # until the lifecycle has another engine
        match message.kind:
            case "crashed" | "out_of_memory":
                await self._crashed(message.job_id, message.problem)
            case "aborted" | "killed":
                pass
            case _:
                await self._finish(message.job_id, Status.FAILED, message.problem)
        await self._step()

    async def _model_ready(self, message: ModelReady) -> None:
        self._model = message.model
        self._unavailable = None
        await self._step()

    async def _model_gone(self) -> None:
        """Whatever the engine was at has been answered before, or never will be."""
        self._model = self._chunk = self._work = None
        await self._engage(None)
        await self._step()

    async def _model_waits(self, message: ModelWaits) -> None:
        """What wants another model need not wait for this one."""
        self._unavailable = message.model
        await self._step()

    async def _model_failed(self, message: ModelFailed) -> None:
        for job in self._waiting.all():
            if self._wants(job) == message.model:
                await self._finish(job.id, Status.FAILED, message.problem)
        await self._step()

    async def _splits_lost(self) -> None:
        self._splitting = None
        await self._step()

    async def _look_for_stalled(self) -> None:
        self.later(LOOK_EVERY_S, LookForStalled())
        now = anyio.current_time()
        for job_id in [*self._fetching, *([self._splitting] if self._splitting else [])]:
            if now - self._signs.get(job_id, now) > STALLED_S:
                self._stop_preparing(job_id)
                await self._crashed(job_id, "preparing the recording stalled")
        await self._vouch_for_those_that_wait()
        await self._step()

    async def _vouch_for_those_that_wait(self) -> None:
        """Nothing is wrong with a job between two chunks that waits for its turn or the model."""
        for job in self._waiting.all():
            if job.status is Status.RUNNING and not (self._chunk and self._chunk[0] == job.id):
                ready = self._model == self._wants(job)
                detail = "waiting for its turn" if ready else "waiting for the model"
                await self._at(job, Stage.TRANSCRIBING, detail)

    async def _drain(self, message: Drain) -> None:
        self._draining = True
        if message.hurry and self._chunk:
            self._inference.tell(AbortChunk(self._chunk[0]))
        await self._step()

    # What happens next, after every message.

    async def _step(self) -> None:
        if not self._draining:
            await self._fetch_next()
            await self._split_next()
            await self._finish_the_wordless()
            await self._transcribe_next()
        elif self._chunk is None and not self._drained.is_set():
            for job in self._waiting.all():
                if job.status is Status.RUNNING:
                    await self._jobs.park(job.id)
            self._drained.set()

    async def _fetch_next(self) -> None:
        for job in self._waiting.ahead():
            if len(self._fetching) >= FETCHES_AT_ONCE:
                return
            fetching = (self._waiting.get(job_id) for job_id in self._fetching)
            own = sum(each is not None and each.order.owner == job.order.owner for each in fetching)
            if job.size_bytes is None and job.id not in self._fetching and own < FETCHES_EACH:
                assert job.order.source_url
                self._fetching.add(job.id)
                self._signs[job.id] = anyio.current_time()
                await self._at(job, Stage.FETCHING, "fetching the file")
                self._ingest.tell(Fetch(job.id, job.order.source_url))

    async def _split_next(self) -> None:
        if self._splitting is not None:
            return
        there = (job for job in self._waiting.ahead() if job.size_bytes is not None)
        for job, _ in zip(there, range(SPLIT_AHEAD), strict=False):
            if job.id not in self._split:
                self._splitting = job.id
                self._signs[job.id] = anyio.current_time()
                self._chunker.tell(Split(job.id))
                return

    async def _finish_the_wordless(self) -> None:
        """A job in which nobody speaks needs no engine; nor does one whose last chunk was
        committed just before the server ended."""
        for job in list(self._waiting.ahead()):
            if job.id in self._split and job.chunks_done == job.chunks_total:
                await self._jobs.start(job.id)
                await self._finish(job.id, Status.DONE)
                await self._split_next()

    async def _transcribe_next(self) -> None:
        if self._chunk is not None:
            return
        job = self._waiting.choose(self._is_able, self._wants, self._model) or self._waiting.choose(
            self._is_split, self._wants, self._model
        )
        self._say_what_is_wanted(job or self._waiting.choose(_is_there, self._wants, self._model))
        if job is None or self._model != self._wants(job):
            return
        if not self._spool.pcm(job.id).exists():  # somebody has cleared it away
            self._split.discard(job.id)
            await self._split_next()
            return
        rightful = self._waiting.choose(self._is_split, self._wants, None)
        if job.status is Status.QUEUED:
            job = await self._jobs.start(job.id, self._wants(job)) or job
            self._changed(job)
        chunk = await self._jobs.chunk(job, job.chunks_done)
        if chunk is None:
            await self._finish(job.id, Status.FAILED, "the plan of this job is lost")
            return
        await self._engage(job.id)
        self._waiting.served(job, passing=rightful is not None and rightful.id != job.id)
        self._chunk = (job.id, chunk.ordinal)
        self._inference.tell(
            Transcribe(
                job.id,
                chunk.ordinal,
                self._spool.pcm(job.id),
                chunk.spans,
                job.language,
                job.order.task is Task.TRANSLATE,
                job.order.prompt,
                job.order.word_timestamps,
            )
        )

    async def _engage(self, job_id: str | None) -> None:
        """Should the server end now, this is the job that may have ended it."""
        if job_id != self._engaged:
            await self._jobs.engage(job_id)
            self._engaged = job_id

    def _say_what_is_wanted(self, job: Job | None) -> None:
        work = Work(job.id, self._named(job)) if job else Work(None)
        if work != self._work:
            self._work = work
            self._lifecycle.tell(work)

    # The steps that several of the above share.

    async def _known(self, job_id: str) -> Job:
        job = await self._jobs.get(job_id)
        if job is None:
            raise NotFound(f"job {job_id} not found")
        return job

    def _is_able(self, job: Job) -> bool:
        return job.id in self._split and self._wants(job) != self._unavailable

    def _is_split(self, job: Job) -> bool:
        return job.id in self._split

    def _wants(self, job: Job) -> str:
        return self._named(job) or self._default_model

    def _named(self, job: Job) -> str | None:
        name = job.order.model
        return None if name is None else self._aliases.get(name, name)

    async def _at(self, job: Job, stage: Stage, detail: str) -> None:
        self._changed(await self._jobs.beat(job.id, stage, detail) or job)

    def _changed(self, job: Job) -> None:
        self._waiting.put(job)
        self._broadcaster.tell(JobChanged(job.id))

    def _stop_preparing(self, job_id: str) -> None:
        if job_id in self._fetching:
            self._fetching.discard(job_id)
            self._ingest.tell(StopFetch(job_id))
        if self._splitting == job_id:
            self._chunker.tell(StopSplit(job_id))
            self._splitting = None

    def _forget(self, job_id: str) -> None:
        self._waiting.drop(job_id)
        self._signs.pop(job_id, None)
        self._split.discard(job_id)

    def _register(self, job: Job) -> None:
        order = job.order
        if order.model_events and order.webhook_url and order.webhook_format:
            self._webhooks.tell(Register(order.webhook_url, order.webhook_format))

    def _split_over(self, job_id: str) -> None:
        if self._splitting == job_id:
            self._splitting = None

    def _chunk_over(self, job_id: str, ordinal: int) -> None:
        if self._chunk == (job_id, ordinal):
            self._chunk = None

    def _progressed(self, job: Job, first: int, segments: list[Segment]) -> None:
        self._waiting.put(job)
        assert job.chunks_total is not None
        self._broadcaster.tell(
            JobProgressed(
                job.id, job.percent, job.chunks_done, job.chunks_total, first, tuple(segments)
            )
        )

    async def _crashed(self, job_id: str, problem: str) -> None:
        job = await self._jobs.crash(job_id)
        if job is None:
            return
        self._waiting.put(job)
        log.warning("%s (crash %d of %d)", problem, job.crashes, CRASHES, extra={"job": job.id})
        if job.crashes >= CRASHES:
            await self._blame(job, problem)

    async def _blame(self, job: Job, problem: str) -> None:
        await self._finish(job.id, Status.FAILED, f"{problem}, {CRASHES} times")

    async def _finish(self, job_id: str, status: Status, error: str | None = None) -> Job | None:
        """The one place where a job ends."""
        now = time.time()
        job = await self._jobs.finish(job_id, status, utc(now), now, error)
        if job is not None:
            log.info("job %s", status, extra={"job": job_id} | ({"error": error} if error else {}))
            metrics.JOBS_ENDED.labels(status).inc()
            self._forget(job_id)
            self._broadcaster.tell(JobEnded(job_id))
            if job.order.assisted:
                self._analyst.tell(TextsWanted())
            if job.order.speakers:
                self._diarizer.tell(SpeakersWanted())
            self._webhooks.tell(Wake())
            self._janitor.tell(Release(job_id))
        return job


def _is_there(job: Job) -> bool:
    return job.size_bytes is not None
