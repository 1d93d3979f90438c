"""Requests that are answered with the transcript itself: one call is one job, also if it is sent
again.

Clients of such an API give up after some minutes, lose their connection, or meet a restart of the
server, and then send the whole request again. By its content they find the job that they have
begun, so that no recording is transcribed twice.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec

from actors.events.messages import Subscribe
from actors.events.subscription import Subscription
from actors.jobs.messages import Attend, Leave, UploadBegun, UploadEnded
from actors.system import System
from app.http.refusals import Unprocessable
from app.services.follow import Ended, JobEvent, JobFollower, SegmentAdded
from app.services.submit import Submission, SubmitService, stored_key
from app.transcripts.whisper_json import delta
from storage.errors import Busy, Refusal
from storage.records import (
    Channel,
    Job,
    Order,
    Segment,
    Speakers,
    SpeakersStatus,
    Status,
    Turn,
)
from storage.times import seconds

REMEMBERED_S, FAILURE_REMEMBERED_S = 600.0, 60.0
"""Seconds after the end of a job in which the same request gets its result again: OpenAI's clients
wait 600 s for an answer, and try again within seconds of a failure."""
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for its log; nobody receives it."""
T = TypeVar("T")
_SEARCHING = (SpeakersStatus.PENDING, SpeakersStatus.RUNNING)
_STOPPING = "the server is shutting down"


class TranscriptionFailed(Refusal):
    """The recording could not be transcribed, and the same request will not change that."""

    code = "transcription_failed"

    def __init__(self, message: str, *, is_file: bool) -> None:
        """``is_file``: whether it is the file's fault."""
        super().__init__(message)
        self.is_file = is_file


@dataclass(frozen=True)
class Answer:
    """What a call waits for."""

    job: Job
    segments: tuple[Segment, ...]
    turns: tuple[Turn, ...] = ()
    """Who speaks when, where that was asked for."""


@dataclass(frozen=True)
class Delta:
    """What a segment adds to the text."""

    segment: Segment
    text: str


class Call:
    """A request that waits for its job."""

    def __init__(self, job: Job, subscription: Subscription, system: System) -> None:
        self.job = job
        self._subscription, self._system = subscription, system

    async def events(self, pause_secs: float) -> AsyncIterator[JobEvent | None]:
        """What happens to the job, to its end; None where nothing does for ``pause_secs``.

        Raises:
            Busy: the server is shutting down.
        """
        follower = JobFollower(self._system.jobs, self.job.id, None)
        async for event in follower.follow(self._subscription, pause_secs):
            yield event
            if isinstance(event, Ended):
                return
        if await self._system.jobs.get(self.job.id) is None:
            raise TranscriptionFailed("the job was deleted", is_file=False)
        raise Busy(_STOPPING)

    async def deltas(self, pause_secs: float) -> "AsyncIterator[Delta | Answer | None]":
        """The text as it is heard, and the answer at last; None where nothing happens for
        ``pause_secs``.

        Raises:
            TranscriptionFailed: there will be no answer.
            Busy: the server is shutting down.
        """
        sent = 0
        async for event in self.events(pause_secs):
            match event:
                case SegmentAdded(segment=segment):
                    new: Sequence[Segment] = [segment]
                case Ended(job=job, segments=segments):
                    check_done(job)
                    new = segments[sent:]
                case _:
                    yield None
                    continue
            for segment in new:
                text = delta(segment, self.job.order.written_in, is_first=sent == 0)
                yield Delta(segment, text)
                sent += 1
            if isinstance(event, Ended):
                yield Answer(event.job, tuple(event.segments))

    async def answers(
        self, pause_secs: float, *, with_speakers: bool = False
    ) -> AsyncIterator[Answer | None]:
        """The answer at last; before that None, at least every ``pause_secs``.

        Raises:
            TranscriptionFailed: there will be none.
            Busy: the server is shutting down.
        """
        async for event in self.events(pause_secs):
            if isinstance(event, Ended):
                check_done(event.job)
                answer = Answer(event.job, tuple(event.segments))
            else:
                yield None
        if not with_speakers:
            yield answer
            return
        async for attributed in self.with_speakers(answer, pause_secs):
            yield attributed

    async def with_speakers(
        self, answer: Answer, pause_secs: float
    ) -> AsyncIterator[Answer | None]:
        """The answer with the speakers at last; before that None, at least every ``pause_secs``.

        Raises:
            TranscriptionFailed: the speakers could not be told apart.
            Busy: the server is shutting down.
        """
        # The subscription to a job is over with the job's end.
        subscription = await self._system.broadcaster.ask(Subscribe(self.job.id))
        try:
            while (found := await self._speakers()) and found.status in _SEARCHING:
                yield None
                if await subscription.wait(pause_secs) is None:
                    raise Busy(_STOPPING)
        finally:
            subscription.close()
        yield Answer(answer.job, answer.segments, await self._turns())

    async def _turns(self) -> tuple[Turn, ...]:
        """
        Raises:
            TranscriptionFailed: the speakers could not be told apart.
        """
        found = await self._speakers()
        if found is None:  # nobody has searched where nobody speaks
            return ()
        if found.status is not SpeakersStatus.DONE:
            raise TranscriptionFailed(
                f"the speakers could not be told apart: {found.error}", is_file=False
            )
        return found.turns

    async def _speakers(self) -> Speakers | None:
        return (await self._system.speakers.of_jobs([self.job])).get(self.job.number)


