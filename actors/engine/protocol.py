"""The messages between the server and the engine child.

They use one socket. Each message is a 4-byte little-endian length, followed by msgpack. The server
sends windows, of one job or of several, at any time. The engine takes as many together as it can
decode at once, and answers each window when it is done.
"""

import struct

import msgspec

from storage.records import Quality, Span

LENGTH = struct.Struct("<I")


class Load(msgspec.Struct, frozen=True, tag=True):
    """The first message to the engine, which answers with Loaded or Failed."""

    path: str
    """A ggml file, or a folder with a model for CTranslate2."""
    use_gpu: bool
    threads: int


class Window(msgspec.Struct, frozen=True):
    """Up to 30 s of one file: its spans are joined, and the engine hears them as one piece."""

    id: int
    pcm: str
    """The path of the decoded audio: mono s16 little-endian samples at 16 kHz, no header."""
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
    """Whether the words' times are wanted. They are given in any case where they cost nothing, and
    where a segment begins in one span and ends in another."""
    quality: Quality = Quality.BALANCED
    languages: tuple[str, ...] = ()
    """Those that the engine chooses from if ``language`` is None; empty: all that it knows."""


class Transcribe(msgspec.Struct, frozen=True, tag=True):
    windows: tuple[Window, ...]


class Abort(msgspec.Struct, frozen=True, tag=True):
    """Give these windows up.

    The engine answers those that it has not begun with Failed of kind ``aborted``. It stops the
    batch at hand, if it can, once all windows of it are aborted.
    """

    ids: tuple[int, ...]


class GiveBack(msgspec.Struct, frozen=True, tag=True):
    """Answer all windows that have not been begun with Failed of kind ``aborted``."""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    load_secs: float
    warm_up_secs: float
    parallel_windows: int
    """How many windows the engine decodes at once."""
    device: str
    """The device that the model is on, as the engine's library calls it: ``CUDA0`` or ``CPU``."""
    build: str
    """The engine's version and build flags, for people."""


class EngineWord(msgspec.Struct, frozen=True, array_like=True):
    text: str
    start: float
    end: float
    probability: float


class EngineSegment(msgspec.Struct, frozen=True, array_like=True):
    """A segment; its times and its words' times are in seconds from the start of the window."""

    text: str
    start: float
    end: float
    language: str
    """The language that is spoken."""
    words: tuple[EngineWord, ...]
    is_silence: bool = False
    """Whether the engine takes the window for silence, and is unsure of this text."""
    avg_logprob: float | None = None
    """As in `storage.records.Evidence`, and the next one, too."""
    no_speech_prob: float | None = None


class Result(msgspec.Struct, frozen=True, tag=True):
    id: int
    segments: tuple[EngineSegment, ...]
    secs: float
    """Seconds that the engine needed for the window."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A load or a window failed.

    ``kind``: ``invalid`` (this model file can never be loaded), ``out_of_memory``, ``aborted``,
    ``lost`` (the window's file is gone), or ``engine`` (any other failure). ``id`` is the window's;
    it is None if the load failed.
    """

    id: int | None
    kind: str
    message: str


ToEngine = Load | Transcribe | Abort | GiveBack
FromEngine = Loaded | Result | Failed

encode = msgspec.msgpack.Encoder().encode


def frame(message: ToEngine | FromEngine) -> bytes:
    body = encode(message)
    return LENGTH.pack(len(body)) + body
