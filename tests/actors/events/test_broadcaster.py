import gc
import weakref
from collections.abc import AsyncIterator
from itertools import pairwise

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors.events.broadcaster import WOKEN_AT_ONCE, Broadcaster
from actors.events.messages import BroadcasterMessage, CloseStreams, Subscribe
from actors.events.subscription import CAPACITY, EVERYTHING, MODEL
from actors.jobs.messages import ChunkCommitted, JobChanged, JobEnded
from actors.kernel.mailbox import Mailbox
from actors.models.messages import Loading, ModelChanged, Unloaded
from storage.records import Order

pytestmark = pytest.mark.anyio


@pytest.fixture
async def broadcaster() -> AsyncIterator[Mailbox[BroadcasterMessage]]:
    mailbox: Mailbox[BroadcasterMessage] = Mailbox("broadcaster")
    async with anyio.create_task_group() as group:
        group.start_soon(Broadcaster(mailbox).run)
        yield mailbox
        group.cancel_scope.cancel()


def progress(n: int, job_id: str = "a") -> ChunkCommitted:
    return ChunkCommitted(job_id, n, n, 100, 0, ())


async def test_each_subscriber_hears_its_own_topic(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    one, two, other = [await broadcaster.ask(Subscribe(t)) for t in ("a", "a", "b")]
    broadcaster.tell(progress(1))
    assert await one.wait(1) == await two.wait(1) == [progress(1)]
    assert await other.wait(0) == []


async def test_a_subscriber_to_the_model_hears_its_state_first(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    broadcaster.tell(ModelChanged(Unloaded()))
    broadcaster.tell(ModelChanged(Loading("base")))
    late = await broadcaster.ask(Subscribe(MODEL))
    assert await late.wait(1) == [ModelChanged(Loading("base"))]


async def test_a_slow_reader_is_told_that_it_missed_something(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    slow = await broadcaster.ask(Subscribe("a"))
    for n in range(CAPACITY + 1):
        broadcaster.tell(progress(n))
    await broadcaster.ask(Subscribe("b"))  # everything before has been handled
    assert slow.lagged
    assert await slow.wait(1) == [progress(CAPACITY)]


async def test_others_take_turns_while_an_event_reaches_a_crowd_of_readers(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    crowd = [await broadcaster.ask(Subscribe("a")) for _ in range(10 * WOKEN_AT_ONCE)]
    reached = [0]
    broadcaster.tell(progress(1))
    while reached[-1] < len(crowd):
        await checkpoint()
        reached.append(sum(bool(reader.waiting) for reader in crowd))
    steps = [later - earlier for earlier, later in pairwise(reached)]
    assert max(steps) <= 2 * WOKEN_AT_ONCE


async def test_the_end_of_a_job_reaches_its_readers_and_frees_them(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    reader = await broadcaster.ask(Subscribe("a"))
    broadcaster.tell(JobEnded("a", Order()))
    broadcaster.tell(progress(1))
    await broadcaster.ask(Subscribe("b"))
    assert await reader.wait(1) == [JobEnded("a", Order())]


async def test_a_shutdown_ends_every_stream_and_those_that_come_after(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    before = await broadcaster.ask(Subscribe("a"))
    broadcaster.tell(CloseStreams())
    after = await broadcaster.ask(Subscribe("a"))
    assert await before.wait(1) is None
    assert await after.wait(1) is None


async def test_a_closed_subscription_is_forgotten(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    subscription = await broadcaster.ask(Subscribe("a job that is over"))
    forgotten = weakref.ref(subscription)
    subscription.close()
    del subscription
    await broadcaster.ask(Subscribe("b"))  # everything before has been handled
    gc.collect()
    assert forgotten() is None


async def test_who_follows_all_jobs_hears_of_each_and_of_every_end(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    everything = await broadcaster.ask(Subscribe(EVERYTHING))
    news = [
        JobChanged("a"),
        progress(1),
        JobEnded("a", Order()),
        JobChanged("b"),
        JobEnded("b", Order()),
    ]
    for each in news:
        broadcaster.tell(each)
    heard: list[object] = []
    with anyio.fail_after(5):
        while len(heard) < len(news):
            heard += await everything.wait(5) or []
    assert heard == news


async def test_who_follows_one_job_hears_of_all_its_changes_and_of_nobody_elses(
    broadcaster: Mailbox[BroadcasterMessage],
) -> None:
    one = await broadcaster.ask(Subscribe("a"))
    news: list[JobChanged | ChunkCommitted] = [JobChanged("a"), progress(1)]
    for each in (JobChanged("b"), *news):
        broadcaster.tell(each)
    heard: list[object] = []
    with anyio.fail_after(5):
        while len(heard) < len(news):
            heard += await one.wait(5) or []
    assert heard == news
