"""What the native dialect's event streams say, and in which order.

A job's events have a fixed order, given by its rows: the segments of a chunk, then its progress.
An event's id is the place after it, ``CHUNKS-SEGMENTS``, so that it means the same for ever; the
last event's is ``end``.
"""

import re
from collections.abc import AsyncIterator, Sequence

from actors.messages import JobChanged, JobEnded, JobProgressed, ModelChanged
from actors.subscription import Subscription
from app.native.wire import (
    DoneEvent,
    ErrorEvent,
    ProgressEvent,
    SegmentEvent,
    job_document,
    model_event,
    segment_document,
)
from app.sse import KEEPALIVE, KEEPALIVE_S, event
from storage.jobs import Jobs
from storage.records import Job, Segment, Status

END = "end"
_PLACE = re.compile(r"(\d{1,9})-(\d{1,9})")


class JobFollower:
    """Where one client is in one job's events."""

    def __init__(self, jobs: Jobs, job_id: str, last_event_id: str | None) -> None:
        self._jobs, self._job_id = jobs, job_id
        place = _PLACE.fullmatch(last_event_id or "")
        self._fresh = place is None
        self._chunks, self._segments = (int(place[1]), int(place[2])) if place else (0, 0)

    async def follow(self, subscription: Subscription) -> AsyncIterator[bytes]:
        """Everything from the client's place on, to the end of the job.

        The subscription is older than the first look at the rows, so that there is no gap.
        """
        for frame in await self._caught_up():
            yield frame
        while self._chunks >= 0:
            news = await subscription.wait(KEEPALIVE_S)
            if news is None:
                return
            for frame in await self._told(news, subscription):
                yield frame

    async def _told(self, news: Sequence[object], subscription: Subscription) -> list[bytes]:
        frames: list[bytes] = []
        behind = subscription.lagged or not news
        subscription.lagged = False
        for each in news:
            if isinstance(each, JobProgressed) and not behind:
                if (each.first_segment, each.chunks_done) == (self._segments, self._chunks + 1):
                    frames += self._chunk(each.segments, each.chunks_done)
                    frames.append(self._progress(each.percent, each.chunks_total))
                else:
                    behind = each.chunks_done > self._chunks
            elif isinstance(each, JobEnded) or (isinstance(each, JobChanged) and self._fresh):
                behind = True
        if behind:
            frames += await self._caught_up()
        return frames or [KEEPALIVE]

    async def _caught_up(self) -> list[bytes]:
        """What the rows have beyond the client's place."""
        job = await self._jobs.get(self._job_id)
        if job is None:
            self._chunks = -1  # it was deleted
            return []
        frames: list[bytes] = []
        if job.status.terminal and self._fresh:  # a late client gets the end alone
            return [await self._end(job)]
        if self._fresh and job.chunks_total:
            self._fresh = False
            self._chunks = job.chunks_done
            frames.append(self._progress(job.percent, job.chunks_total))
            frames += self._chunk(await self._rows(job), job.chunks_done)
        elif job.chunks_total and job.chunks_done > self._chunks:
            frames += self._chunk(await self._rows(job), job.chunks_done)
            frames.append(self._progress(job.percent, job.chunks_total))
        self._fresh = self._fresh and not job.chunks_total
        if job.status.terminal:
            frames.append(await self._end(job))
        return frames

    async def _rows(self, job: Job) -> list[Segment]:
        """The segments that are new to the client; a cancelled job's are never shown."""
        if job.status is Status.CANCELLED:
            return []
        found = await self._jobs.transcript(job, self._segments)
        return [segment for segment in found if segment.index < job.segments]

    def _chunk(self, segments: Sequence[Segment], chunks_done: int) -> list[bytes]:
        frames = []
        for segment in segments:
            self._segments = segment.index + 1
            document = SegmentEvent("segment", segment_document(segment))
            frames.append(event("segment", document, self._place()))
        self._chunks = chunks_done
        return frames

    def _progress(self, percent: int, total: int) -> bytes:
        data = ProgressEvent("progress", percent, self._chunks, total)
        return event("progress", data, self._place())

    async def _end(self, job: Job) -> bytes:
        self._chunks = -1
        if job.status is Status.FAILED:
            return event("error", ErrorEvent("error", job.error), END)
        segments = await self._jobs.transcript(job) if job.status is Status.DONE else []
        return event("done", DoneEvent("done", job_document(job, segments)), END)

    def _place(self) -> str:
        return f"{self._chunks}-{self._segments}"


async def model_events(subscription: Subscription) -> AsyncIterator[bytes]:
    """The state now, then every change of it."""
    while (news := await subscription.wait(KEEPALIVE_S)) is not None:
        for each in news:
            assert isinstance(each, ModelChanged)
            data = model_event(each.state)
            yield event(data.type, data)
        if not news:
            yield KEEPALIVE
