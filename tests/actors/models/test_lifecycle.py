"""The state machine in virtual time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

from actors.engine.messages import EngineEnded, EngineFailed, EngineReady, StartEngine, StopEngine
from actors.models.lifecycle import CRASHES, LAST_LOAD_RETRY_S, Lifecycle
from actors.models.messages import (
    LifecycleMessage,
    Loading,
    LoadModel,
    ModelChanged,
    ModelFailed,
    ModelGone,
    ModelLoaded,
    ModelReady,
    ModelState,
    ModelUnloaded,
    Ready,
    RequireReady,
    State,
    Unloaded,
    UnloadModel,
    WaitingForGpu,
    WeightsFound,
    WeightsMissing,
    WeightsPulled,
    Work,
)
from actors.models.settings import ModelSettings
from actors.models.vram import Vram
from storage.errors import NotReady
from tests.probe import Probe

pytestmark = pytest.mark.anyio

IDLE_S, POLL_S = 300, 30
BUSY, IDLE = Work("a"), Work(None)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class House:
    """The lifecycle, and everyone it tells as a probe."""

    me: Probe[LifecycleMessage] = field(default_factory=lambda: Probe("lifecycle"))
    inference: Probe[Any] = field(default_factory=Probe)
    queue: Probe[Any] = field(default_factory=Probe)
    broadcaster: Probe[Any] = field(default_factory=Probe)
    webhooks: Probe[Any] = field(default_factory=Probe)
    free_vram_mb: int | None = None
    weights: Callable[[int], LifecycleMessage | None] = lambda load: WeightsFound(
        load, Path("m.bin"), 1000
    )
    asked_for: list[str] = field(default_factory=list)
    loads: list[int] = field(default_factory=list)

    async def provision(self, name: str, load: int, tell: Callable[[Any], None]) -> None:
        self.asked_for.append(name)
        self.loads.append(load)
        if (found := self.weights(load)) is not None:
            tell(found)

    def publish(self, fact: object) -> None:
        match fact:
            case ModelChanged():
                self.broadcaster.tell(fact)
            case ModelLoaded() | ModelUnloaded():
                self.webhooks.tell(fact)
            case _:
                self.queue.tell(fact)

    def vram(self) -> Vram | None:
        free = self.free_vram_mb
        return None if free is None else Vram(8000, 8000 - free, free)

    async def state(self) -> ModelState:
        return await self.me.ask(State())

    def load_number(self) -> int:
        return self.loads[-1]

    async def engine_told(self) -> list[object]:
        await self.state()  # after this everything told before has been handled
        await anyio.wait_all_tasks_blocked()
        return self.inference.told()

    async def ready(self) -> Ready:
        """Load, with an engine that does as it is told."""
        await self.me.ask(LoadModel())
        load = (await self.inference.next(StartEngine)).load
        self.me.tell(EngineReady(load))
        state = await self.state()
        assert isinstance(state, Ready)
        return state

    def end_engine(self, reason: str = "stopped") -> None:
        self.me.tell(EngineEnded(None, reason))

    def events(self) -> list[str]:
        return [type(m.state).__name__ for m in self.broadcaster.told()]


@asynccontextmanager
async def _living(house: House, idle_secs: float = IDLE_S) -> AsyncIterator[House]:
    async with anyio.create_task_group() as group:
        group.start_soon(
            Lifecycle(
                house.me,
                inference=house.inference,
                publish=house.publish,
                provision=house.provision,
                vram=house.vram,
                default_model="base",
                settings=ModelSettings(idle_timeout_secs=idle_secs, gpu_poll_interval_secs=POLL_S),
            ).run
        )
        await house.state()
        for probe in (house.inference, house.queue, house.broadcaster):
            probe.told()
        yield house
        group.cancel_scope.cancel()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with _living(House()) as house:
        yield house


async def test_it_begins_unloaded(house: House) -> None:
    assert await house.state() == Unloaded()


async def test_a_submit_when_unloaded_is_refused_and_begins_a_load(house: House) -> None:
    with pytest.raises(NotReady) as refusal:
        await house.me.ask(RequireReady())
    assert (refusal.value.state, refusal.value.retry_after) == ("unloaded", 30)
    assert await house.state() == Loading("base")
    with pytest.raises(NotReady) as refusal:
        await house.me.ask(RequireReady())
    assert (refusal.value.state, refusal.value.retry_after) == ("loading", 10)


async def test_loads_are_idempotent(house: House) -> None:
    assert [await house.me.ask(LoadModel()) for _ in range(3)] == [False] * 3
    assert len(await house.engine_told()) == 1


async def test_a_loaded_model_is_announced_to_everyone(house: House) -> None:
    ready = await house.ready()
    assert await house.me.ask(LoadModel()) is True
    assert await house.me.ask(RequireReady()) is None
    assert house.queue.told() == [ModelReady("base", house.load_number())]
    assert house.webhooks.told() == [ModelLoaded(ready.loaded_at)]
    assert house.events() == ["Loading", "Ready"]


async def test_a_download_shows_how_far_it_is(house: House) -> None:
    house.weights = lambda load: WeightsPulled(load, 250, 1000)
    await house.me.ask(LoadModel())
    await house.engine_told()
    assert await house.state() == Loading("base", 0.25)


async def test_too_little_vram_waits_and_tries_again_for_ever(house: House) -> None:
    house.free_vram_mb = 400
    await house.me.ask(LoadModel())
    assert await house.engine_told() == []
    assert await house.state() == WaitingForGpu("base", 1000, 400, POLL_S)
    with pytest.raises(NotReady) as refusal:
        await house.me.ask(RequireReady())
    assert (refusal.value.state, refusal.value.retry_after) == ("waiting_for_gpu", POLL_S)
    await anyio.sleep(100 * POLL_S)
    assert await house.engine_told() == []
    house.free_vram_mb = 4000
    await anyio.sleep(POLL_S + 1)
    assert [type(m) for m in await house.engine_told()] == [StartEngine]


async def test_out_of_memory_during_the_load_waits_too(house: House) -> None:
    house.free_vram_mb = 4000
    await house.me.ask(LoadModel())
    load = (await house.inference.next(StartEngine)).load
    house.me.tell(EngineFailed(load, "out_of_memory", "cudaMalloc failed"))
    assert await house.state() == WaitingForGpu("base", 1000, 4000, POLL_S)


async def test_an_unload_ends_the_waiting(house: House) -> None:
    house.free_vram_mb = 0
    await house.me.ask(LoadModel())
    await house.engine_told()
    await house.me.ask(UnloadModel())
    assert await house.state() == Unloaded()
    house.free_vram_mb = 9000
    await anyio.sleep(10 * POLL_S)
    assert StartEngine not in [type(m) for m in await house.engine_told()]


async def test_an_unload_ends_a_load_and_its_late_success_is_ignored(house: House) -> None:
    await house.me.ask(LoadModel())
    load = (await house.inference.next(StartEngine)).load
    await house.me.ask(UnloadModel())
    house.me.tell(EngineReady(load))
    assert await house.state() == Unloaded()


async def test_an_unload_waits_for_the_engine_to_end(house: House) -> None:
    await house.ready()
    await house.me.ask(UnloadModel())
    assert await house.engine_told() == [StopEngine()]
    assert isinstance(await house.state(), Ready)
    house.end_engine()
    assert await house.state() == Unloaded()
    assert house.webhooks.told()[-1] == ModelUnloaded()
    assert ModelGone() in house.queue.told()


async def test_the_idle_timer_unloads_after_the_last_use(house: House) -> None:
    await house.ready()
    await anyio.sleep(IDLE_S - 1)
    await house.me.ask(RequireReady())
    await anyio.sleep(IDLE_S - 1)
    assert await house.engine_told() == []
    await anyio.sleep(2)
    assert await house.engine_told() == [StopEngine()]


async def test_the_idle_timer_never_runs_while_a_job_does(house: House) -> None:
    await house.ready()
    house.me.tell(BUSY)
    await anyio.sleep(10 * IDLE_S)
    assert await house.engine_told() == []
    house.me.tell(IDLE)
    await anyio.sleep(IDLE_S + 1)
    assert await house.engine_told() == [StopEngine()]


async def test_work_that_comes_while_an_idle_model_unloads_loads_it_again_at_once(
    house: House,
) -> None:
    await house.ready()
    await anyio.sleep(IDLE_S + 1)
    assert await house.engine_told() == [StopEngine()]
    house.me.tell(BUSY)
    house.end_engine()
    assert [type(m) for m in await house.engine_told()] == [StartEngine]


async def test_an_idle_time_of_zero_is_never() -> None:
    async with _living(House(), idle_secs=0) as house:
        await house.ready()
        await anyio.sleep(1e6)
        assert await house.engine_told() == []


async def test_work_found_at_start_begins_a_load(house: House) -> None:
    house.me.tell(BUSY)
    assert [type(m) for m in await house.engine_told()] == [StartEngine]


async def test_after_an_unload_waiting_work_tries_again_after_one_poll_interval(
    house: House,
) -> None:
    await house.ready()
    house.me.tell(BUSY)
    await house.me.ask(UnloadModel())
    house.end_engine()
    house.me.tell(BUSY)
    await anyio.sleep(POLL_S - 1)
    assert await house.engine_told() == [StopEngine()]
    await anyio.sleep(2)
    assert [type(m) for m in await house.engine_told()] == [StartEngine]


async def test_work_for_another_model_swaps(house: House) -> None:
    await house.ready()
    house.me.tell(Work("a", "tiny"))
    assert await house.engine_told() == [StopEngine()]
    house.end_engine()
    await house.engine_told()
    assert await house.state() == Loading("tiny")
    assert house.asked_for == ["base", "tiny"]


async def test_a_load_that_can_never_succeed_says_so_and_does_not_loop(house: House) -> None:
    house.weights = lambda load: WeightsMissing(load, "no such file", True)
    house.me.tell(BUSY)
    await anyio.sleep(100 * LAST_LOAD_RETRY_S)
    assert await house.state() == Unloaded("no such file")
    assert house.asked_for == ["base"]
    assert ModelFailed("base", "no such file") in house.queue.told()
    assert house.broadcaster.told()[-1] == ModelChanged(Unloaded("no such file"))


async def test_a_load_that_may_succeed_later_is_tried_again_slowly_while_work_waits(
    house: House,
) -> None:
    house.weights = lambda load: WeightsMissing(load, "no network", False)
    house.me.tell(BUSY)
    await anyio.sleep(16)  # 5 s, then 10 s
    assert house.asked_for == ["base"] * 3
    await anyio.sleep(20 + 40 + 80 + 160 + 2 * LAST_LOAD_RETRY_S)
    assert len(house.asked_for) == 9
    assert [m for m in house.queue.told() if isinstance(m, ModelFailed)] == []
    house.me.tell(IDLE)
    await anyio.sleep(100 * LAST_LOAD_RETRY_S)
    assert len(house.asked_for) == 9


async def test_weights_that_come_back_are_loaded_by_themselves(house: House) -> None:
    """A disk that was not mounted for a moment."""
    house.weights = lambda load: WeightsMissing(load, "no such file", False)
    house.me.tell(BUSY)
    await anyio.sleep(1)
    assert await house.state() == Unloaded("no such file")
    house.weights = lambda load: WeightsFound(load, Path("m.bin"), 1000)
    await anyio.sleep(6)
    load = (await house.inference.next(StartEngine)).load
    house.me.tell(EngineReady(load))
    assert isinstance(await house.state(), Ready)


async def test_after_a_failed_load_work_for_another_model_gets_its_own(house: House) -> None:
    house.weights = lambda load: None
    await house.me.ask(LoadModel())
    house.me.tell(Work("a", "tiny"))
    await house.engine_told()
    house.weights = lambda load: WeightsFound(load, Path("m.bin"), 1000)
    house.me.tell(WeightsMissing(house.load_number(), "no network", False))
    assert [type(m) for m in await house.engine_told()] == [StartEngine]
    assert house.asked_for == ["base", "tiny"]


async def test_a_model_that_is_larger_than_the_gpu_fails_for_certain(house: House) -> None:
    house.free_vram_mb = 8000
    house.weights = lambda load: WeightsFound(load, Path("m.bin"), 9000)
    house.me.tell(BUSY)
    await house.engine_told()
    state = await house.state()
    assert isinstance(state, Unloaded)
    assert state.problem == "base needs 9000 MiB of VRAM, but the GPU has 8000 MiB in all"
    assert ModelFailed("base", state.problem) in house.queue.told()


async def test_an_estimate_just_above_the_whole_gpu_is_tried_once_that_is_empty(
    house: House,
) -> None:
    house.free_vram_mb = 6000
    house.weights = lambda load: WeightsFound(load, Path("m.bin"), 8400)
    house.me.tell(BUSY)
    await house.engine_told()
    assert isinstance(await house.state(), WaitingForGpu)
    house.free_vram_mb = 7900
    await anyio.sleep(POLL_S + 1)
    assert StartEngine(house.loads[-1], Path("m.bin")) in house.inference.told()


async def test_waiting_for_the_gpu_ends_when_the_work_wants_another_model(house: House) -> None:
    house.free_vram_mb = 400
    house.me.tell(Work("a", "large"))
    await house.engine_told()
    assert isinstance(await house.state(), WaitingForGpu)
    house.weights = lambda load: WeightsFound(load, Path("m.bin"), 100)
    house.me.tell(Work("b", "tiny"))
    assert [type(m) for m in await house.engine_told()] == [StartEngine]


async def test_a_timer_that_is_started_anew_leaves_nothing_behind(house: House) -> None:
    await house.ready()
    before = len(anyio.get_running_tasks())
    for _ in range(100):
        await house.me.ask(RequireReady())
    await anyio.wait_all_tasks_blocked()
    assert len(anyio.get_running_tasks()) == before


async def test_after_a_failed_load_the_next_submit_tries_once_more(house: House) -> None:
    house.weights = lambda load: WeightsMissing(load, "no such file", True)
    await house.me.ask(LoadModel())
    await house.engine_told()
    with pytest.raises(NotReady):
        await house.me.ask(RequireReady())
    await house.engine_told()
    assert house.asked_for == ["base", "base"]


async def test_after_a_failed_load_new_work_tries_once_more(house: House) -> None:
    house.weights = lambda load: WeightsMissing(load, "no such file", True)
    for work in (BUSY, IDLE, BUSY):
        house.me.tell(work)
        await house.engine_told()
    assert house.asked_for == ["base", "base"]


async def test_a_crash_during_work_loads_again_with_back_off_and_then_gives_up(
    house: House,
) -> None:
    await house.ready()
    house.me.tell(BUSY)
    for _ in range(CRASHES):
        house.end_engine("crashed")
        load = (await house.inference.next(StartEngine, within=100)).load
        house.me.tell(EngineReady(load))
        await house.state()
    house.end_engine("crashed")
    await anyio.sleep(LAST_LOAD_RETRY_S - 1)
    assert await house.engine_told() == []
    state = await house.state()
    assert isinstance(state, Unloaded)
    assert "in a row" in (state.problem or "")
    house.me.tell(Work("its neighbour"))
    assert [type(m) for m in await house.engine_told()] == [StartEngine]


async def test_an_engine_killed_for_a_cancel_comes_back_at_once(house: House) -> None:
    await house.ready()
    house.me.tell(BUSY)
    house.end_engine("killed")
    assert [type(m) for m in await house.engine_told()] == [StartEngine]


async def test_a_submit_while_stopping_is_refused_and_loads_again(house: House) -> None:
    await house.ready()
    await house.me.ask(UnloadModel())
    with pytest.raises(NotReady):
        await house.me.ask(RequireReady())
    house.end_engine()
    assert await house.state() == Loading("base")
