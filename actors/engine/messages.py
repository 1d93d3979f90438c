"""What inference is told, and the facts about engines and chunks that it tells."""

from pathlib import Path

import msgspec

from actors.engine.protocol import Failed, Result
from actors.engine.worker import EngineWorker
from storage.records import Segment, Span


class EngineReady(msgspec.Struct, frozen=True):
    load: int


class EngineFailed(msgspec.Struct, frozen=True):
    load: int
    kind: str
    problem: str


class EngineEnded(msgspec.Struct, frozen=True):
    load: int | None
    """None: whichever it was, it is gone."""
    reason: str
    """``stopped``, ``killed`` (it did not answer an abort) or ``crashed``."""


class ChunkDone(msgspec.Struct, frozen=True):
    job_id: str
    ordinal: int
    language: str
    segments: tuple[Segment, ...]
    """In the time of the file, indexed from 0 within the chunk."""


class ChunkFailed(msgspec.Struct, frozen=True):
    job_id: str
    ordinal: int
    kind: str
    """``crashed``: the engine is gone. ``killed``: we ended it. Else as `protocol.Failed`."""
    problem: str


class StartEngine(msgspec.Struct, frozen=True):
    load: int
    path: Path


class StopEngine(msgspec.Struct, frozen=True):
    """After the current chunk."""


class Transcribe(msgspec.Struct, frozen=True):
    job_id: str
    ordinal: int
    pcm: Path
    spans: tuple[Span, ...]
    language: str | None
    translate: bool
    prompt: str | None
    words: bool


class AbortChunk(msgspec.Struct, frozen=True):
    job_id: str


class EngineUp(msgspec.Struct, frozen=True):
    """Our own, as are the next three: what the engine's session found out."""

    load: int
    engine: EngineWorker


class EngineSaid(msgspec.Struct, frozen=True):
    answer: Result | Failed


class EngineDown(msgspec.Struct, frozen=True):
    load: int


class Overdue(msgspec.Struct, frozen=True):
    """The engine has not answered for a window: neither a result nor, if ``aborted``, at all."""

    window: int
    aborted: bool


InferenceMessage = (
    StartEngine
    | StopEngine
    | Transcribe
    | AbortChunk
    | EngineUp
    | EngineSaid
    | EngineDown
    | EngineFailed
    | Overdue
)
