"""The native dialect's event streams: what the services tell, as server-sent events."""

from collections.abc import AsyncIterator

from actors.events.subscription import Subscription
from actors.models.messages import ModelChanged
from app.http.event_stream import KEEPALIVE, KEEPALIVE_S, event
from app.native.documents import (
    DoneEvent,
    ErrorEvent,
    ProgressEvent,
    SegmentEvent,
    model_event,
)
from app.services.follow import Ended, JobEvent, JobFollower, Progress, SegmentAdded
from app.transcripts.document import job_document, segment_document
from storage.records import Status


async def job_events(follower: JobFollower, subscription: Subscription) -> AsyncIterator[bytes]:
    """A job's events, each with its place as its id."""
    async for each in follower.follow(subscription, KEEPALIVE_S):
        yield KEEPALIVE if each is None else _frame(each)


def _frame(each: JobEvent) -> bytes:
    match each:
        case Progress(place, percent, chunks_done, chunks_total):
            return event(
                "progress", ProgressEvent("progress", percent, chunks_done, chunks_total), place
            )
        case SegmentAdded(place, segment):
            return event("segment", SegmentEvent("segment", segment_document(segment)), place)
        case Ended(place, job, segments, left_out):
            if job.status is Status.FAILED:
                return event("error", ErrorEvent("error", job.error), place)
            return event("done", DoneEvent("done", job_document(job, segments, left_out)), place)


async def model_events(subscription: Subscription) -> AsyncIterator[bytes]:
    """The state now, then every change of it."""
    while (facts := await subscription.wait(KEEPALIVE_S)) is not None:
        for fact in facts:
            assert isinstance(fact, ModelChanged)
            data = model_event(fact.state)
            yield event(data.type, data)
        if not facts:
            yield KEEPALIVE
