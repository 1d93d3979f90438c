"""The ledger against a real SQLite file, with everyone else as a probe."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.engine.messages import (
    WINDOWS_PER_PLACE,
    AbortChunk,
    ChunkDone,
    ChunkFailed,
    GiveBack,
    Transcribe,
)
from actors.jobs import preparation, queue
from actors.jobs.messages import (
    Cancel,
    CheckStalled,
    ChunkCommitted,
    Delete,
    Drain,
    FetchedAfterEnd,
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
from actors.jobs.preparation import CHUNKS_AHEAD, Preparation
from actors.jobs.queue import MAX_CRASHES, Queue
from actors.jobs.scheduler import Scheduler
from actors.media.messages import (
    Fetch,
    Fetched,
    FetchesLost,
    FetchFailed,
    Heartbeat,
    Planned,
    Split,
    SplitFailed,
    SplitsLost,
    StopFetch,
    StopSplit,
)
from actors.models.messages import ModelFailed, ModelGone, ModelReady, ModelWaits, Work
from storage.accounts import Accounts
from storage.blobs import Spool
from storage.database import open_database
from storage.deliveries import Deliveries
from storage.errors import Busy, Conflict, NotFound, OverQuota
from storage.jobs import Jobs
from storage.records import Chunk, Job, Order, Segment, Span, Stage, Status
from tests.probe import Probe

pytestmark = pytest.mark.anyio

MODELS = {"large": "large-v3"}


@dataclass
class House:
    jobs: Jobs
    spool: Spool
    me: Probe[QueueMessage] = field(default_factory=lambda: Probe("queue"))
    lifecycle: Probe[Any] = field(default_factory=Probe)
    ingest: Probe[Any] = field(default_factory=Probe)
    chunker: Probe[Any] = field(default_factory=Probe)
    inference: Probe[Any] = field(default_factory=Probe)
    facts: Probe[Any] = field(default_factory=Probe)
    """What the queue publishes."""
    drained: anyio.Event = field(default_factory=anyio.Event)
    suspects: list[str] = field(default_factory=list)

    def queue(self) -> Queue:
        scheduler = Scheduler()
        return Queue(
            self.me,
            jobs=self.jobs,
            spool=self.spool,
            scheduler=scheduler,
            preparation=Preparation(
                scheduler, self.spool, ingest=self.ingest, chunker=self.chunker
            ),
            lifecycle=self.lifecycle,
            inference=self.inference,
            publish=self.facts.tell,
            model_for=lambda name: MODELS.get(name, name or "base"),
            drained=self.drained,
            suspects=self.suspects,
        )

    def published(self, *kinds: type) -> list[Any]:
        """The facts since the last look, of these kinds, or of all but JobChanged."""
        found = self.facts.told()
        if kinds:
            return [fact for fact in found if isinstance(fact, kinds)]
        return [fact for fact in found if not isinstance(fact, JobChanged)]

    async def submit(self, name: str, **order: Any) -> Job:
        return await self.me.ask(Submit(name, Order(**order), 10))

    def planned(self, name: str, chunks: int = 1) -> None:
        self.spool.pcm(name).touch()
        plan = tuple(
            Chunk(ordinal=n, spans=(Span(n * 16_000, n * 16_000 + 16_000),)) for n in range(chunks)
        )
        self.me.tell(Planned(name, float(chunks), plan))

    async def first_of_three(self, name: str) -> Transcribe:
        """The first chunk of a new job, with the model ready."""
        await self.submit(name)
        self.planned(name, chunks=3)
        self.me.tell(ModelReady("base", 1))
        return await self.chunk()

    def done(self, chunk: Transcribe, *texts: str) -> None:
        segments = tuple(
            Segment(index=n, start=0.0, end=1.0, text=text) for n, text in enumerate(texts)
        )
        self.me.tell(ChunkDone(chunk.job_id, chunk.ordinal, segments))

    async def at_engine(self, name: str, *, chunks: int, capacity: int) -> list[tuple[str, int]]:
        """The chunks of a new job that the engine is given at once."""
        await self.submit(name, language="en")
        self.planned(name, chunks=chunks)
        self.me.tell(ModelReady("base", 1, capacity))
        return await self.chunks(min(chunks, capacity))

    async def chunks(self, count: int) -> list[tuple[str, int]]:
        """The next chunks that the engine is given, as job and ordinal; there are no more."""
        found = [await self.chunk() for _ in range(count)]
        await self.job(found[0].job_id)
        assert not [m for m in self.inference.told() if isinstance(m, Transcribe)]
        return [(chunk.job_id, chunk.ordinal) for chunk in found]

    def says(self, job_id: str, ordinal: int) -> None:
        segments = (Segment(index=0, start=0.0, end=1.0, text=str(ordinal)),)
        self.me.tell(ChunkDone(job_id, ordinal, segments))

    def crashes(self, *chunks: tuple[str, int]) -> None:
        """The engine ends while it has these chunks, and the next is up."""
        for job_id, ordinal in chunks:
            alone = len(chunks) == 1
            self.me.tell(ChunkFailed(job_id, ordinal, "crashed", "it crashed", alone))
        self.me.tell(ModelGone())
        self.me.tell(ModelReady("base", 2, 8))

    async def chunk(self) -> Transcribe:
        message = await self.inference.next(Transcribe)
        assert isinstance(message, Transcribe)
        return message

    async def job(self, name: str) -> Job:
        """The row, once everything told before has been handled."""
        with pytest.raises(NotFound):
            await self.me.ask(Cancel("nobody"))
        job = await self.jobs.get(name)
        assert job
        return job


@asynccontextmanager
async def living(folder: Path) -> AsyncIterator[House]:
    async with open_database(folder / "a.db") as database:
        house = House(Jobs(database), Spool(folder))
        house.suspects = await house.jobs.count_crash_of_interrupted()
        async with anyio.create_task_group() as group:
            group.start_soon(house.queue().run)
            yield house
            group.cancel_scope.cancel()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with living(tmp_path) as house:
        yield house


async def test_a_job_goes_from_its_input_to_its_transcript(house: House) -> None:
    job = await house.submit("a", language="de", prompt="Bob")
    assert (job.status, job.number) == (Status.QUEUED, 1)
    assert await house.chunker.next() == Split("a")
    assert await house.lifecycle.next() == Work(None)
    assert await house.lifecycle.next() == Work("a", "base")
    house.planned("a", chunks=2)
    house.me.tell(ModelReady("base", 1))
    first = await house.chunk()
    assert (first.language, first.prompt, first.spans) == ("de", "Bob", (Span(0, 16_000),))
    assert (await house.job("a")).status is Status.RUNNING
    house.done(first, "one", "two")
    second = await house.chunk()
    house.done(second, "three")
    job = await house.job("a")
    assert (job.status, job.percent) == (Status.DONE, 100)
    assert [(s.index, s.text) for s in await house.jobs.transcript(job)] == [
        (0, "one"),
        (1, "two"),
        (2, "three"),
    ]
    queued, first_chunk, second_chunk, ended = house.published()
    assert queued == JobQueued("a", job.order)
    assert [(m.percent, m.first_segment) for m in (first_chunk, second_chunk)] == [(50, 0), (99, 2)]
    assert ended == JobEnded("a", job.order)


async def test_the_engine_is_told_which_languages_were_heard_before(house: House) -> None:
    await house.submit("a")
    house.planned("a", chunks=3)
    house.me.tell(ModelReady("base", 1, WINDOWS_PER_PLACE))
    assert (await house.chunk()).history == {}
    assert house.inference.told() == [], "the second waits until the first has been heard"
    swedish = Segment(index=0, start=0.0, end=2.0, text="Hej.", language="sv")
    finnish = Segment(index=1, start=2.0, end=5.0, text="Moi.", language="fi")
    house.me.tell(ChunkDone("a", 0, (swedish, finnish)))
    second = await house.chunk()
    assert (second.language, second.history) == (None, {"sv": 2.0, "fi": 3.0})
    assert (await house.job("a")).language == "fi"


async def test_jobs_run_in_the_order_of_arrival(house: House) -> None:
    for name in ("a", "b", "c"):
        await house.submit(name)
    for name in ("b", "a", "c"):
        house.planned(name)
    house.me.tell(ModelReady("base", 1))
    order = []
    for _ in range(3):
        chunk = await house.chunk()
        order.append(chunk.job_id)
        house.done(chunk)
    assert order == ["a", "b", "c"]


async def test_the_next_job_is_decoded_while_one_is_transcribed(house: House) -> None:
    for name in ("a", "b", "c", "d"):
        await house.submit(name)
    house.planned("a", chunks=CHUNKS_AHEAD)
    await house.job("a")
    assert house.chunker.told() == [Split("a"), Split("b")]


async def test_short_jobs_are_decoded_until_they_can_fill_the_engine(house: House) -> None:
    names = [f"job-{n:02}" for n in range(CHUNKS_AHEAD + 3)]
    for name in names:
        await house.submit(name)
    for name in names:
        house.planned(name)
        await house.job(name)
    assert house.chunker.told() == [Split(name) for name in names[:CHUNKS_AHEAD]]


async def test_a_job_without_speech_needs_no_engine(house: House) -> None:
    await house.submit("a")
    house.planned("a", chunks=0)
    job = await house.job("a")
    assert (job.status, job.percent, job.duration_secs) == (Status.DONE, 100, 0.0)


async def test_a_file_that_cannot_be_decoded_fails_with_its_sentence(house: House) -> None:
    await house.submit("a", webhook_url="http://x/", webhook_format="native", model_events=True)
    house.me.tell(SplitFailed("a", "the file has no audio track"))
    job = await house.job("a")
    assert (job.status, job.error) == (Status.FAILED, "the file has no audio track")
    assert house.published() == [JobQueued("a", job.order), JobEnded("a", job.order)]


async def test_a_queued_job_is_cancelled_at_once(house: House) -> None:
    await house.submit("a")
    job = await house.me.ask(Cancel("a"))
    assert (job.status, bool(job.completed_at)) == (Status.CANCELLED, True)
    assert house.chunker.told() == [Split("a"), StopSplit("a")]


async def test_a_running_jobs_late_result_is_never_shown(house: House) -> None:
    await house.submit("a")
    house.planned("a")
    house.me.tell(ModelReady("base", 1))
    chunk = await house.chunk()
    await house.me.ask(Cancel("a"))
    assert house.inference.told() == [AbortChunk("a")]
    house.done(chunk, "too late")
    job = await house.job("a")
    assert (job.status, job.segments) == (Status.CANCELLED, 0)


async def test_what_is_over_cannot_be_cancelled(house: House) -> None:
    await house.submit("a")
    await house.me.ask(Cancel("a"))
    with pytest.raises(Conflict, match="job a is already in terminal state cancelled"):
        await house.me.ask(Cancel("a"))
    with pytest.raises(NotFound, match="job b not found"):
        await house.me.ask(Cancel("b"))


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job goes on at once after a crash."""
    monkeypatch.setattr(queue, "CRASH_PAUSES_S", {1: 0.0, 2: 0.0})


