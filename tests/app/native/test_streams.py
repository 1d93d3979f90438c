from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.events.subscription import ROOM, Subscription
from actors.jobs.messages import JobEnded, JobProgressed
from app.http.event_stream import KEEPALIVE
from app.native import streams
from app.native.streams import JobFollower
from storage.database import open_database
from storage.jobs import Jobs
from storage.records import Chunk, Order, Segment, Span, Status

pytestmark = pytest.mark.anyio

CHUNKS = 100
NOW = "2026-05-10T14:00:00.000Z"


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[Jobs]:
    async with open_database(tmp_path / "a.db") as database:
        jobs = Jobs(database)
        await jobs.insert("a", Order(), 1, NOW)
        plan = [Chunk(ordinal=n, spans=(Span(n, n + 1),)) for n in range(CHUNKS)]
        await jobs.plan("a", 1.0, plan)
        await jobs.start("a")
        yield jobs


async def commit(jobs: Jobs, ordinal: int) -> JobProgressed:
    """Commit a chunk of one segment; returns the news of it."""
    segment = Segment(index=ordinal, start=ordinal, end=ordinal + 1, text=f"s{ordinal}")
    job = await jobs.commit_chunk("a", ordinal, "en", [segment])
    assert job
    return JobProgressed("a", job.percent, job.chunks_done, CHUNKS, ordinal, (segment,))


def ids(frames: list[bytes]) -> list[str]:
    return [frame.split(b"\n")[0].removeprefix(b"id: ").decode() for frame in frames]


async def test_news_that_are_told_twice_or_late_are_shown_once(jobs: Jobs) -> None:
    subscription = Subscription("a")
    follower = JobFollower(jobs, "a", None)
    frames = follower.follow(subscription)
    first = await commit(jobs, 0)
    seen = [await anext(frames) for _ in range(2)]
    subscription.offer(first)
    subscription.offer(await commit(jobs, 1))
    seen += [await anext(frames) for _ in range(2)]
    assert ids(seen) == ["1-0", "1-1", "1-2", "2-2"]


async def test_a_reader_that_fell_behind_catches_up_from_the_rows(jobs: Jobs) -> None:
    subscription = Subscription("a")
    frames = JobFollower(jobs, "a", "0-0").follow(subscription)
    for n in range(ROOM + 5):
        subscription.offer(await commit(jobs, n))
    await jobs.finish("a", Status.CANCELLED, NOW, 0)
    subscription.offer(JobEnded("a"))
    seen = [frame async for frame in frames]
    assert [b"event: done" in frame for frame in seen] == [False] * (len(seen) - 1) + [True]


async def test_a_quiet_stream_is_kept_alive_and_looks_at_the_rows(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "KEEPALIVE_S", 0.01)
    frames = JobFollower(jobs, "a", "0-0").follow(Subscription("a"))
    assert await anext(frames) == KEEPALIVE
    await commit(jobs, 0)  # whose news is lost
    while (frame := await anext(frames)) == KEEPALIVE:
        pass
    assert ids([frame]) == ["0-1"]


@pytest.mark.parametrize("last", ["", "x", "1-", "-1-2", "99999999999-1", "1-2-3"])
async def test_an_id_that_is_not_ours_is_a_fresh_start(jobs: Jobs, last: str) -> None:
    await commit(jobs, 0)
    frames = JobFollower(jobs, "a", last).follow(Subscription("a"))
    assert ids([await anext(frames)]) == ["1-0"]
