"""The actor that decides which model is loaded and when.

It is a state machine: unloaded, loading, waiting for the GPU, ready. It only decides; the inference
actor starts and stops the engine. Each load has a number, and messages that belong to an earlier
load are ignored.
"""

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import assert_never

import anyio

from actors.engine.messages import (
    EngineEnded,
    EngineFailed,
    EngineReady,
    InferenceMessage,
    StartEngine,
    StopEngine,
)
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Address, Mailbox
from actors.kernel.publisher import Publish
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
    ModelWaits,
    Ready,
    RequireReady,
    State,
    TimerRang,
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
from storage.times import utc

log = logging.getLogger(__name__)

RETRY_AFTER_UNLOADED_S = 30
RETRY_AFTER_LOADING_S = 10
"""Seconds that an answer 503 tells the client to wait, by state; see the native guide, section
4.2."""
ESTIMATE_ERROR = 0.1
"""The memory that a model needs is only estimated (see `actors.models.weights`). A model is refused
as too large only if the estimate exceeds the GPU's whole memory by more than this share."""
CRASHES = 5
CRASH_WINDOW_S = 300.0
LONGEST_PAUSE_S = 60.0
FIRST_LOAD_RETRY_S, LAST_LOAD_RETRY_S = 5.0, 300.0
"""Seconds before a load that failed but may succeed later (its file is not there, or there is no
network) is tried again while jobs wait; the pause doubles each time."""

Provision = Callable[[str, int, Callable[[LifecycleMessage], None]], Awaitable[None]]
"""Finds a model's file and downloads it if it is not there. The arguments are the model's name, the
load's number, and the function that is told the outcome."""


