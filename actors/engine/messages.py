"""The messages that inference receives, and the facts about engines and chunks it publishes."""

from pathlib import Path

import msgspec

from actors.engine.protocol import Failed, Result
from actors.engine.worker import EngineWorker
from storage.records import LeftOut, Segment, Span


class EngineReady(msgspec.Struct, frozen=True):
    load: int


class EngineFailed(msgspec.Struct, frozen=True):
    load: int
    kind: str
    problem: str


class EngineEnded(msgspec.Struct, frozen=True):
    load: int | None
    """The number of the load; None: there is no engine now, whichever there was."""
    reason: str
    """``stopped``, ``killed`` (because it did not obey an abort in time) or ``crashed``."""


class ChunkDone(msgspec.Struct, frozen=True):
    job_id: str
    ordinal: int
    language: str
    segments: tuple[Segment, ...]
    """With times in seconds of the file, indexed from 0 within the chunk."""
    left_out: tuple[LeftOut, ...] = ()


class ChunkFailed(msgspec.Struct, frozen=True):
    job_id: str
    ordinal: int
    kind: str
    """``crashed``: the engine crashed. ``killed``: the server ended the engine. Other kinds are
    those of `protocol.Failed`."""
    problem: str


class StartEngine(msgspec.Struct, frozen=True):
    load: int
    path: Path


class StopEngine(msgspec.Struct, frozen=True):
    """Stop the engine once the chunk in flight is done."""


class Transcribe(msgspec.Struct, frozen=True):
    load: int
    """The load of the model that is to do it. When that engine has ended, nobody does it."""
    job_id: str
    ordinal: int
    pcm: Path
    spans: tuple[Span, ...]
    speech: tuple[Span, ...]
    """Where somebody speaks in them."""
    language: str | None
    translate: bool
    prompt: str | None
    words: bool


class AbortChunk(msgspec.Struct, frozen=True):
    job_id: str


class EngineUp(msgspec.Struct, frozen=True):
    """The engine has loaded the model.

    Inference tells itself this message and the next three.
    """

    load: int
    engine: EngineWorker
    first_inference_secs: float


class EngineAnswered(msgspec.Struct, frozen=True):
    answer: Result | Failed


class EngineDown(msgspec.Struct, frozen=True):
    load: int


class Overdue(msgspec.Struct, frozen=True):
    """The engine has not answered for a window in time; ``aborted``: after an abort."""

    window: int
    aborted: bool


InferenceMessage = (
    StartEngine
    | StopEngine
    | Transcribe
    | AbortChunk
    | EngineUp
    | EngineAnswered
    | EngineDown
    | EngineFailed
    | Overdue
)
