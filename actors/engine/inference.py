"""The only actor that uses the engine. The chunks for the GPU wait in its mailbox."""

import logging
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import assert_never

import anyio
import msgspec

from actors.engine import metrics
from actors.engine.messages import (
    WINDOWS_PER_PLACE,
    AbortChunk,
    ChunkDone,
    ChunkFailed,
    EngineAnswered,
    EngineDown,
    EngineEnded,
    EngineFailed,
    EngineReady,
    EngineUp,
    GiveBack,
    InferenceMessage,
    Overdue,
    StartEngine,
    StopEngine,
    Transcribe,
)
from actors.engine.protocol import Failed, Loaded, Result, Window
from actors.engine.transcript import segments_of
from actors.engine.worker import EngineError, EngineWorker, spawn
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.publisher import Publish
from storage.records import RATE

log = logging.getLogger(__name__)

ABORT_GRACE_S = 0.8
"""How long the engine may take to obey an abort before it is killed. whisper.cpp asks its abort
callback only after each encode and each step, which takes seconds on a slow CPU. A cancel is to
take less than a second, and killing the engine needs the rest of that second."""

LOAD_TIMEOUT_S = 600.0
SHORTEST_HANG_S, HANG_S = 60.0, 1800.0
"""Seconds after which an engine that does not answer is taken to hang: between these two, and
SLOWER_BY times the slowest window that it has done. All the temperatures of a fallback take about
as long as 15 windows without one."""
SLOWER_BY = 20
SLOWER_THAN_SILENCE_BY = 100
"""As SLOWER_BY, for the first window, when only the engine's warm-up with silence is known."""