async def test_a_job_rests_after_a_crash_while_its_neighbour_goes_on(house: House) -> None:
    for name in ("a", "b"):
        await house.submit(name)
        house.planned(name)
    house.me.tell(ModelReady("base", 1))
    assert (await house.chunk()).job_id == "a"
    house.me.tell(ChunkFailed("a", 0, "crashed", "the engine crashed on this job"))
    house.me.tell(ModelReady("base", 1))
    neighbour = await house.chunk()
    assert neighbour.job_id == "b"
    house.done(neighbour, "text")
    assert (await house.job("b")).status is Status.DONE
    assert house.inference.told() == [], "what crashed it may still be there"
    house.me.tell(Rested("a"))
    assert (await house.chunk()).job_id == "a"


async def test_a_job_whose_audio_is_gone_rests_and_the_engine_goes_on(house: House) -> None:
    for name in ("a", "b"):
        await house.submit(name)
        house.planned(name)
    house.me.tell(ModelReady("base", 1))
    await house.chunk()
    house.me.tell(ChunkFailed("a", 0, "lost", "the decoded audio is gone"))
    assert (await house.chunk()).job_id == "b", "the engine is the same"
    job = await house.job("a")
    assert (job.status, job.crashes) == (Status.RUNNING, 1)


async def test_a_cancelled_job_whose_audio_is_gone_stays_cancelled(house: House) -> None:
    await house.submit("a")
    house.planned("a")
    house.me.tell(ModelReady("base", 1))
    await house.chunk()
    await house.me.ask(Cancel("a"))
    house.me.tell(ChunkFailed("a", 0, "lost", "the decoded audio is gone"))
    await house.submit("b")
    assert (await house.job("a")).status is Status.CANCELLED


