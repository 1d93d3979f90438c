"""The nouns. Frozen, and shaped like their rows."""

from enum import StrEnum

import msgspec

RATE = 16_000
"""Samples a second of all decoded audio; mono, s16 little-endian."""
SAMPLE_BYTES = 2


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({Status.DONE, Status.FAILED, Status.CANCELLED})


class Task(StrEnum):
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asked for. Kept as submitted for the life of the job."""

    task: Task = Task.TRANSCRIBE
    language: str | None = None
    """ISO 639-1, or None to have it detected."""
    model: str | None = None
    """A model's name, or None for the server's."""
    prompt: str | None = None
    """Names and words to expect."""
    word_timestamps: bool = False
    filename: str | None = None
    """The client's name for the file; never used as a path."""
    webhook_url: str | None = None
    webhook_format: str | None = None
    """Which dialect's payload the webhook wants; opaque here."""
    idempotency_key: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    """The order of arrival, from 1."""
    id: str
    status: Status
    order: Order
    size_bytes: int
    detected_language: str | None
    duration_secs: float | None
    """Of the audio; None until it is decoded."""
    chunks_total: int | None
    """None until the audio is planned."""
    chunks_done: int
    segments: int
    """How many are committed."""
    crashes: int
    """Crashes since the last committed chunk."""
    error: str | None
    created_at: str
    completed_at: str | None

    @property
    def language(self) -> str | None:
        return self.order.language or self.detected_language

    @property
    def percent(self) -> int:
        """0 to 100, by chunks; 100 only when done."""
        if self.status is Status.DONE:
            return 100
        return min(99, 100 * self.chunks_done // self.chunks_total) if self.chunks_total else 0


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Samples ``start`` up to ``end`` of a job's 16 kHz audio."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """One inference call: spans of speech, heard as if one followed the other."""

    ordinal: int
    spans: tuple[Span, ...]


class Word(msgspec.Struct, frozen=True):
    text: str
    start: float
    end: float
    probability: float


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of transcript; times in seconds of the submitted file."""

    index: int
    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    repair: str | None = None
    """What was done to the engine's text, where anything was."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox: one event for one URL."""

    id: str
    event: str
    """``job_ended``, ``model_ready`` or ``model_unloaded``."""
    url: str
    format: str
    job_id: str | None
    happened_at: str
    attempts: int