def check_done(job: Job) -> None:
    """
    Raises:
        TranscriptionFailed: the job has ended in another way.
    """
    if job.status is Status.FAILED:
        raise TranscriptionFailed(job.error or "the job failed", is_file=job.chunks_total is None)
    if job.status is not Status.DONE:
        raise TranscriptionFailed("the job was cancelled", is_file=False)


async def unless_hung_up(
    hang_up: Callable[[], Awaitable[None]], found: AsyncIterator[T | None], within: float = inf
) -> tuple[T | None, bool]:
    """The last of ``found``, if it comes in time; and whether the client has hung up meanwhile.
    ``hang_up`` returns when it does.

    Raises:
        Refusal: as ``found``.
    """
    last: T | None = None
    refusal: Refusal | None = None
    hung_up = False

    async with anyio.create_task_group() as group:

        async def watch() -> None:
            nonlocal hung_up
            await hang_up()
            hung_up = True
            group.cancel_scope.cancel()

        group.start_soon(watch)
        with anyio.move_on_after(within):
            try:
                async for each in found:
                    last = each
            except Refusal as refused:
                refusal = refused
        group.cancel_scope.cancel()
    if refusal is not None:
        raise refusal
    return last, hung_up


class CallService:
    def __init__(self, system: System, submissions: SubmitService) -> None:
        self._system, self._submissions = system, submissions

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Around the receiving of a request that is to wait for its job."""
        self._system.attendance.tell(UploadBegun())
        try:
            yield
        finally:
            self._system.attendance.tell(UploadEnded())

    def check_diarization(self, field: str, wanted: str) -> None:
        """Call it where a request wants the speakers, which it calls ``wanted``, in ``field``.

        Raises:
            Unprocessable: the operator has switched that off.
        """
        if not self._system.configuration.diarization.diarization:
            sentence = f"{wanted} is not possible: DIARIZATION is off on this server"
            raise Unprocessable({field: [sentence]})

    async def queue(self, submission: Submission, order: Order, size_bytes: int) -> Job:
        """The job of the same request, if it was sent before and is not forgotten; else a new one.

        Raises:
            Refusal: the queue says no.
        """
        owner, channel = order.owner, Channel(order.channel)
        digest = await anyio.to_thread.run_sync(
            _digest, self._system.spool.input(submission.job_id), order
        )
        key = stored_key(digest, owner, channel)
        assert key is not None
        earlier = await self._system.jobs.newest_by_key(key)
        if earlier is not None and _is_remembered(earlier, time.time()):
            key = earlier.order.idempotency_key
        else:
            try:
                await self._submissions.check_share(owner)
            except Refusal:
                self._submissions.discard(submission)
                raise
            key = f"{key}:{earlier.number}" if earlier else key
        order = msgspec.structs.replace(order, idempotency_key=key)
        job = await self._submissions.queue(
            submission, order, size_bytes, limited=owner is not None
        )
        if job.status is Status.CANCELLED:
            raise Busy("the same request has just been given up; try again")
        # If the client is gone already, nobody will wait for the job.
        self._system.attendance.tell(Attend(job.id))
        self._system.attendance.tell(Leave(job.id, job.attempt))
        return job

    @asynccontextmanager
    async def attend(self, job: Job) -> AsyncIterator[Call]:
        """Wait for the job. If everybody leaves before its end, it is cancelled after a while."""
        subscription = await self._system.broadcaster.ask(Subscribe(job.id))
        self._system.attendance.tell(Attend(job.id))
        try:
            yield Call(job, subscription, self._system)
        finally:
            self._system.attendance.tell(Leave(job.id, job.attempt))
            subscription.close()


def _digest(recording: Path, order: Order) -> str:
    """Of the recording, and of all that the transcript depends on."""
    with recording.open("rb") as file:
        content = hashlib.file_digest(file, "sha256")
    wanted = (
        order.model, order.language, order.task, order.prompt, order.word_timestamps,
        order.audio_track, order.vad, order.speakers, order.quality, order.languages,
    )  # fmt: skip
    content.update(msgspec.json.encode(wanted))
    return content.hexdigest()


def _is_remembered(job: Job, now: float) -> bool:
    match job.status:
        case Status.DONE:
            limit = REMEMBERED_S
        case Status.FAILED:
            limit = FAILURE_REMEMBERED_S
        case Status.CANCELLED:
            return False
        case _:
            return True
    return job.completed_at is not None and now - seconds(job.completed_at) < limit