async def test_jobs_that_rest_take_no_place_of_those_that_are_decoded_ahead(house: House) -> None:
    for name in ("a", "b"):
        await house.submit(name)
        house.planned(name)
    house.me.tell(ModelReady("base", 1))
    for name in ("a", "b"):
        assert (await house.chunk()).job_id == name
        house.me.tell(ChunkFailed(name, 0, "crashed", "the engine crashed on this job"))
        house.me.tell(ModelReady("base", 1))
    await house.submit("c")
    await house.submit("d")
    assert house.chunker.told()[-2:] == [Split("c"), Split("d")]


@pytest.mark.usefixtures("no_rest")
async def test_three_crashes_on_one_chunk_end_the_job_and_its_neighbour_goes_on(
    house: House,
) -> None:
    for name in ("a", "b"):
        await house.submit(name)
        house.planned(name)
    for crash in range(MAX_CRASHES):
        house.me.tell(ModelReady("base", 1))
        assert (await house.chunk()).job_id == "a"
        house.me.tell(ChunkFailed("a", 0, "crashed", "the engine crashed on this job"))
        house.me.tell(ModelGone())
        await anyio.sleep(0.01)
        assert (await house.job("a")).crashes == crash + 1
    assert (await house.job("a")).error == "the engine crashed on this job, 3 times"
    house.me.tell(ModelReady("base", 1))
    assert (await house.chunk()).job_id == "b"


