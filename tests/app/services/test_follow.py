"""What a client of a job's events sees, whatever it missed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.events.subscription import CAPACITY, Subscription
from actors.jobs.messages import ChunkCommitted, JobEnded
from app.services.follow import Ended, JobEvent, JobFollower, has_seen_end
from storage.database import open_database
from storage.jobs import Jobs
from storage.records import Chunk, Order, Segment, Span, Status

pytestmark = pytest.mark.anyio

CHUNKS = 100
NOW = "2026-05-10T14:00:00.000Z"
LONG = 1000.0
PLAN = [Chunk(ordinal=n, spans=(Span(n, n + 1),)) for n in range(CHUNKS)]


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[Jobs]:
    async with open_database(tmp_path / "a.db") as database:
        jobs = Jobs(database)
        await jobs.insert("a", Order(), 1, NOW)
        await jobs.plan("a", 1.0, PLAN)
        await jobs.start("a")
        yield jobs


async def commit(jobs: Jobs, ordinal: int) -> ChunkCommitted:
    """Commit a chunk of one segment; returns the fact."""
    segment = Segment(index=ordinal, start=ordinal, end=ordinal + 1, text=f"s{ordinal}")
    job = await jobs.commit_chunk("a", ordinal, [segment])
    assert job
    return ChunkCommitted("a", job.percent, job.chunks_done, CHUNKS, ordinal, (segment,))


def follow(
    jobs: Jobs, last_place: str | None, subscription: Subscription | None = None
) -> AsyncIterator[JobEvent | None]:
    return JobFollower(jobs, "a", last_place).follow(subscription or Subscription("a"), LONG)


async def place(events: AsyncIterator[JobEvent | None]) -> str:
    event = await anext(events)
    assert event is not None
    return event.place


async def test_facts_that_are_told_twice_or_late_are_shown_once(jobs: Jobs) -> None:
    subscription = Subscription("a")
    events = follow(jobs, None, subscription)
    first = await commit(jobs, 0)
    seen = [await place(events) for _ in range(2)]
    subscription.offer(first)
    subscription.offer(await commit(jobs, 1))
    seen += [await place(events) for _ in range(2)]
    assert seen == ["1:1-0", "1:1-1", "1:1-2", "1:2-2"]


async def test_a_reader_that_fell_behind_catches_up_from_the_rows(jobs: Jobs) -> None:
    subscription = Subscription("a")
    events = follow(jobs, "1:0-0", subscription)
    for n in range(CAPACITY + 5):
        subscription.offer(await commit(jobs, n))
    await jobs.finish("a", Status.CANCELLED, NOW, 0)
    subscription.offer(JobEnded("a", Order()))
    seen = [event async for event in events]
    assert [isinstance(event, Ended) for event in seen] == [False] * (len(seen) - 1) + [True]


async def test_a_quiet_stream_is_kept_alive_and_looks_at_the_rows(jobs: Jobs) -> None:
    events = JobFollower(jobs, "a", "1:0-0").follow(Subscription("a"), 0.01)
    assert await anext(events) is None
    await commit(jobs, 0)  # and nobody is told
    while (event := await anext(events)) is None:
        pass
    assert event.place == "1:0-1"


@pytest.mark.parametrize("last", ["", "x", "1-", "-1-2", "99999999999-1", "1-2-3", "1:2:3-4"])
async def test_a_place_that_is_not_ours_is_a_fresh_start(jobs: Jobs, last: str) -> None:
    await commit(jobs, 0)
    assert await place(follow(jobs, last)) == "1:1-0"


async def test_a_place_of_an_older_server_goes_on_after_it(jobs: Jobs) -> None:
    await commit(jobs, 0)
    await commit(jobs, 1)
    assert await place(follow(jobs, "1-1")) == "1:1-2"


async def begin_again(jobs: Jobs) -> None:
    """The job fails and is restarted; its new plan is committed."""
    await jobs.finish("a", Status.FAILED, NOW, 0, "broken")
    await jobs.restart("a")
    await jobs.plan("a", 1.0, PLAN)
    await jobs.start("a")


async def test_a_place_of_an_earlier_attempt_skips_no_line_of_the_next_one(jobs: Jobs) -> None:
    for n in range(3):
        await commit(jobs, n)
    await begin_again(jobs)
    await commit(jobs, 0)
    await commit(jobs, 1)
    events = follow(jobs, "1:3-3")
    assert [await place(events) for _ in range(3)] == ["2:2-0", "2:2-1", "2:2-2"]


async def test_who_saw_the_end_of_an_earlier_attempt_is_told_of_the_next_one(jobs: Jobs) -> None:
    await begin_again(jobs)
    job = await jobs.finish("a", Status.CANCELLED, NOW, 0)
    assert job
    assert has_seen_end(job, "2:end")
    assert not has_seen_end(job, "1:end")
    assert not has_seen_end(job, "end")
    assert await place(follow(jobs, "1:end")) == "2:end"
