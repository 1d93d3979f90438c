"""The ledger's rows, and a state machine that looks for a way to break them."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.database import open_database
from storage.deliveries import Deliveries
from storage.jobs import Jobs
from storage.records import Chunk, Evidence, Job, LeftOut, Order, Segment, Span, Status, Word

pytestmark = pytest.mark.anyio

NOW = "2026-05-10T14:00:00.000Z"
PLAN = (
    Chunk(ordinal=0, spans=(Span(0, 16_000), Span(32_000, 64_000))),
    Chunk(ordinal=1, spans=(Span(64_000, 96_000),)),
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[tuple[Jobs, Deliveries]]:
    async with open_database(tmp_path / "a.db") as database:
        yield Jobs(database), Deliveries(database)


@pytest.fixture
def jobs(store: tuple[Jobs, Deliveries]) -> Jobs:
    return store[0]


def segment(index: int) -> Segment:
    word = Word("hello", 0.5, 1.0, 0.9)
    return Segment(
        index=index,
        start=0.5,
        end=1.5,
        text="hello",
        words=(word,),
        repair="noted",
        language="en",
        evidence=Evidence(
            avg_logprob=-0.2, no_speech_prob=None, compression_ratio=0.4, speech_share=1.0
        ),
    )


async def test_an_order_comes_back_as_submitted(jobs: Jobs) -> None:
    order = Order(
        language="de", prompt="Grüße", word_timestamps=True, filename="../x.wav",
        webhook_url="http://a/", webhook_format="native", idempotency_key="k", model="tiny",
    )  # fmt: skip
    await jobs.insert("a", order, 10, NOW)
    job = await jobs.get("a")
    assert job
    assert (job.order, job.status, job.created_at) == (order, Status.QUEUED, NOW)


async def test_a_repeated_key_is_the_earlier_job(jobs: Jobs) -> None:
    first = await jobs.insert("a", Order(idempotency_key="k"), 10, NOW)
    assert await jobs.insert("b", Order(idempotency_key="k"), 20, NOW) == first
    assert await jobs.get("b") is None


async def test_segments_are_there_once_their_chunk_is_committed(jobs: Jobs) -> None:
    await jobs.insert("a", Order(), 10, NOW)
    await jobs.plan("a", 6.0, PLAN)
    await jobs.start("a")
    job = await jobs.commit_chunk("a", 0, [segment(0), segment(1)])
    assert job
    assert (job.percent, job.language, job.segments) == (50, "en", 2)
    assert job.secs_by_language == {"en": 2.0}
    assert await jobs.transcript(job) == [segment(0), segment(1)]
    assert await jobs.transcript(job, 1) == [segment(1)]
    assert await jobs.chunk(job, 0) == PLAN[0]


async def test_what_is_known_of_a_recording_is_forgotten_at_a_restart(jobs: Jobs) -> None:
    await jobs.insert("a", Order(), 10, NOW)
    planned = await jobs.plan("a", 6.0, PLAN, notices=["Half of it is missing."])
    assert planned
    assert planned.notices == ("Half of it is missing.",)
    await jobs.start("a")
    left = LeftOut(start=1.0, end=2.0, text="[Music]", reason="it describes a sound")
    job = await jobs.commit_chunk("a", 0, [segment(0)], [left])
    assert job
    (stored,) = await jobs.left_out(job)
    assert msgspec.structs.replace(stored, number=None) == left
    await jobs.finish("a", Status.CANCELLED, NOW, 0.0)
    again = await jobs.restart("a")
    assert again
    assert again.notices == ()
    assert await jobs.left_out(again) == []


async def test_a_chunk_is_committed_once_and_in_order(jobs: Jobs) -> None:
    await jobs.insert("a", Order(), 10, NOW)
    await jobs.plan("a", 6.0, PLAN)
    await jobs.start("a")
    assert await jobs.commit_chunk("a", 1, []) is None
    assert await jobs.commit_chunk("a", 0, [])
    assert await jobs.commit_chunk("a", 0, []) is None


async def test_a_second_plan_changes_nothing(jobs: Jobs) -> None:
    await jobs.insert("a", Order(), 10, NOW)
    assert await jobs.plan("a", 6.0, PLAN)
    assert await jobs.plan("a", 6.0, PLAN[:1]) is None
    job = await jobs.get("a")
    assert job
    assert job.chunks_total == 2


async def test_the_end_and_its_webhook_are_one_commit(
    store: tuple[Jobs, Deliveries],
) -> None:
    jobs, deliveries = store
    order = Order(webhook_url="http://a/", webhook_format="native")
    await jobs.insert("a", order, 10, NOW)
    assert await jobs.finish("a", Status.FAILED, NOW, 5.0, "broken")
    (row,) = await deliveries.due(5.0, limit=10, per_origin=9)
    assert (row.event, row.url, row.job_id, row.attempts) == ("job_ended", "http://a/", "a", 0)
    assert await jobs.finish("a", Status.CANCELLED, NOW, 5.0) is None
    assert len(await deliveries.due(9.0, limit=10, per_origin=9)) == 1


async def test_one_receiver_hides_no_other(store: tuple[Jobs, Deliveries]) -> None:
    jobs, deliveries = store
    for n in range(20):
        url = "http://slow/" if n < 15 else f"http://fast{n}/"
        await jobs.insert(str(n), Order(webhook_url=url, webhook_format="native"), 10, NOW)
        await jobs.finish(str(n), Status.CANCELLED, NOW, float(n))
    due = await deliveries.due(99.0, limit=8, per_origin=4)
    fast = [f"http://fast{n}/" for n in (15, 16, 17, 18)]
    assert [row.url for row in due] == ["http://slow/"] * 4 + fast
    besides = [row.id for row in due]
    assert [
        row.job_id for row in await deliveries.due(99.0, exclude=besides, limit=3, per_origin=1)
    ] == ["4", "19"]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a/", "http://a"),
        ("http://a", "http://a"),
        ("https://Host:8443/x/y?z=/", "https://host:8443"),
        ("https://host?x=/a", "https://host"),
        ("https://host#a/b", "https://host"),
        ("https://me:secret@host/x@y", "https://host"),
    ],
)
async def test_a_receiver_is_its_scheme_host_and_port(
    store: tuple[Jobs, Deliveries], url: str, origin: str
) -> None:
    jobs, deliveries = store
    await jobs.insert("a", Order(webhook_url=url, webhook_format="f"), 10, NOW)
    await jobs.finish("a", Status.CANCELLED, NOW, 0.0)
    (row,) = await deliveries.due(1.0, limit=1, per_origin=1)
    assert row.origin == origin


async def test_a_job_that_was_restarted_has_not_waited_since_it_was_submitted(jobs: Jobs) -> None:
    await jobs.insert("a", Order(), 10, "2020-01-01T00:00:00.000Z")
    assert await jobs.oldest_wait_secs() > 86_400
    await jobs.finish("a", Status.FAILED, NOW, 0.0, "broken")
    await jobs.restart("a")
    assert await jobs.oldest_wait_secs() == 0


async def test_listeners_are_those_of_jobs_that_are_not_over(
    store: tuple[Jobs, Deliveries],
) -> None:
    jobs, deliveries = store
    for name in ("a", "b", "c"):
        await jobs.insert(
            name, Order(webhook_url="http://x/", webhook_format="f", model_events=True), 10, NOW
        )
    assert await deliveries.listeners() == {("http://x/", "f"): None}
    for name in ("a", "b", "c"):
        await jobs.finish(name, Status.CANCELLED, NOW, 0)
    assert await deliveries.listeners() == {}


async def test_any_number_of_files_can_be_asked_about(jobs: Jobs) -> None:
    await jobs.insert("7", Order(), 10, NOW)
    assert list(await jobs.by_ids([str(n) for n in range(40_000)])) == ["7"]


async def test_pages_go_back_in_time(jobs: Jobs) -> None:
    for n in range(5):
        await jobs.insert(str(n), Order(), 10, NOW)
    await jobs.finish("3", Status.CANCELLED, NOW, 0)
    first = await jobs.page(None, None, 2)
    assert [job.id for job in first] == ["4", "3"]
    assert [job.id for job in await jobs.page(None, first[-1].number, 9)] == ["2", "1", "0"]
    assert [job.id for job in await jobs.page(Status.CANCELLED, None, 9)] == ["3"]


async def test_parked_jobs_keep_their_place_and_are_charged_no_crash(jobs: Jobs) -> None:
    for name in ("a", "b"):
        await jobs.insert(name, Order(), 10, NOW)
    await jobs.start("a")
    parked = await jobs.requeue("a")
    assert parked
    assert (parked.status, parked.crashes) == (Status.QUEUED, 0)
    assert [job.id for job in await jobs.open_jobs()] == ["a", "b"]


STEPS = st.lists(
    st.sampled_from("plan start commit commit crash park done failed cancelled".split()),
    max_size=14,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_no_order_of_events_breaks_a_job(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    async def walk() -> None:
        folder = tmp_path_factory.mktemp("walk")
        async with open_database(folder / "a.db") as database:
            jobs = Jobs(database)
            job = await jobs.insert("a", Order(webhook_url="u", webhook_format="f"), 1, NOW)
            for step in steps:
                before = job
                changed = await _apply(jobs, job, step)
                job = changed or job
                _check(before, job, changed)
            assert await jobs.get("a") == job
            delivered = await Deliveries(database).due(1, limit=10, per_origin=9)
            assert len(delivered) == (1 if job.status.terminal else 0)

    anyio.run(walk)


async def _apply(jobs: Jobs, job: Job, step: str) -> Job | None:
    match step:
        case "plan":
            return await jobs.plan("a", 6.0, PLAN)
        case "start":
            return await jobs.start("a")
        case "commit":
            return await jobs.commit_chunk("a", job.chunks_done, [segment(job.segments)])
        case "crash":
            return await jobs.count_crash("a")
        case "park":
            return await jobs.requeue("a")
        case "done" if job.chunks_total is None or job.chunks_done < job.chunks_total:
            return None  # the queue never ends an unfinished job; the table forbids it, too
        case _:
            error = "broken" if step == "failed" else None
            return await jobs.finish("a", Status(step), NOW, 0.0, error)


def _check(before: Job, after: Job, changed: Job | None) -> None:
    assert after.percent >= before.percent
    assert after.chunks_done >= before.chunks_done
    if before.status.terminal:
        assert changed is None
    assert (after.completed_at is not None) == after.status.terminal