@pytest.mark.usefixtures("no_rest")
async def test_a_chunk_that_is_done_clears_the_crashes(house: House) -> None:
    await house.submit("a")
    house.planned("a", chunks=2)
    house.me.tell(ModelReady("base", 1))
    await house.chunk()
    house.me.tell(ChunkFailed("a", 0, "crashed", "crash"))
    house.me.tell(ModelReady("base", 1))
    house.done(await house.chunk())
    house.done(await house.chunk())
    assert (await house.job("a")).crashes == 0


async def test_jobs_fail_when_their_model_certainly_will_not_load(house: House) -> None:
    await house.submit("a")
    await house.submit("b", model="tiny")
    house.me.tell(ModelFailed("base", "no such file"))
    assert (await house.job("a")).error == "no such file"
    assert (await house.job("b")).status is Status.QUEUED


async def test_a_model_by_another_name_is_that_model_and_the_name_stays(house: House) -> None:
    job = await house.submit("a", model="large")
    house.planned("a")
    house.me.tell(ModelReady("large-v3", 1))
    await house.chunk()
    assert house.lifecycle.told()[-1] == Work("a", "large-v3")
    seen = await house.job("a")
    assert (job.order.model, seen.order.model, seen.model_used) == ("large", "large", "large-v3")


async def test_a_job_for_another_model_waits_for_it(house: House) -> None:
    await house.submit("a", model="tiny")
    house.planned("a")
    house.me.tell(ModelReady("base", 1))
    await house.job("a")
    assert house.inference.told() == []
    assert house.lifecycle.told()[-1] == Work("a", "tiny")
    house.me.tell(ModelReady("tiny", 2))
    chunk = await house.chunk()
    assert (chunk.job_id, chunk.load) == ("a", 2), "no other model may do it"


async def test_after_a_kill_the_next_chunk_is_the_first_that_was_not_committed(
    tmp_path: Path,
) -> None:
    async with living(tmp_path) as house:
        await house.submit("a", webhook_url="http://x/", webhook_format="native", model_events=True)
        await house.submit("b")
        house.planned("a", chunks=3)
        house.me.tell(ModelReady("base", 1))
        house.done(await house.chunk(), "one")
        await house.chunk()
    async with living(tmp_path) as house:
        house.me.tell(ModelReady("base", 1))
        chunk = await house.chunk()
        assert (chunk.job_id, chunk.ordinal) == ("a", 1)
        assert (await house.job("a")).crashes == 1
        assert house.chunker.told() == [Split("b")]


async def test_audio_that_is_gone_is_decoded_again_without_a_new_plan(tmp_path: Path) -> None:
    async with living(tmp_path) as house:
        house.done(await house.first_of_three("a"), "one")
        await house.job("a")
        house.spool.pcm("a").unlink()
    async with living(tmp_path) as house:
        house.me.tell(ModelReady("base", 1))
        assert await house.chunker.next() == Split("a")
        house.planned("a", chunks=3)
        assert (await house.chunk()).ordinal == 1


async def test_audio_that_is_cleared_away_between_two_chunks_is_decoded_again(
    tmp_path: Path,
) -> None:
    async with living(tmp_path) as house:
        first = await house.first_of_three("a")
        house.spool.pcm("a").unlink()
        house.chunker.told()
        house.done(first, "one")
        assert await house.chunker.next() == Split("a")
        house.planned("a", chunks=3)
        assert (await house.chunk()).ordinal == 1
        assert (await house.job("a")).crashes == 0


@pytest.mark.usefixtures("no_rest")
async def test_a_job_that_kills_the_server_three_times_is_given_up(tmp_path: Path) -> None:
    for _ in range(MAX_CRASHES):
        async with living(tmp_path) as house:
            if await house.jobs.get("a") is None:
                await house.submit("a")
                house.planned("a")
            house.me.tell(ModelReady("base", 1))
            await house.chunk()
    async with living(tmp_path) as house:
        job = await house.job("a")
        assert job.status is Status.FAILED
        assert job.error == "the server was ended while it worked on this job, 3 times"


async def test_the_end_of_the_server_is_charged_to_the_job_at_the_engine_alone(
    tmp_path: Path,
) -> None:
    async with living(tmp_path) as house:
        house.done(await house.first_of_three("a"), "one")
        await house.chunk()
        house.me.tell(ModelGone())
        await house.job("a")
    for _ in range(MAX_CRASHES):  # while the model loads, say
        async with living(tmp_path) as house:
            assert (await house.job("a")).crashes == 0
    async with living(tmp_path) as house:
        house.spool.pcm("a").write_bytes(b"x")
        assert (await house.job("a")).status is Status.RUNNING