class Inference(Actor[InferenceMessage]):
    def __init__(
        self,
        mailbox: Mailbox[InferenceMessage],
        *,
        publish: Publish,
        use_gpu: bool,
        cuda_device: str | None,
        threads: int,
    ) -> None:
        super().__init__(mailbox)
        self._publish = publish
        self._use_gpu, self._cuda_device, self._threads = use_gpu, cuda_device, threads
        self._load = 0
        self._engine_task: anyio.CancelScope | None = None
        self._engine: EngineWorker | None = None
        self._in_flight: dict[int, Transcribe] = {}
        """The chunks that the engine has, by the ids of their windows."""
        self._waiting: list[Transcribe] = []
        """Chunks for the engine that is still loading."""
        self._window_id = 0
        self._batch = 1
        self._answer_timer = anyio.CancelScope()
        self._abort_timers: dict[tuple[int, ...], anyio.CancelScope] = {}
        """By the windows that are aborted."""
        self._patience_secs = HANG_S
        """After so many seconds without an answer, the engine that is loaded is taken to hang."""
        self._slowest_secs = 0.0
        """The longest window that it has done."""
        self._stopping = False
        self._killed = False

    async def started(self) -> None:
        # If an earlier instance of this actor had an engine, it ended together with that instance.
        self._publish(EngineEnded(None, "crashed"))

    async def handle(self, message: InferenceMessage) -> object:
        match message:
            case StartEngine():
                return self._start(message)
            case StopEngine():
                return await self._stop()
            case GiveBack():
                return await self._give_back()
            case Transcribe():
                return await self._transcribe(message)
            case AbortChunk(job_id):
                return await self._abort(job_id)
            case EngineUp():
                return self._engine_up(message)
            case EngineFailed():
                return self._failed(message)
            case EngineAnswered(answer):
                return self._answered(answer)
            case EngineDown(load):
                return self._engine_down(load)
            case Overdue():
                return self._overdue(message)
            case _:
                assert_never(message)

    def _start(self, message: StartEngine) -> None:
        if self._engine_task is not None:
            self._engine_task.cancel()
        self._lose_chunks("killed")
        self._load, self._stopping, self._killed = message.load, False, False
        self._engine_task = self.spawn(self._run_engine, message.load, message.path)

    async def _stop(self) -> None:
        self._stopping = True
        await self._give_back()
        self._stop_if_idle()

    def _stop_if_idle(self) -> None:
        if self._stopping and not self._in_flight and self._engine_task is not None:
            self._engine_task.cancel()

    async def _give_back(self) -> None:
        if self._engine is not None and len(self._in_flight) > 1:
            await self._tell_engine(self._engine.give_back())

    async def _transcribe(self, message: Transcribe) -> None:
        if message.load != self._load:
            return  # it is meant for a model that is gone, and the queue hears of that too
        if message not in self._in_flight.values() and message not in self._waiting:
            self._waiting.append(message)
        await self._send_waiting()

    async def _abort(self, job_id: str) -> None:
        ids = tuple(n for n, chunk in self._in_flight.items() if chunk.job_id == job_id)
        if self._engine is not None and ids:
            await self._tell_engine(self._engine.abort(*ids))
            self._abort_timers[ids] = self.later(ABORT_GRACE_S, Overdue(ids))

    def _engine_up(self, message: EngineUp) -> None:
        if message.load == self._load:
            self._engine = message.engine
            self._batch = message.batch
            self._slowest_secs = 0.0
            self._patience_secs = SLOWER_THAN_SILENCE_BY * message.first_inference_secs
            self._publish(EngineReady(message.load, WINDOWS_PER_PLACE * message.batch))

    def _failed(self, message: EngineFailed) -> None:
        if message.load == self._load:
            self._engine_task = None
            self._publish(message)

    def _answered(self, answer: Result | Failed) -> None:
        chunk = self._in_flight.get(answer.id or 0)
        if chunk is None:
            return
        if isinstance(answer, Failed) and answer.kind == "out_of_memory":
            self._lose_chunks(answer.kind, answer.message)  # it ends itself
            return
        del self._in_flight[answer.id or 0]
        self._restart_answer_timer()
        for ids in [ids for ids in self._abort_timers if not self._in_flight.keys() & set(ids)]:
            self._abort_timers.pop(ids).cancel()
        match answer:
            case Result():
                self._slowest_secs = max(self._slowest_secs, answer.secs)
                self._patience_secs = SLOWER_BY * self._slowest_secs
                self._count(chunk, answer)
                segments, left_out = segments_of(answer.segments, chunk.spans, chunk.speech)
                if not chunk.words:
                    segments = [msgspec.structs.replace(each, words=()) for each in segments]
                self._publish(
                    ChunkDone(chunk.job_id, chunk.ordinal, tuple(segments), tuple(left_out))
                )
            case Failed(_, kind, problem):
                self._publish(ChunkFailed(chunk.job_id, chunk.ordinal, kind, problem))
        self._stop_if_idle()

    def _engine_down(self, load: int) -> None:
        if load != self._load:
            return
        reason = "stopped" if self._stopping else "killed" if self._killed else "crashed"
        if reason == "crashed":
            metrics.ENGINE_CRASHES.inc()
        self._engine_task = None
        self._lose_chunks("crashed" if reason == "crashed" else "killed")
        self._publish(EngineEnded(load, reason))

    def _overdue(self, message: Overdue) -> None:
        self._abort_timers.pop(message.aborted, None)
        late = self._in_flight.keys() & set(message.aborted)
        if not self._in_flight or self._engine_task is None or (message.aborted and not late):
            return
        if late and late != self._in_flight.keys():
            # Others may be in the same batch: the engine goes on, and its answers to these are
            # ignored.
            for number in sorted(late):
                chunk = self._in_flight.pop(number)
                self._publish(ChunkFailed(chunk.job_id, chunk.ordinal, "aborted", "aborted"))
            return
        log.warning("the engine does not answer: ending it")
        self._killed = bool(late)  # without an abort it is a hang, which is a crash
        self._engine_task.cancel()

    # Steps that several of the handlers above use.

    def _lose_chunks(self, kind: str, problem: str = "the engine crashed on this job") -> None:
        """The engine has ended: report the chunks in flight as failed, and forget what waits."""
        self._answer_timer.cancel()
        self._waiting.clear()
        self._engine = None
        lost, self._in_flight = self._in_flight, {}
        for chunk in lost.values():
            alone = len(lost) == 1
            self._publish(ChunkFailed(chunk.job_id, chunk.ordinal, kind, problem, alone))

    async def _send_waiting(self) -> None:
        if self._engine is None or self._stopping or not self._waiting:
            return
        chunks, self._waiting = self._waiting, []
        windows = [self._window(chunk) for chunk in chunks]
        was_idle = not self._in_flight
        self._in_flight |= zip((window.id for window in windows), chunks, strict=True)
        if was_idle:
            self._restart_answer_timer()
        await self._tell_engine(self._engine.transcribe(*windows))

    def _window(self, chunk: Transcribe) -> Window:
        self._window_id += 1
        return Window(
            self._window_id,
            str(chunk.pcm),
            chunk.spans,
            chunk.speech,
            chunk.language,
            chunk.history,
            chunk.translate,
            chunk.prompt,
            chunk.words,
            chunk.quality,
            chunk.languages,
        )

    async def _tell_engine(self, sending: Awaitable[None]) -> None:
        """If the engine has just ended, sending fails, and EngineDown will arrive."""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await sending

    def _restart_answer_timer(self) -> None:
        """The engine has as long as a batch may take, from now on, to answer anything."""
        self._answer_timer.cancel()
        if self._in_flight:
            patience_secs = min(HANG_S, max(SHORTEST_HANG_S, self._batch * self._patience_secs))
            self._answer_timer = self.later(patience_secs, Overdue(()))

    # This part runs beside the mailbox, in a task of its own: one engine, from start to end.

    async def _run_engine(self, load: int, path: Path) -> None:
        try:
            async with spawn(self._cuda_device) as engine:
                with anyio.fail_after(LOAD_TIMEOUT_S):
                    loaded = await engine.load(
                        str(path), use_gpu=self._use_gpu, threads=self._threads
                    )
                _log_load(loaded, self._use_gpu)
                self.me.tell(EngineUp(load, engine, loaded.warm_up_secs, loaded.parallel_windows))
                while True:
                    answer = await engine.receive()
                    assert isinstance(answer, Result | Failed)
                    self.me.tell(EngineAnswered(answer))
        except TimeoutError:
            problem = f"the engine did not load within {LOAD_TIMEOUT_S:.0f} s"
            self.me.tell(EngineFailed(load, "crashed", problem))
        except EngineError as error:
            self.me.tell(EngineFailed(load, error.kind, error.message))
        except anyio.EndOfStream:
            self.me.tell(EngineDown(load))
        except anyio.get_cancelled_exc_class():
            self.me.tell(EngineDown(load))
            raise

    def _count(self, chunk: Transcribe, result: Result) -> None:
        audio = sum(span.length for span in chunk.spans) / RATE
        metrics.AUDIO_SECONDS.inc(audio)
        metrics.ENGINE_SECONDS.inc(result.secs)
        if audio:
            metrics.REAL_TIME_FACTOR.observe(result.secs / audio)
        log.info(
            "chunk done: %.1f s in %.2f s",
            audio,
            result.secs,
            extra={"job": chunk.job_id, "chunk": chunk.ordinal},
        )


def _log_load(loaded: Loaded, wanted_gpu: bool) -> None:
    metrics.LOAD_SECONDS.observe(loaded.load_secs + loaded.warm_up_secs)
    log.info(
        "engine up on %s: loaded in %.2f s, first inference %.2f s; %s",
        loaded.device,
        loaded.load_secs,
        loaded.warm_up_secs,
        loaded.build,
    )
    if wanted_gpu and loaded.device == "CPU":
        log.warning(
            "the engine found no GPU that it can use, so it is slow: run `whisperbox doctor`"
        )