class Lifecycle(Actor[LifecycleMessage]):
    def __init__(
        self,
        mailbox: Mailbox[LifecycleMessage],
        *,
        inference: Address[InferenceMessage],
        publish: Publish,
        provision: Provision,
        vram: Callable[[], Vram | None],
        default_model: str,
        settings: ModelSettings,
    ) -> None:
        """``vram`` returns the GPU's memory; None if no GPU is used."""
        super().__init__(mailbox)
        self._inference, self._publish = inference, publish
        self._provision, self._vram = provision, vram
        self._default_model = default_model
        self._idle_secs = settings.idle_timeout_secs
        self._poll_secs = settings.gpu_poll_interval_secs
        self._state: ModelState = Unloaded()
        self._load = 0
        self._provisioning = anyio.CancelScope()
        self._memory_mb = 0
        self._capacity = 1
        self._work = Work(None)
        self._stopping = False
        self._unload_requested = False
        """A client asked for the unload: jobs that wait do not load the model again at once."""
        self._next_model: str | None = None
        """The model to load once the engine has stopped."""
        self._crashes: deque[float] = deque()
        self._failed_loads, self._failed_model = 0, ""
        """How many loads of that model in a row have failed for a reason that may pass."""
        self._timers: dict[str, tuple[int, anyio.CancelScope]] = {}
        self._generation = 0

    async def started(self) -> None:
        # If this actor has crashed, an engine that it started may still run: stop it.
        self._inference.tell(StopEngine())
        self._publish(ModelGone())
        self._publish(ModelChanged(self._state))

    async def handle(self, message: LifecycleMessage) -> object:
        match message:
            case RequireReady():
                return self._require_ready()
            case State():
                return self._state
            case LoadModel():
                return self._load_asked_for()
            case UnloadModel():
                return self._unload_asked_for()
            case Work():
                return self._work_changed(message)
            case WeightsPulled():
                return self._weights_pulled(message)
            case WeightsFound():
                return self._weights_found(message)
            case WeightsMissing():
                return self._weights_missing(message)
            case EngineReady():
                return self._engine_ready(message)
            case EngineFailed():
                return self._engine_failed(message)
            case EngineEnded():
                return self._engine_ended(message)
            case TimerRang():
                return self._timer_rang(message)
            case _:
                assert_never(message)

    def _require_ready(self) -> None:
        match self._state:
            case Ready() if not self._stopping:
                self._restart_idle_timer()
            case Ready():
                self._next_model = self._next_model or self._default_model
                raise NotReady("unloaded", RETRY_AFTER_UNLOADED_S)
            case Unloaded():
                self._begin_load(self._default_model)
                raise NotReady("unloaded", RETRY_AFTER_UNLOADED_S)
            case Loading():
                raise NotReady("loading", RETRY_AFTER_LOADING_S)
            case WaitingForGpu():
                raise NotReady("waiting_for_gpu", self._poll_secs)

    def _load_asked_for(self) -> bool:
        match self._state:
            case Ready() if not self._stopping:
                self._restart_idle_timer()
                return True
            case Ready():
                self._next_model = self._next_model or self._default_model
            case Unloaded() | WaitingForGpu():
                self._begin_load(self._default_model)
            case Loading():
                pass
        return False

    def _unload_asked_for(self) -> None:
        self._next_model = None
        match self._state:
            case Ready():
                self._unload_requested = True
                self._stop_engine()
            case Loading() | WaitingForGpu():
                self._provisioning.cancel()
                self._load = 0
                self._inference.tell(StopEngine())
                self._set_state(Unloaded())
                self._pause_then_resume_work()
            case Unloaded():
                pass

    def _work_changed(self, work: Work) -> None:
        news = work != self._work
        if work.job_id != self._work.job_id:
            self._crashes.clear()  # the job that crashed the engine may have ended
        self._work = work
        if not work.waiting:
            self._restart_idle_timer()
            return
        self._stop_timer("idle")
        wanted = self._wanted()
        match self._state:
            case Unloaded(problem) if news or not (problem or "resume" in self._timers):
                self._begin_load(wanted)
            case WaitingForGpu(model=model) if model != wanted:
                self._begin_load(wanted)
            case Ready(model=loaded) if loaded != wanted:
                self._next_model = wanted
                self._stop_engine()
            case Ready(model=loaded) if not self._stopping:
                # The queue may have been restarted since.
                self._publish(ModelReady(loaded, self._load, self._capacity))

    def _weights_pulled(self, message: WeightsPulled) -> None:
        if message.load == self._load and isinstance(self._state, Loading):
            model, before, now = self._state.model, self._state.pulled, message.done / message.total
            if before is None or int(10 * now) > int(10 * before):
                log.info("downloading %s: %.0f %% of %d MiB", model, 100 * now, message.total >> 20)
            self._set_state(Loading(model, round(now, 3)))

    def _weights_found(self, message: WeightsFound) -> None:
        if message.load != self._load or not isinstance(self._state, Loading):
            return
        self._memory_mb = message.memory_mb
        vram, model = self._vram(), self._state.model
        if vram is not None and vram.total_mb * (1 + ESTIMATE_ERROR) < message.memory_mb:
            problem = (
                f"{model} needs {message.memory_mb} MiB of VRAM, but the GPU has "
                f"{vram.total_mb} MiB in all"
            )
            self._give_up(problem, certain=True)
            return
        # If a model may need the GPU's whole memory, it is tried as soon as nearly all is free.
        if vram is not None and vram.free_mb < min(
            message.memory_mb, vram.total_mb * (1 - ESTIMATE_ERROR)
        ):
            self._wait_for_gpu(model, vram.free_mb)
            return
        self._inference.tell(StartEngine(message.load, message.path))

    def _weights_missing(self, message: WeightsMissing) -> None:
        if message.load == self._load and isinstance(self._state, Loading):
            self._give_up(message.problem, certain=message.certain)

    def _engine_ready(self, message: EngineReady) -> None:
        if message.load != self._load or not isinstance(self._state, Loading):
            return
        self._failed_loads = 0
        ready = Ready(self._state.model, utc(time.time()))
        self._set_state(ready)
        self._capacity = message.capacity
        self._publish(ModelReady(ready.model, self._load, self._capacity))
        self._publish(ModelLoaded(ready.loaded_at))
        if self._work.waiting:
            self._work_changed(self._work)
        else:
            self._restart_idle_timer()

    def _engine_failed(self, message: EngineFailed) -> None:
        if message.load != self._load or not isinstance(self._state, Loading):
            return
        vram = self._vram()
        if message.kind == "out_of_memory" and vram is not None:
            self._wait_for_gpu(self._state.model, vram.free_mb)
        elif message.kind == "crashed":
            self._engine_crashed(message.problem)
        else:
            self._give_up(message.problem, certain=message.kind == "invalid")

    def _engine_ended(self, message: EngineEnded) -> None:
        if message.load not in (self._load, None):
            return
        if isinstance(self._state, Loading):
            self._engine_crashed("the engine ended while it loaded")
        if not isinstance(self._state, Ready):
            return
        expected = self._stopping or message.reason == "killed"
        paused, following = self._unload_requested, self._next_model
        self._stopping, self._unload_requested, self._next_model = False, False, None
        self._set_state(Unloaded())
        self._publish(ModelGone())
        self._publish(ModelUnloaded())
        if following is not None:
            self._begin_load(following)
        elif paused:
            self._pause_then_resume_work()
        elif expected:
            self._work_changed(self._work)
        else:
            self._engine_crashed("the engine ended while it worked")

    def _timer_rang(self, message: TimerRang) -> None:
        if self._timers.get(message.timer, (0,))[0] != message.generation:
            return
        del self._timers[message.timer]
        match message.timer, self._state:
            case "idle", Ready() if not self._work.waiting:
                log.info("the model was idle for %g s: unloading", self._idle_secs)
                self._stop_engine()
            case "retry", WaitingForGpu(model=model):
                self._begin_load(self._wanted() if self._work.waiting else model)
            case "resume", Unloaded() if self._work.waiting:
                self._begin_load(self._wanted())

    # Steps that several of the handlers above use.

    def _wanted(self) -> str:
        return self._work.model or self._default_model

    def _begin_load(self, model: str) -> None:
        self._stop_timer("retry")
        self._stop_timer("resume")
        self._load = time.monotonic_ns()  # unique, even if this actor has been rebuilt
        self._set_state(Loading(model))
        self._provisioning = self.spawn(self._provision, model, self._load, self.me.tell)

    def _stop_engine(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._stop_timer("idle")
            self._inference.tell(StopEngine())

    def _wait_for_gpu(self, model: str, free_mb: int) -> None:
        self._set_state(WaitingForGpu(model, self._memory_mb, free_mb, self._poll_secs))
        self._publish(ModelWaits(model))
        self._start_timer("retry", self._poll_secs)

    def _pause_then_resume_work(self) -> None:
        """After a client's unload, wait for one poll interval before loading for waiting jobs.

        A client that unloads the model usually needs the VRAM for another program. The pause gives
        that program time to take it; the load then waits until the GPU has enough memory again.
        """
        if self._work.waiting:
            self._start_timer("resume", self._poll_secs)

    def _engine_crashed(self, problem: str) -> None:
        now = anyio.current_time()
        self._crashes.append(now)
        while self._crashes[0] < now - CRASH_WINDOW_S:
            self._crashes.popleft()
        if len(self._crashes) > CRASHES:
            self._give_up(
                f"{problem}, {len(self._crashes)} times in a row",
                certain=False,
                pause=LAST_LOAD_RETRY_S,
            )
            return
        log.warning("%s", problem)
        self._set_state(Unloaded(problem))
        pause = min(LONGEST_PAUSE_S, 2.0 ** (len(self._crashes) - 1))
        self._start_timer("resume", pause)

    def _give_up(self, problem: str, *, certain: bool, pause: float | None = None) -> None:
        """``pause``: seconds before the load is tried again; None: longer each time."""
        model = self._state.model if isinstance(self._state, Loading) else self._default_model
        log.error("cannot load %s: %s", model, problem)
        self._set_state(Unloaded(problem))
        if certain:
            self._publish(ModelFailed(model, problem))
        elif self._work.waiting and self._wanted() != model:
            self._begin_load(self._wanted())
        elif self._work.waiting:
            if pause is None:
                self._failed_loads = self._failed_loads + 1 if model == self._failed_model else 1
                self._failed_model = model
                doublings = min(self._failed_loads - 1, 10)  # more would overflow after some days
                pause = min(LAST_LOAD_RETRY_S, FIRST_LOAD_RETRY_S * 2.0**doublings)
            self._start_timer("resume", pause)
            self._publish(ModelWaits(model))

    def _restart_idle_timer(self) -> None:
        self._stop_timer("idle")
        if self._idle_secs and not self._work.waiting and isinstance(self._state, Ready):
            self._start_timer("idle", self._idle_secs)

    def _start_timer(self, timer: str, seconds: float) -> None:
        self._stop_timer(timer)
        self._generation += 1
        scope = self.later(seconds, TimerRang(timer, self._generation))
        self._timers[timer] = (self._generation, scope)

    def _stop_timer(self, timer: str) -> None:
        if started := self._timers.pop(timer, None):
            started[1].cancel()

    def _set_state(self, state: ModelState) -> None:
        """Set the state and publish it. The state is changed only here."""
        if type(state) is not type(self._state):
            log.info("model: %s", state)
        self._state = state
        self._publish(ModelChanged(state))