async def test_a_drain_lets_the_chunk_finish_and_costs_the_job_nothing(tmp_path: Path) -> None:
    async with living(tmp_path) as house:
        await house.submit("a")
        house.planned("a", chunks=2)
        house.me.tell(ModelReady("base", 1))
        chunk = await house.chunk()
        house.me.tell(Drain())
        with pytest.raises(Busy, match="shutting down"):
            await house.submit("b")
        assert not house.drained.is_set()
        house.done(chunk, "one")
        await house.drained.wait()
        assert house.inference.told() == []
    async with living(tmp_path) as house:
        job = await house.job("a")
        assert (job.status, job.crashes, job.chunks_done) == (Status.QUEUED, 0, 1)


async def test_a_drain_in_a_hurry_aborts_the_chunk(house: House) -> None:
    await house.submit("a")
    house.planned("a")
    house.me.tell(ModelReady("base", 1))
    chunk = await house.chunk()
    house.me.tell(Drain(hurry=True))
    assert await house.inference.next() == AbortChunk("a")
    house.me.tell(ChunkFailed("a", chunk.ordinal, "aborted", "aborted"))
    await house.drained.wait()
    assert (await house.job("a")).crashes == 0


async def test_the_first_news_of_progress_comes_with_its_segments(house: House) -> None:
    await house.submit("a")
    house.planned("a", chunks=4)
    house.me.tell(ModelReady("base", 1))
    house.done(await house.chunk(), "one")
    progress = await house.facts.next(ChunkCommitted)
    assert (progress.percent, progress.chunks_done, progress.chunks_total) == (25, 1, 4)
    assert [s.text for s in progress.segments] == ["one"]


async def test_a_job_that_waits_between_its_chunks_gives_a_sign_of_life(house: House) -> None:
    await house.submit("a")
    house.planned("a", chunks=2)
    house.me.tell(ModelReady("base", 1))
    house.done(await house.chunk(), "one")
    before = await house.chunk()
    house.me.tell(ModelGone())
    house.me.tell(CheckStalled())
    waiting = await house.job("a")
    assert (waiting.status, waiting.stage_detail) == (Status.RUNNING, "waiting for the model")
    house.me.tell(ModelReady("base", 1))
    assert await house.chunk() == before
    house.done(before, "two")
    ended = await house.job("a")
    assert (ended.status, ended.stage_detail) == (Status.DONE, None)


async def test_a_rebuilt_chunker_is_told_again(house: House) -> None:
    await house.submit("a")
    assert await house.chunker.next() == Split("a")
    house.me.tell(SplitsLost())
    assert await house.chunker.next() == Split("a")


async def test_a_rebuilt_queue_blames_no_job(house: House) -> None:
    await house.submit("a")
    house.planned("a")
    house.me.tell(ModelReady("base", 1))
    await house.chunk()
    await house.queue().started()
    assert (await house.job("a")).crashes == 0


# Inputs that are to be fetched.


async def test_what_is_named_by_url_is_fetched_and_then_split(house: House) -> None:
    job = await house.me.ask(Submit("a", Order(source_url="http://x/a.mp3"), None))
    assert await house.ingest.next() == Fetch("a", "http://x/a.mp3")
    assert (await house.job("a")).stage is Stage.FETCHING
    assert house.lifecycle.told() == [Work(None)], "no model is loaded for a file that is not there"
    house.me.tell(Heartbeat("a", Stage.FETCHING, "fetched 1.0 of 2.0 MB"))
    assert (await house.job("a")).stage_detail == "fetched 1.0 of 2.0 MB"
    house.me.tell(Fetched("a", 10, "audio/mpeg", "a.mp3"))
    assert await house.chunker.next() == Split("a")
    fetched = await house.job("a")
    assert (fetched.size_bytes, fetched.stage, job.size_bytes) == (10, None, None)
    assert await house.lifecycle.next() == Work("a", "base")


async def test_a_fetch_that_fails_fails_its_job(house: House) -> None:
    await house.me.ask(Submit("a", Order(source_url="http://x/a.mp3"), None))
    house.me.tell(FetchFailed("a", "the source_url answered 404"))
    job = await house.job("a")
    assert (job.status, job.error) == (Status.FAILED, "the source_url answered 404")


async def test_so_many_files_are_fetched_at_once_and_fewer_of_one_owner(house: House) -> None:
    async with owners(house, 2):
        for n in range(4):
            await house.me.ask(Submit(f"a{n}", Order(source_url="http://x/", owner=1), None))
        assert [m.job_id for m in house.ingest.told()] == ["a0", "a1"]
        for n in range(2):
            await house.me.ask(Submit(f"b{n}", Order(source_url="http://x/", owner=2), None))
        assert [m.job_id for m in house.ingest.told()] == ["b0"]
        house.me.tell(FetchFailed("a1", "no"))
        assert (await house.ingest.next()).job_id in ("a2", "b1")


