"""What happens to a job, in a fixed order that its rows give: the segments of a chunk, then its
progress, and at last its end.

Every event has a place, ``ATTEMPT:CHUNKS-SEGMENTS`` (the end's is ``ATTEMPT:end``), which means the
same for ever, so that whoever names the last place they have seen goes on after it without loss or
repeat. A restart of the job begins another attempt.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio

from actors.events.subscription import Subscription
from actors.jobs.messages import ChunkCommitted, JobChanged, JobDeleted, JobEnded
from storage.jobs import Jobs
from storage.records import Job, LeftOut, Segment, Status

_reading = anyio.CapacityLimiter(8)
"""How many streams read rows at the same time. With thousands of streams, every other request would
wait behind all their reads."""

_PLACE = re.compile(r"(?:(\d{1,9}):)?(\d{1,9})-(\d{1,9})")
_END = re.compile(r"(?:(\d{1,9}):)?end")


@dataclass(frozen=True)
class Progress:
    place: str
    percent: int
    chunks_done: int
    chunks_total: int


@dataclass(frozen=True)
class SegmentAdded:
    place: str
    segment: Segment


@dataclass(frozen=True)
class Ended:
    place: str
    job: Job
    segments: Sequence[Segment]
    """The transcript of a job that is done."""
    left_out: Sequence[LeftOut] = ()
    """What the transcript does not have."""


JobEvent = Progress | SegmentAdded | Ended


def has_seen_end(job: Job, last_place: str | None) -> bool:
    """Whether there is nothing more to tell to whoever saw ``last_place`` last."""
    end = _END.fullmatch(last_place or "")
    return job.status.terminal and end is not None and int(end[1] or 1) == job.attempt


class JobFollower:
    """Where one client is in one job's events."""

    def __init__(self, jobs: Jobs, job_id: str, last_place: str | None) -> None:
        self._jobs, self._job_id = jobs, job_id
        place = _PLACE.fullmatch(last_place or "")
        self._attempt = int(place[1] or 1) if place else 1
        self._fresh = place is None
        """Whether the client has seen nothing of this attempt."""
        self._chunks, self._segments = (int(place[2]), int(place[3])) if place else (0, 0)
        self._over = False

    async def follow(
        self, subscription: Subscription, keepalive_secs: float
    ) -> AsyncIterator[JobEvent | None]:
        """Every event after the client's place, to the end of the job; None where nothing has
        happened for ``keepalive_secs``.

        The subscription is older than the first look at the rows, so that there is no gap.
        """
        for event in await self._caught_up():
            yield event
        while not self._over:
            facts = await subscription.wait(keepalive_secs)
            if facts is None:
                return
            events = await self._told(facts, subscription)
            for event in events:
                yield event
            if not events:
                yield None

    async def _told(self, facts: Sequence[object], subscription: Subscription) -> list[JobEvent]:
        events: list[JobEvent] = []
        behind = subscription.lagged or not facts
        subscription.lagged = False
        for fact in facts:
            if isinstance(fact, ChunkCommitted) and not behind:
                if (fact.first_segment, fact.chunks_done) == (self._segments, self._chunks + 1):
                    events += self._chunk(fact.segments, fact.chunks_done)
                    events.append(self._progress(fact.percent, fact.chunks_total))
                else:
                    behind = fact.chunks_done > self._chunks
            elif isinstance(fact, JobEnded | JobDeleted) or (
                isinstance(fact, JobChanged) and self._fresh
            ):
                behind = True
        if behind:
            events += await self._caught_up()
        return events

    async def _caught_up(self) -> list[JobEvent]:
        """What the rows have beyond the client's place."""
        async with _reading:
            return await self._read()

    async def _read(self) -> list[JobEvent]:
        job = await self._jobs.get(self._job_id)
        if job is None:  # it was deleted
            self._over = True
            return []
        if job.attempt != self._attempt:
            self._attempt, self._fresh, self._chunks, self._segments = job.attempt, True, 0, 0
        events: list[JobEvent] = []
        if job.status.terminal and self._fresh:  # a late client gets the end alone
            return [await self._end(job)]
        if self._fresh and job.chunks_total:
            self._fresh = False
            self._chunks = job.chunks_done
            events.append(self._progress(job.percent, job.chunks_total))
            events += self._chunk(await self._rows(job), job.chunks_done)
        elif job.chunks_total and job.chunks_done > self._chunks:
            events += self._chunk(await self._rows(job), job.chunks_done)
            events.append(self._progress(job.percent, job.chunks_total))
        if job.status.terminal:
            events.append(await self._end(job))
        return events

    async def _rows(self, job: Job) -> list[Segment]:
        """The segments that are new to the client; a cancelled job's are never shown."""
        if job.status is Status.CANCELLED:
            return []
        found = await self._jobs.transcript(job, self._segments)
        return [segment for segment in found if segment.index < job.segments]

    def _chunk(self, segments: Sequence[Segment], chunks_done: int) -> list[JobEvent]:
        events: list[JobEvent] = []
        for segment in segments:
            self._segments = segment.index + 1
            events.append(SegmentAdded(self._place(), segment))
        self._chunks = chunks_done
        return events

    def _progress(self, percent: int, total: int) -> Progress:
        return Progress(self._place(), percent, self._chunks, total)

    async def _end(self, job: Job) -> Ended:
        self._over = True
        place = f"{job.attempt}:end"
        if job.status is not Status.DONE:
            return Ended(place, job, [])
        return Ended(place, job, await self._jobs.transcript(job), await self._jobs.left_out(job))

    def _place(self) -> str:
        return f"{self._attempt}:{self._chunks}-{self._segments}"
