"""Engines that hang, crash, are stopped and are late, in virtual time, with the engine in hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import trio.testing

from actors.engine.evidence import compression_ratio
from actors.engine.inference import (
    ABORT_GRACE_S,
    HANG_S,
    LOAD_TIMEOUT_S,
    SHORTEST_HANG_S,
    SLOWER_BY,
    Inference,
)
from actors.engine.messages import (
    AbortChunk,
    ChunkDone,
    ChunkFailed,
    EngineEnded,
    EngineFailed,
    EngineReady,
    InferenceMessage,
    StartEngine,
    StopEngine,
    Transcribe,
)
from actors.engine.protocol import EngineSegment, Failed, Loaded, Result, Window
from actors.engine.worker import EngineError
from actors.kernel.mailbox import Mailbox
from storage.records import RATE, Evidence, Segment, Span
from tests.probe import Probe

pytestmark = pytest.mark.anyio

SPANS = (Span(10 * RATE, 12 * RATE), Span(50 * RATE, 55 * RATE))
LOADED = Loaded(1.0, HANG_S / SLOWER_BY, 1, "CPU", "a build")
CAPACITY = 2
"""Of an engine that decodes one window at once."""
CRASHED = "the engine crashed on this job"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Engine:
    """Loads as it is told to, and answers what the test has it answer."""

    def __init__(self, loads: Loaded | EngineError | None) -> None:
        self._loads = loads
        self._answers, self._hears = anyio.create_memory_object_stream[Result | Failed](10)
        self.loaded_with: tuple[str, bool, int] | None = None
        self.windows: list[Window] = []
        self._unanswered = (window.id for window in self.windows)
        self.aborted: list[int] = []
        self.given_back = 0
        self.may_load = anyio.Event()
        self.deaf = False
        """Its pipe is broken, which nobody has seen yet."""
        self.gone = False

    async def load(self, path: str, *, use_gpu: bool, threads: int) -> Loaded:
        self.loaded_with = path, use_gpu, threads
        if self._loads is None:
            await self.may_load.wait()
            return LOADED
        if isinstance(self._loads, EngineError):
            raise self._loads
        return self._loads

    async def transcribe(self, *windows: Window) -> None:
        if self.deaf:
            raise anyio.BrokenResourceError
        self.windows += windows

    async def abort(self, *ids: int) -> None:
        if self.deaf:
            raise anyio.BrokenResourceError
        self.aborted += ids

    async def give_back(self) -> None:
        self.given_back += 1

    async def receive(self) -> Result | Failed:
        return await self._hears.receive()

    def says(self, text: str = "Hello.", window: int | None = None) -> None:
        """The answer to the first window that has none, or to that one."""
        number = next(self._unanswered) if window is None else window
        self._answers.send_nowait(Result(number, (EngineSegment(text, 0.0, 1.0, "en", ()),), 0.1))

    def fails(self, kind: str) -> None:
        self._answers.send_nowait(Failed(next(self._unanswered), kind, f"it was {kind}"))

    def ends(self) -> None:
        self._answers.close()


@dataclass
class House:
    """Inference, the engines that it has begun, and everyone that it tells as a probe."""

    me: Mailbox[InferenceMessage] = field(default_factory=lambda: Mailbox("inference"))
    facts: Probe[Any] = field(default_factory=Probe)
    loads: Loaded | EngineError | None = LOADED
    """What comes of the next load; None: nothing until the engine may."""
    engines: list[Engine] = field(default_factory=list)

    @asynccontextmanager
    async def spawn(self, cuda_device: str | None) -> AsyncIterator[Engine]:
        engine = Engine(self.loads)
        self.engines.append(engine)
        try:
            yield engine
        finally:
            engine.gone = True

    async def told(self, *messages: InferenceMessage) -> list[Any]:
        """The facts that come of these messages, or of what has just happened."""
        for message in messages:
            self.me.tell(message)
        await anyio.wait_all_tasks_blocked()
        return self.facts.told()

    async def up(self, load: int = 1) -> Engine:
        """An engine that has loaded."""
        assert EngineReady(load, CAPACITY) in await self.told(StartEngine(load, Path("m.bin")))
        return self.engines[-1]

    async def at_work(self, *chunks: Transcribe) -> Engine:
        """An engine that has these chunks to do, or the first of job ``a``."""
        engine = await self.up()
        assert await self.told(*(chunks or (chunk(),))) == []
        assert len(engine.windows) == max(1, len(chunks))
        return engine


def chunk(job_id: str = "a", ordinal: int = 0, load: int = 1) -> Transcribe:
    return Transcribe(
        load, job_id, ordinal, Path(f"{job_id}.pcm"), SPANS, SPANS, language="en", history={},
        translate=False, prompt="Bob", words=True,
    )  # fmt: skip


def done(job_id: str = "a", ordinal: int = 0, text: str = "Hello.") -> ChunkDone:
    """What comes of `Engine.says`."""
    evidence = Evidence(
        avg_logprob=None,
        no_speech_prob=None,
        compression_ratio=compression_ratio(text),
        speech_share=1.0,
    )
    segment = Segment(index=0, start=10.0, end=11.0, text=text, language="en", evidence=evidence)
    return ChunkDone(job_id, ordinal, (segment,))


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    house = House()
    monkeypatch.setattr("actors.engine.inference.spawn", house.spawn)
    async with anyio.create_task_group() as group:
        actor = Inference(
            house.me, publish=house.facts.tell, use_gpu=True, cuda_device=None, threads=4
        )
        group.start_soon(actor.run)
        assert await house.told() == [EngineEnded(None, "crashed")], "one of before died with it"
        yield house
        group.cancel_scope.cancel()


async def test_an_engine_loads_what_it_is_told_to(house: House) -> None:
    assert await house.told(StartEngine(7, Path("m.bin"))) == [EngineReady(7, CAPACITY)]
    assert house.engines[0].loaded_with == ("m.bin", True, 4)


async def test_a_chunk_becomes_a_window_and_its_answer_the_chunks(house: House) -> None:
    engine = await house.at_work()
    assert engine.windows == [Window(1, "a.pcm", SPANS, SPANS, "en", {}, False, "Bob", True)]
    engine.says("Hello.")
    assert await house.told() == [done()]


async def test_a_chunk_that_comes_before_the_engine_is_up_waits_for_it(house: House) -> None:
    house.loads = None
    assert await house.told(StartEngine(1, Path("m.bin")), chunk()) == []
    (engine,) = house.engines
    engine.may_load.set()
    assert await house.told() == [EngineReady(1, CAPACITY)]
    await house.told(chunk())
    engine.says()
    assert await house.told() == [done()]
    assert len(engine.windows) == 1


async def test_a_chunk_for_a_model_that_is_gone_is_not_given_to_the_next(house: House) -> None:
    await house.up(load=1)
    house.loads = None
    late = chunk(load=1)
    await house.told(StartEngine(2, Path("other.bin")), late)
    engine = house.engines[-1]
    engine.may_load.set()
    assert await house.told() == [EngineReady(2, CAPACITY)]
    assert engine.windows == []
    assert await house.told(chunk(load=2)) == []
    assert len(engine.windows) == 1


async def test_chunks_go_to_the_engine_at_once_and_are_answered_in_any_order(house: House) -> None:
    engine = await house.at_work(chunk("a", 0), chunk("b", 0), chunk("a", 1))
    assert [w.id for w in engine.windows] == [1, 2, 3]
    for window, expected in ((2, done("b", 0)), (3, done("a", 1)), (1, done("a", 0))):
        engine.says(window=window)
        assert await house.told() == [expected]
    engine.says(window=2)
    assert await house.told() == [], "it has been answered"


async def test_an_engine_that_decodes_several_windows_at_once_can_be_given_twice_as_many(
    house: House,
) -> None:
    house.loads = Loaded(1.0, 1.0, 8, "CPU", "a build")
    assert await house.told(StartEngine(1, Path("m.bin"))) == [EngineReady(1, 16)]


async def test_a_chunk_that_is_told_twice_is_heard_once(house: House) -> None:
    at_hand, waiting = chunk("a", 0), chunk("a", 1)
    engine = await house.at_work(at_hand, waiting)
    await house.told(at_hand, waiting)
    for expected in (done("a", 0), done("a", 1)):
        engine.says()
        assert await house.told() == [expected]
    assert len(engine.windows) == 2


async def test_a_chunk_that_was_done_may_be_told_again(house: House) -> None:
    engine = await house.at_work()
    engine.says("once")
    assert await house.told() == [done(text="once")]
    await house.told(chunk())
    engine.says("again")
    assert await house.told() == [done(text="again")]


async def test_a_chunk_that_the_engine_fails_is_told_and_the_next_goes_on(house: House) -> None:
    engine = await house.at_work(chunk("a"), chunk("b"))
    engine.fails("engine")
    assert await house.told() == [ChunkFailed("a", 0, "engine", "it was engine")]
    engine.says()
    assert await house.told() == [done("b")]


async def test_an_engine_that_is_out_of_memory_loses_all_its_chunks_at_once(house: House) -> None:
    engine = await house.at_work(chunk("a"), chunk("b"))
    engine.fails("out_of_memory")
    engine.fails("out_of_memory")
    engine.ends()
    assert await house.told() == [
        ChunkFailed("a", 0, "out_of_memory", "it was out_of_memory", alone=False),
        ChunkFailed("b", 0, "out_of_memory", "it was out_of_memory", alone=False),
        EngineEnded(1, "crashed"),
    ]


async def test_an_engine_that_never_answers_is_ended_and_counts_as_crashed(house: House) -> None:
    engine = await house.at_work()
    await anyio.sleep(HANG_S - 1)
    assert (await house.told(), engine.gone) == ([], False)
    await anyio.sleep(2)
    assert await house.told() == [
        ChunkFailed("a", 0, "crashed", CRASHED),
        EngineEnded(1, "crashed"),
    ]
    assert engine.gone


async def test_each_chunk_has_the_whole_of_the_patience(house: House) -> None:
    engine = await house.at_work(chunk("a", 0), chunk("a", 1))
    for ordinal, patience_secs in enumerate((HANG_S, SHORTEST_HANG_S)):
        await anyio.sleep(patience_secs - 1)
        engine.says()
        assert await house.told() == [done("a", ordinal)]


@pytest.mark.parametrize(
    ("first_inference_secs", "patience_secs"),
    [(0.1, SHORTEST_HANG_S), (10.0, 1000.0), (1e6, HANG_S)],
)
async def test_a_fast_engine_is_waited_for_less_long(
    house: House, first_inference_secs: float, patience_secs: float
) -> None:
    house.loads = msgspec.structs.replace(LOADED, warm_up_secs=first_inference_secs)
    engine = await house.at_work()
    await anyio.sleep(patience_secs - 1)
    assert not engine.gone
    await anyio.sleep(2)
    assert engine.gone


async def test_an_engine_without_work_is_never_overdue(house: House) -> None:
    engine = await house.at_work()
    engine.says()
    await anyio.sleep(100 * HANG_S)
    assert (await house.told(), engine.gone) == ([done()], False)


async def test_a_load_that_takes_too_long_is_ended(house: House) -> None:
    house.loads = None
    assert await house.told(StartEngine(1, Path("m.bin"))) == []
    await anyio.sleep(LOAD_TIMEOUT_S - 1)
    assert (await house.told(), house.engines[0].gone) == ([], False)
    await anyio.sleep(2)
    assert await house.told() == [
        EngineFailed(1, "crashed", "the engine did not load within 600 s")
    ]
    assert house.engines[0].gone


@pytest.mark.parametrize("kind", ["invalid", "out_of_memory", "engine", "crashed"])
async def test_a_load_that_is_refused_is_told_with_its_kind(house: House, kind: str) -> None:
    house.loads = EngineError(kind, "the model did not load")
    assert await house.told(StartEngine(1, Path("m.bin"))) == [
        EngineFailed(1, kind, "the model did not load")
    ]
    assert house.engines[0].gone
    assert await house.told(StopEngine()) == [], "there is none to stop"


async def test_after_a_load_that_failed_the_next_is_as_the_first(house: House) -> None:
    house.loads = EngineError("out_of_memory", "cudaMalloc failed")
    await house.told(StartEngine(1, Path("m.bin")))
    house.loads = LOADED
    assert await house.told(StartEngine(2, Path("m.bin"))) == [EngineReady(2, CAPACITY)]


async def test_the_failure_of_a_load_that_is_not_wanted_any_more_is_ignored(house: House) -> None:
    engine = await house.up(load=2)
    assert await house.told(EngineFailed(1, "invalid", "late")) == []
    assert await house.told(chunk(load=2)) == []
    assert len(engine.windows) == 1


async def test_the_answer_to_an_earlier_window_is_ignored(house: House) -> None:
    engine = await house.at_work(chunk("a"), chunk("b"))
    engine.fails("aborted")
    assert await house.told() == [ChunkFailed("a", 0, "aborted", "it was aborted")]
    engine.says("late", window=1)
    assert await house.told() == []
    engine.says("Hello.")
    assert await house.told() == [done("b")]


async def test_the_answer_of_an_earlier_engine_is_ignored(house: House) -> None:
    earlier = await house.at_work()
    earlier.says("late")
    facts = await house.told(StartEngine(2, Path("m.bin")), chunk("b", load=2))
    assert facts == [ChunkFailed("a", 0, "killed", CRASHED), EngineReady(2, CAPACITY)]
    assert (earlier.gone, len(house.engines)) == (True, 2)
    assert await house.told(chunk("b", load=2)) == []
    house.engines[1].says()
    assert await house.told() == [done("b")]


async def test_an_abort_that_is_answered_leaves_the_engine_as_it_is(house: House) -> None:
    engine = await house.at_work(chunk("a"), chunk("b"))
    assert await house.told(AbortChunk("a")) == []
    await anyio.sleep(ABORT_GRACE_S / 2)
    engine.fails("aborted")
    assert await house.told() == [ChunkFailed("a", 0, "aborted", "it was aborted")]
    await anyio.sleep(10 * ABORT_GRACE_S)
    assert (await house.told(), engine.gone, engine.aborted) == ([], False, [1])
    engine.says()
    assert await house.told() == [done("b")]


async def test_an_engine_that_does_not_answer_an_abort_is_killed(house: House) -> None:
    engine = await house.at_work()
    await house.told(AbortChunk("a"))
    await anyio.sleep(0.9 * ABORT_GRACE_S)
    assert (await house.told(), engine.gone) == ([], False)
    await anyio.sleep(0.2 * ABORT_GRACE_S)
    assert await house.told() == [
        ChunkFailed("a", 0, "killed", CRASHED),
        EngineEnded(1, "killed"),
    ]
    assert engine.gone


async def test_a_result_in_spite_of_an_abort_is_a_result(house: House) -> None:
    engine = await house.at_work()
    await house.told(AbortChunk("a"))
    engine.says()
    assert await house.told() == [done()]
    await anyio.sleep(10 * ABORT_GRACE_S)
    assert (await house.told(), engine.gone) == ([], False)


async def test_an_abort_names_the_windows_of_one_job(house: House) -> None:
    engine = await house.at_work(chunk("a", 0), chunk("b", 0), chunk("a", 1))
    assert await house.told(AbortChunk("a"), AbortChunk("nobody")) == []
    assert engine.aborted == [1, 3]


async def test_a_batch_that_does_not_answer_an_abort_goes_on_for_the_others(house: House) -> None:
    engine = await house.at_work(chunk("a"), chunk("b"))
    await house.told(AbortChunk("a"))
    await anyio.sleep(1.1 * ABORT_GRACE_S)
    assert await house.told() == [ChunkFailed("a", 0, "aborted", "aborted")]
    engine.says(window=1)
    engine.says(window=2)
    assert await house.told() == [done("b")]
    assert not engine.gone


async def test_an_engine_that_was_killed_counts_as_crashed_the_next_time(house: House) -> None:
    await house.at_work()
    await house.told(AbortChunk("a"))
    await anyio.sleep(2 * ABORT_GRACE_S)
    await house.told()
    engine = await house.up(load=2)
    engine.ends()
    assert await house.told() == [EngineEnded(2, "crashed")]


async def test_a_stop_waits_for_the_chunk_at_hand_and_for_no_other(house: House) -> None:
    engine = await house.at_work(chunk("a", 0), chunk("a", 1))
    assert (await house.told(StopEngine()), engine.gone) == ([], False)
    assert engine.given_back == 1
    engine.says()
    engine.fails("aborted")
    assert await house.told() == [
        done(),
        ChunkFailed("a", 1, "aborted", "it was aborted"),
        EngineEnded(1, "stopped"),
    ]
    assert engine.gone


async def test_a_stop_without_work_is_immediate(house: House) -> None:
    engine = await house.up()
    assert await house.told(StopEngine()) == [EngineEnded(1, "stopped")]
    assert engine.gone


async def test_a_stop_ends_a_load(house: House) -> None:
    house.loads = None
    await house.told(StartEngine(1, Path("m.bin")))
    assert await house.told(StopEngine()) == [EngineEnded(1, "stopped")]
    assert house.engines[0].gone


async def test_a_start_takes_the_place_of_the_engine_that_runs(house: House) -> None:
    earlier = await house.at_work()
    facts = await house.told(StartEngine(2, Path("other.bin")))
    assert facts == [ChunkFailed("a", 0, "killed", CRASHED), EngineReady(2, CAPACITY)]
    assert (earlier.gone, house.engines[1].gone) == (True, False)
    await house.told(chunk("b", load=2))
    house.engines[1].says()
    assert await house.told() == [done("b")]


async def test_a_start_takes_the_place_of_a_load(house: House) -> None:
    house.loads = None
    await house.told(StartEngine(1, Path("m.bin")))
    house.loads = LOADED
    assert await house.told(StartEngine(2, Path("other.bin"))) == [EngineReady(2, CAPACITY)]
    assert [engine.gone for engine in house.engines] == [True, False]


async def test_a_start_after_a_stop_is_an_engine_that_goes_on(house: House) -> None:
    await house.up()
    await house.told(StopEngine())
    engine = await house.up(load=2)
    await house.told(chunk("a", 0, load=2), chunk("a", 1, load=2))
    engine.says()
    assert await house.told() == [done()]
    assert (engine.gone, len(engine.windows)) == (False, 2)


async def test_an_engine_that_ends_by_itself_has_crashed(house: House) -> None:
    engine = await house.up()
    engine.ends()
    assert await house.told() == [EngineEnded(1, "crashed")]


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
async def test_an_engine_that_ends_by_itself_takes_its_chunks_with_it(
    house: House, names: tuple[str, ...]
) -> None:
    engine = await house.at_work(*map(chunk, names))
    engine.ends()
    alone = len(names) == 1
    assert await house.told() == [
        *(ChunkFailed(name, 0, "crashed", CRASHED, alone) for name in names),
        EngineEnded(1, "crashed"),
    ]
    again = await house.up(load=2)
    assert await house.told(chunk("c", load=2)) == []
    assert [w.pcm for w in again.windows] == ["c.pcm"], "who wants the others must tell them again"


async def test_chunks_that_are_over_leave_no_timers_behind(house: House) -> None:
    engine = await house.up()
    before = len(anyio.get_running_tasks())
    for ordinal in range(20):
        await house.told(chunk("a", ordinal), AbortChunk("a"))
        engine.says()
        await house.told()
    assert len(anyio.get_running_tasks()) == before


async def test_an_answer_before_the_engines_end_counts(house: House) -> None:
    engine = await house.at_work()
    engine.says()
    engine.ends()
    assert await house.told() == [done(), EngineEnded(1, "crashed")]


async def test_a_pipe_that_has_just_broken_is_no_crash_of_ours(house: House) -> None:
    engine = await house.up()
    engine.deaf = True
    assert await house.told(chunk(), AbortChunk("a")) == []
    engine.ends()
    assert await house.told() == [
        ChunkFailed("a", 0, "crashed", CRASHED),
        EngineEnded(1, "crashed"),
    ]