async def test_a_job_whose_last_chunk_was_committed_before_a_kill_is_done(
    house: House, tmp_path: Path
) -> None:
    await house.jobs.insert("a", Order(), 10, "")
    await house.jobs.plan("a", 1.0, [Chunk(ordinal=0, spans=(Span(0, 16_000),))])
    await house.jobs.start("a")
    await house.jobs.commit_chunk("a", 0, [])
    house.spool.pcm("a").touch()
    async with anyio.create_task_group() as group:
        group.start_soon(house.queue().run)
        assert await house.facts.next() == JobEnded("a", Order())
        group.cancel_scope.cancel()
    job = await house.jobs.get("a")
    assert job
    assert job.status is Status.DONE


async def test_a_model_that_cannot_be_loaded_now_holds_up_its_own_jobs_alone(house: House) -> None:
    for name, model in (("a", "huge"), ("b", None)):
        await house.submit(name, model=model)
        house.planned(name)
    await house.job("a")
    assert house.lifecycle.told()[-1] == Work("a", "huge")
    house.me.tell(ModelWaits("huge"))
    assert await house.lifecycle.next() == Work("b", "base")
    house.me.tell(ModelReady("base", 1))
    assert (await house.chunk()).job_id == "b"


async def test_a_fetch_is_told_again_to_an_ingest_that_was_rebuilt(house: House) -> None:
    await house.me.ask(Submit("a", Order(source_url="http://x/"), None))
    await house.ingest.next()
    house.me.tell(FetchesLost())
    assert await house.ingest.next() == Fetch("a", "http://x/")


async def test_a_cancelled_fetch_is_stopped_and_what_still_comes_is_dropped(house: House) -> None:
    await house.me.ask(Submit("a", Order(source_url="http://x/"), None))
    await house.me.ask(Cancel("a"))
    house.me.tell(Fetched("a", 10, None, None))
    assert (await house.job("a")).status is Status.CANCELLED
    assert house.ingest.told() == [Fetch("a", "http://x/"), StopFetch("a")]
    assert house.published(JobEnded, FetchedAfterEnd) == [
        JobEnded("a", Order(source_url="http://x/")),
        FetchedAfterEnd("a"),
    ]
    assert house.chunker.told() == []


async def test_a_fetch_and_a_decoding_that_stall_are_given_to_somebody_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.me.ask(Submit("a", Order(source_url="http://x/"), None))
    await house.submit("b")
    house.me.tell(CheckStalled())
    await house.job("a")
    assert len(house.ingest.told() + house.chunker.told()) == 2, "there is time"
    monkeypatch.setattr(preparation, "STALLED_S", -1.0)
    house.me.tell(CheckStalled())
    assert (await house.job("a")).crashes == 1
    assert house.ingest.told() == [StopFetch("a"), Fetch("a", "http://x/")]
    assert house.chunker.told() == [StopSplit("b"), Split("b")]
    for _ in range(MAX_CRASHES - 1):
        house.me.tell(CheckStalled())
    failed = await house.job("a")
    assert (failed.status, failed.error) == (
        Status.FAILED,
        "preparing the recording stalled, 3 times",
    )


# What people do with jobs.


async def failed(house: House, name: str, **order: Any) -> None:
    house.spool.input(name).touch()
    await house.submit(name, webhook_url="http://x/", webhook_format="f", **order)
    house.me.tell(SplitFailed(name, "broken"))
    await house.job(name)


async def test_a_failed_job_is_restarted_as_it_was_submitted(house: House) -> None:
    await failed(house, "a", language="de")
    house.chunker.told()
    again = await house.me.ask(Restart("a"))
    assert (again.status, again.order.language, again.error) == (Status.QUEUED, "de", None)
    assert house.chunker.told() == [Split("a")]
    house.planned("a")
    house.me.tell(ModelReady("base", 1))
    house.done(await house.chunk(), "text")
    assert (await house.job("a")).status is Status.DONE


async def test_a_restart_takes_back_what_was_not_yet_said(house: House) -> None:
    await failed(house, "a")
    deliveries = Deliveries(house.jobs._database)
    assert (
        len(await deliveries.due(2e9, exclude=[], exclude_origins=[], limit=10, per_origin=10)) == 1
    )
    await house.me.ask(Restart("a"))
    assert await deliveries.due(2e9, exclude=[], exclude_origins=[], limit=10, per_origin=10) == []
    house.me.tell(SplitFailed("a", "broken again"))
    await house.job("a")
    assert (
        len(await deliveries.due(2e9, exclude=[], exclude_origins=[], limit=10, per_origin=10)) == 1
    )


async def test_a_restart_needs_the_file_or_its_url(house: House) -> None:
    await failed(house, "a")
    house.spool.input("a").unlink()
    with pytest.raises(Conflict, match="no longer kept"):
        await house.me.ask(Restart("a"))
    await failed(house, "b", source_url="http://x/b.mp3")
    house.spool.input("b").unlink()
    assert (await house.me.ask(Restart("b"))).size_bytes is None
    assert await house.ingest.next() == Fetch("b", "http://x/b.mp3")


