"""What the server and the engine child say to each other.

Over one socket, each message a 4-byte little-endian length and msgpack. An engine takes a batch
of windows, of one job or of several, and answers each as it is ready.
"""

import struct

import msgspec

from storage.records import Span

LENGTH = struct.Struct("<I")


class Load(msgspec.Struct, frozen=True, tag=True):
    """The first message. Answered by Loaded or Failed."""

    path: str
    use_gpu: bool
    threads: int


class Window(msgspec.Struct, frozen=True):
    """At most 30 s of one file, heard as if its spans followed one another."""

    id: int
    pcm: str
    """Path of mono s16 little-endian samples at 16 kHz."""
    spans: tuple[Span, ...]
    language: str | None
    translate: bool
    prompt: str | None
    words: bool


class Transcribe(msgspec.Struct, frozen=True, tag=True):
    batch: tuple[Window, ...]


class Abort(msgspec.Struct, frozen=True, tag=True):
    """Stop the batch at hand. Its windows are answered by Failed, kind ``aborted``."""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    load_secs: float
    warm_up_secs: float
    likes: int
    """Windows that the engine works on at once."""
    device: str
    """ggml's name of what the weights are on, e.g. ``CUDA0`` or ``CPU``."""
    build: str
    """The engine's version and build flags, for people."""


class EngineWord(msgspec.Struct, frozen=True, array_like=True):
    text: str
    start: float
    end: float
    probability: float


class EngineSegment(msgspec.Struct, frozen=True, array_like=True):
    """A segment, in seconds from the start of the window."""

    text: str
    start: float
    end: float
    words: tuple[EngineWord, ...]


class Result(msgspec.Struct, frozen=True, tag=True):
    id: int
    language: str
    segments: tuple[EngineSegment, ...]
    secs: float
    """Spent in the engine."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """``kind``: ``invalid`` (weights that can never load), ``out_of_memory``, ``aborted``,
    ``engine``. ``id`` is None where loading failed."""

    id: int | None
    kind: str
    message: str


ToEngine = Load | Transcribe | Abort
FromEngine = Loaded | Result | Failed

encode = msgspec.msgpack.Encoder().encode


def frame(message: ToEngine | FromEngine) -> bytes:
    body = encode(message)
    return LENGTH.pack(len(body)) + body
