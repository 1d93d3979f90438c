"""The nouns. Frozen, and shaped like their rows."""

from enum import StrEnum

import msgspec

RATE = 16_000
"""Samples a second of all decoded audio; mono, s16 little-endian."""
SAMPLE_BYTES = 2


ENGLISH = "en"


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


class Channel(StrEnum):
    """The door that a job came in by."""

    NATIVE = "native"
    WEB = "web"
    API = "api"


class Action(StrEnum):
    CANCEL = "cancel"
    RESTART = "restart"
    DELETE = "delete"
    SHARE = "share"


class Phase(StrEnum):
    """Where a job is on its way, as far as it matters for what may be done with it."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    BROKEN = "broken"
    """Failed or cancelled."""


POSSIBLE: dict[Phase, frozenset[Action]] = {
    Phase.WAITING: frozenset({Action.CANCEL, Action.RESTART, Action.DELETE}),
    Phase.WORKING: frozenset({Action.CANCEL}),
    Phase.DONE: frozenset({Action.DELETE, Action.SHARE}),
    Phase.BROKEN: frozenset({Action.RESTART, Action.DELETE}),
}
"""The one table of what may be done when."""


class Stage(StrEnum):
    """What is being done for a job that is not over."""

    FETCHING = "fetching"
    DECODING = "decoding"
    TRANSCRIBING = "transcribing"


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
    model_events: bool = False
    """Whether the webhook is told of the model's comings and goings, too."""
    idempotency_key: str | None = None
    channel: str = Channel.NATIVE
    owner: int | None = None
    """The number of the account that submitted it, where one did."""
    urgent: bool = False
    """Goes before those that are not."""
    source_url: str | None = None
    """Where the input is to be fetched from, where it was not uploaded."""
    label: str | None = None
    note: str | None = None
    analysis_language: str | None = None
    translations: tuple[str, ...] = ()
    """Languages (ISO 639-1) that the transcript is wanted in besides its own."""
    speakers: bool = False
    """Whether to find out who speaks when."""
    shared: bool = False
    """Whether the transcript gets its public page as soon as it is done."""
    assisted: bool = False
    """Whether a language model may make texts of the transcript."""
    media_type: str | None = None
    """Of an upload, as the client said."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    """The order of arrival, from 1."""
    id: str
    status: Status
    order: Order
    size_bytes: int | None
    """Of the input; None until it is fetched."""
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
    started_at: str | None
    completed_at: str | None
    stage: Stage | None
    """None while nothing is being done for it."""
    stage_detail: str | None
    stage_at: str | None
    """When the stage began."""
    heartbeat_at: str | None
    """The last sign of life of whoever works on it."""
    output_at: str | None
    """When the last chunk was committed."""
    model_used: str | None = None
    """The model that it was given to; None until then."""
    attempt: int = 1
    """How often it was begun: each restart is another."""

    @property
    def language(self) -> str | None:
        return self.order.language or self.detected_language

    @property
    def analysis_language(self) -> str:
        """As asked for, else the transcript's own; English where nobody knows that."""
        return self.order.analysis_language or self.language or ENGLISH

    @property
    def phase(self) -> Phase:
        match self.status:
            case Status.QUEUED:
                return Phase.WORKING if self.stage is Stage.FETCHING else Phase.WAITING
            case Status.RUNNING:
                return Phase.WORKING
            case Status.DONE:
                return Phase.DONE
            case _:
                return Phase.BROKEN

    def allows(self, action: Action) -> bool:
        return action in POSSIBLE[self.phase]

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
    corrected: bool = False
    """Whether this is what a person made of it."""


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a segment's text that somebody wrote."""

    number: int
    position: int
    """The segment's index."""
    text: str | None
    """None: the engine's again."""
    email: str | None
    at: str


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A segment in which the words that were looked for are spoken."""

    job: "Job"
    position: int
    start: float
    excerpt: str
    """With MARK around what was found."""


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a job's webhook so far."""

    delivery_id: str
    attempts: int
    http_status: int | None
    error: str | None
    tried_at: str | None
    delivered_at: str | None
    given_up: bool


class LogLine(msgspec.Struct, frozen=True):
    at: str
    line: str


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A job's public page."""

    token: str
    job_number: int
    created_at: str
    expires: float | None
    """Seconds since the epoch."""
    password_hash: str | None
    with_audio: bool
    with_downloads: bool
    access_count: int
    last_accessed_at: str | None


class SpeakersStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    """There is nothing here that could tell."""


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """Seconds of the file in which somebody speaks; turns of several may overlap."""

    start: float
    end: float
    label: str


class Speakers(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks when in a job's recording."""

    job_number: int
    status: SpeakersStatus
    provider: str | None
    turns: tuple[Turn, ...]
    error: str | None
    tries: int
    updated_at: str
    names: tuple[tuple[str, str], ...] = ()
    """What was told apart, and what people call it: the turns have their names already."""


class TextKind(StrEnum):
    ANALYSIS = "analysis"
    TRANSLATION = "translation"


class TextStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """What a language model makes of a transcript."""

    job_number: int
    kind: TextKind
    language: str
    """ISO 639-1."""
    status: TextStatus
    text: str | None
    """The last one that was done."""
    model: str | None
    error: str | None
    truncated: bool
    """Whether the transcript was too long to be read whole."""
    tokens: int
    """Of all tries."""
    tries: int
    updated_at: str


class Permission(StrEnum):
    USE = "use"
    """One's own jobs."""
    MANAGE = "manage"
    """Everybody's jobs."""
    API = "api"
    """Jobs by token."""
    ASSIST = "assist"
    """The language model's help."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    email: str
    admin: bool
    permissions: frozenset[Permission]
    created_at: str
    disabled_at: str | None

    def may(self, permission: Permission) -> bool:
        """An administrator may do everything."""
        return self.admin or permission in self.permissions


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has signed in somewhere."""

    hash: bytes
    created_at: str
    expires: float
    """Seconds since the epoch."""
    about: str
    """What the browser called itself."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A key for programs; what it is made of is known to its holder alone."""

    number: int
    account: int
    name: str
    scopes: frozenset[str]
    """Opaque here."""
    created_at: str
    expires: float | None
    """Seconds since the epoch."""
    last_used_at: str | None
    revoked_at: str | None


class View(msgspec.Struct, frozen=True):
    """Which jobs somebody may see; None is no limit."""

    owner: int | None = None
    channels: tuple[str, ...] | None = None


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