async def test_a_job_is_renamed_whatever_it_is_doing(house: House) -> None:
    await house.submit("a")
    assert (await house.me.ask(Rename("a", "A talk"))).order.label == "A talk"
    house.me.tell(SplitFailed("a", "broken"))
    failed_job = await house.job("a")
    assert (failed_job.status, failed_job.order.label) == (Status.FAILED, "A talk")
    assert (await house.me.ask(Rename("a", None))).order.label is None
    with pytest.raises(NotFound):
        await house.me.ask(Rename("no such job", "x"))


async def test_a_job_that_waits_stays_as_it_is_when_restarted(house: House) -> None:
    job = await house.submit("a")
    assert (await house.me.ask(Restart("a"))).number == job.number


async def test_a_job_that_is_kept_no_longer_is_deleted_unless_it_was_restarted(
    house: House,
) -> None:
    await failed(house, "a")
    await failed(house, "b")
    await house.me.ask(Restart("b"))
    for name in ("a", "b"):
        house.me.tell(JobExpired(name))
    await house.job("b")
    assert await house.jobs.get("a") is None
    assert house.published(JobDeleted) == [JobDeleted("a", None, "native")]


async def test_a_running_job_is_neither_restarted_nor_deleted(house: House) -> None:
    await house.submit("a")
    house.planned("a")
    house.me.tell(ModelReady("base", 1))
    await house.chunk()
    for question in (Restart("a"), Delete("a")):
        with pytest.raises(Conflict):
            await house.me.ask(question)


async def test_a_deleted_job_leaves_nothing(house: House) -> None:
    await house.submit("a")
    await house.me.ask(Delete("a"))
    assert await house.jobs.get("a") is None
    assert house.chunker.told() == [Split("a"), StopSplit("a")]
    assert house.published()[-1] == JobDeleted("a", None, "native")
    house.planned("a")
    await house.submit("b")
    assert (await house.job("b")).status is Status.QUEUED
    with pytest.raises(NotFound):
        await house.me.ask(Delete("a"))


async def test_more_jobs_of_one_owner_than_may_wait_are_refused(house: House) -> None:
    async with owners(house, 2):
        await house.me.ask(Submit("a", Order(owner=1), 10, max_open_jobs=1))
        with pytest.raises(OverQuota):
            await house.me.ask(Submit("b", Order(owner=1), 10, max_open_jobs=1))
        await house.me.ask(Submit("c", Order(owner=2), 10, max_open_jobs=1))
        await house.me.ask(Cancel("a"))
        await house.me.ask(Submit("d", Order(owner=1), 10, max_open_jobs=1))


async def test_two_owners_share_the_engine_chunk_by_chunk(house: House) -> None:
    async with owners(house, 2):
        for name, owner in (("a", 1), ("b", 1), ("c", 2)):
            await house.submit(name, owner=owner)
            house.planned(name, chunks=2)
        house.me.tell(ModelReady("base", 1))
        order = []
        for _ in range(6):
            chunk = await house.chunk()
            order.append(chunk.job_id)
            house.done(chunk, "text")
        assert order == ["a", "c", "a", "c", "b", "b"]


async def test_the_webhook_of_an_assisted_job_waits_for_its_texts(house: House) -> None:
    await house.submit("a", assisted=True, webhook_url="http://x/", webhook_format="f")
    house.planned("a")
    house.me.tell(ModelReady("base", 1))
    house.done(await house.chunk(), "text")
    await house.facts.next(JobEnded)
    assert (
        await Deliveries(house.jobs._database).due(
            2e9, exclude=[], exclude_origins=[], limit=10, per_origin=10
        )
        == []
    )


@asynccontextmanager
async def owners(house: House, count: int) -> AsyncIterator[None]:
    accounts = Accounts(house.jobs._database)
    for n in range(count):
        await accounts.add(f"{n}@x", "hash", admin=False, may=[], now="")
    yield


# Several chunks in flight.


async def test_the_engine_is_given_as_many_chunks_as_it_can_take(house: House) -> None:
    for name in ("a", "b"):
        await house.submit(name, language="en")
        house.planned(name, chunks=3)
    house.me.tell(ModelReady("base", 1, 4))
    assert await house.chunks(4) == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    house.says("a", 0)
    assert await house.chunks(1) == [("b", 1)]


async def test_short_jobs_of_several_owners_are_in_flight_together(house: House) -> None:
    async with owners(house, 2):
        for name, owner in (("a", 1), ("b", 2), ("c", 1)):
            await house.submit(name, owner=owner, language="en")
            house.planned(name, chunks=2)
        house.me.tell(ModelReady("base", 1, 4))
        assert await house.chunks(4) == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


