"""The messages that inference receives, and the facts about engines and chunks it publishes."""

from pathlib import Path

import msgspec

from actors.engine.protocol import Failed, Result
from actors.engine.worker import EngineWorker
from storage.records import LeftOut, Quality, Segment, Span

WINDOWS_PER_PLACE = 2
"""How many windows the engine is given for each that it decodes at once, so that the next ones are
there when it has finished."""


class EngineReady(msgspec.Struct, frozen=True):
    load: int
    capacity: int = 1
    """How many chunks it can be given at once."""


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
    alone: bool = True
    """Whether the engine had no other chunk, so that this one must have been the cause."""


class StartEngine(msgspec.Struct, frozen=True):
    load: int
    path: Path


class StopEngine(msgspec.Struct, frozen=True):
    """Stop the engine once it has done the chunks that it has begun."""


class GiveBack(msgspec.Struct, frozen=True):
    """Report the chunks that the engine has not begun as failed, of kind ``aborted``."""


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
    """None: the engine finds out which is spoken."""
    history: dict[str, float]
    """How many seconds of the file have been heard in each language before."""
    translate: bool
    prompt: str | None
    words: bool
    quality: Quality = Quality.BALANCED
    languages: tuple[str, ...] = ()
    """Those that may be spoken, if ``language`` is None; empty: any."""


class AbortChunk(msgspec.Struct, frozen=True):
    job_id: str


class EngineUp(msgspec.Struct, frozen=True):
    """The engine has loaded the model.

    Inference tells itself this message and the next three.
    """

    load: int
    engine: EngineWorker
    first_inference_secs: float
    batch: int
    """How many windows it decodes at once."""


class EngineAnswered(msgspec.Struct, frozen=True):
    answer: Result | Failed


class EngineDown(msgspec.Struct, frozen=True):
    load: int


class Overdue(msgspec.Struct, frozen=True):
    """The engine has not answered in time."""

    aborted: tuple[int, ...]
    """The windows that were aborted and are late. If there are none, the engine has not answered
    anything."""


InferenceMessage = (
    StartEngine
    | StopEngine
    | GiveBack
    | Transcribe
    | AbortChunk
    | EngineUp
    | EngineAnswered
    | EngineDown
    | EngineFailed
    | Overdue
)