async def test_an_engine_that_takes_several_chunks_hears_the_languages_of_all(
    house: House,
) -> None:
    await house.submit("a")
    house.planned("a", chunks=3)
    house.me.tell(ModelReady("base", 1, 2 * WINDOWS_PER_PLACE))
    assert await house.chunks(3) == [("a", 0), ("a", 1), ("a", 2)]


@given(st.permutations(range(5)))
@settings(max_examples=30, deadline=None)
def test_chunks_are_committed_in_order_in_whatever_order_they_are_done(order: list[int]) -> None:
    async def run() -> None:
        with TemporaryDirectory() as folder:
            async with living(Path(folder)) as house:
                await house.at_engine("a", chunks=5, capacity=5)
                done: set[int] = set()
                for ordinal in order:
                    house.says("a", ordinal)
                    done.add(ordinal)
                    job = await house.job("a")
                    assert job.chunks_done == next(n for n in range(6) if n not in done)
                assert job.status is Status.DONE
                texts = [(s.index, s.text) for s in await house.jobs.transcript(job)]
                assert texts == [(n, str(n)) for n in range(5)]
                committed = house.published(ChunkCommitted)
                assert [m.first_segment for m in committed] == list(range(5))
                house.facts.told()

    anyio.run(run)


async def test_of_several_chunks_in_a_crash_none_is_charged_and_each_is_tried_alone(
    house: House,
) -> None:
    for name in ("a", "b"):
        await house.submit(name, language="en")
        house.planned(name, chunks=1)
    house.me.tell(ModelReady("base", 1, 8))
    assert await house.chunks(2) == [("a", 0), ("b", 0)]
    house.crashes(("a", 0), ("b", 0))
    assert await house.chunks(1) == [("a", 0)]
    assert [(await house.job(name)).crashes for name in ("a", "b")] == [0, 0]
    house.crashes(("a", 0))
    assert await house.chunks(1) == [("b", 0)], "a rests, and b is still tried alone"
    assert [(await house.job(name)).crashes for name in ("a", "b")] == [1, 0]
    house.says("b", 0)
    assert (await house.job("b")).status is Status.DONE


async def test_a_job_shares_the_engine_again_when_the_chunks_of_the_crash_are_done(
    house: House,
) -> None:
    lost = await house.at_engine("a", chunks=6, capacity=2)
    house.crashes(*lost)
    for ordinal in (0, 1):
        assert await house.chunks(1) == [("a", ordinal)]
        house.says("a", ordinal)
    assert len(await house.chunks(4)) == 4


async def test_a_kill_with_several_jobs_in_flight_charges_none_and_tries_each_alone(
    tmp_path: Path,
) -> None:
    async with living(tmp_path) as house:
        for name in ("a", "b"):
            await house.submit(name, language="en")
            house.planned(name, chunks=1)
        house.me.tell(ModelReady("base", 1, 8))
        await house.chunks(2)
    async with living(tmp_path) as house:
        assert sorted(house.suspects) == ["a", "b"]
        house.me.tell(ModelReady("base", 1, 8))
        assert await house.chunks(1) == [("a", 0)]
    async with living(tmp_path) as house:
        assert [(await house.job(name)).crashes for name in ("a", "b")] == [1, 0]


async def test_the_engine_finishes_what_it_has_before_another_model_is_wanted(
    house: House,
) -> None:
    await house.submit("a", language="en")
    house.planned("a", chunks=2)
    await house.submit("b", model="tiny")
    house.planned("b")
    house.me.tell(ModelReady("base", 1, 8))
    await house.chunks(2)
    house.says("a", 0)
    await house.job("a")
    assert house.lifecycle.told()[-1] == Work("a", "base")
    house.says("a", 1)
    await house.job("a")
    assert house.lifecycle.told() == [Work("b", "tiny")]


async def test_a_cancelled_job_leaves_nothing_behind_that_waits_to_be_committed(
    house: House,
) -> None:
    await house.at_engine("a", chunks=3, capacity=2)
    house.says("a", 1)
    await house.me.ask(Cancel("a"))
    assert await house.inference.next() == AbortChunk("a")
    house.me.tell(ChunkFailed("a", 0, "aborted", "aborted"))
    await house.submit("b", language="en")
    house.planned("b", chunks=2)
    assert await house.chunks(2) == [("b", 0), ("b", 1)]


async def test_a_drain_waits_for_what_is_begun_and_asks_for_the_rest_back(house: House) -> None:
    await house.at_engine("a", chunks=3, capacity=3)
    house.me.tell(Drain())
    assert await house.inference.next() == GiveBack()
    house.me.tell(ChunkFailed("a", 2, "aborted", "aborted"))
    house.me.tell(ChunkFailed("a", 1, "aborted", "aborted"))
    house.says("a", 0)
    await house.drained.wait()
    job = await house.job("a")
    assert (job.status, job.crashes, job.chunks_done) == (Status.QUEUED, 0, 1)
