"""The records that the whole server uses. They cannot be changed, and their fields are those of
the database's rows.

Times in a ``str`` are UTC, as `storage.times.utc` writes them.
"""

from enum import StrEnum

import msgspec

RATE = 16_000
"""Samples a second of all decoded audio, which is mono, s16 little-endian."""
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


class Quality(StrEnum):
    """How much time the engine may spend on being right."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class Channel(StrEnum):
    """The surface that a job was submitted to."""

    NATIVE = "native"
    WEB = "web"
    API = "api"
    OPENAI = "openai"
    ASR = "asr"
    WYOMING = "wyoming"
    WATCH = "watch"


class Action(StrEnum):
    CANCEL = "cancel"
    RESTART = "restart"
    DELETE = "delete"
    SHARE = "share"


class Phase(StrEnum):
    """A job's status, simplified: it decides which actions are possible (see ALLOWED_ACTIONS)."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED_OR_CANCELLED = "failed or cancelled"


ALLOWED_ACTIONS: dict[Phase, frozenset[Action]] = {
    Phase.WAITING: frozenset({Action.CANCEL, Action.RESTART, Action.DELETE}),
    Phase.WORKING: frozenset({Action.CANCEL}),
    Phase.DONE: frozenset({Action.DELETE, Action.SHARE}),
    Phase.FAILED_OR_CANCELLED: frozenset({Action.RESTART, Action.DELETE}),
}
"""Which actions are possible in which phase. All surfaces use this table."""


class Stage(StrEnum):
    """What is being done for a job that is queued or running."""

    FETCHING = "fetching"
    DECODING = "decoding"
    TRANSCRIBING = "transcribing"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the client asked for.

    It is stored with the job and does not change, except that the file's name and media type are
    set after a fetch.
    """

    task: Task = Task.TRANSCRIBE
    language: str | None = None
    """The language of the speech, as an ISO 639-1 code; None: it is detected."""
    model: str | None = None
    """A model's name or alias; None: the server's default model."""
    prompt: str | None = None
    """Names and words that may occur in the recording."""
    word_timestamps: bool = False
    filename: str | None = None
    """The client's name for the file; never used as a path."""
    audio_track: int | None = None
    """Which audio track of the file is transcribed, from 1; None: its default, or another one if
    that is silent."""
    vad: bool = True
    """Whether sound that the voice activity model does not take for speech is left out."""
    quality: Quality = Quality.BALANCED
    languages: tuple[str, ...] = ()
    """Those that may be spoken, if ``language`` is None; empty: any."""
    webhook_url: str | None = None
    webhook_format: str | None = None
    """The format of the webhook's body. Only `app` knows what the names mean."""
    model_events: bool = False
    """Whether the webhook is also told when a model is loaded or unloaded."""
    idempotency_key: str | None = None
    channel: str = Channel.NATIVE
    owner: int | None = None
    """The number of the account that submitted the job; None if it was submitted without one."""
    urgent: bool = False
    """Whether the job runs before all jobs that are not urgent."""
    source_url: str | None = None
    """The URL to fetch the input from; None if the input was uploaded."""
    label: str | None = None
    note: str | None = None
    analysis_language: str | None = None
    translations: tuple[str, ...] = ()
    """The languages (ISO 639-1 codes) that the language model translates the transcript into."""
    speakers: bool = False
    """Whether to find out who speaks when."""
    shared: bool = False
    """Whether the transcript gets a public page as soon as it is done."""
    assisted: bool = False
    """Whether a language model writes texts about the transcript."""
    media_type: str | None = None
    """The file's media type, as the client or the fetched server said."""

    @property
    def written_in(self) -> str | None:
        """The language of the transcript, if Whisper translates the speech; None: as spoken."""
        return ENGLISH if self.task is Task.TRANSLATE else None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    """The order of arrival, from 1."""
    id: str
    status: Status
    order: Order
    size_bytes: int | None
    """The size of the input; None until it is fetched."""
    detected_language: str | None
    """The language that most of the transcript is spoken in, so far."""
    duration_secs: float | None
    """The length of the audio; None until it is decoded."""
    chunks_total: int | None
    """The number of chunks; None until they are planned."""
    chunks_done: int
    segments: int
    """How many segments are committed."""
    crashes: int
    """Crashes since the last committed chunk."""
    error: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    stage: Stage | None
    """None while nothing is being done for the job."""
    stage_detail: str | None
    stage_at: str | None
    """When the stage began."""
    heartbeat_at: str | None
    """The time of the last heartbeat from the actor that works on the job."""
    output_at: str | None
    """When the last chunk was committed."""
    model_used: str | None = None
    """The model that transcribes the job; None until the transcription begins."""
    attempt: int = 1
    """1 for the first run; each restart adds 1."""
    notices: tuple[str, ...] = ()
    """What the user should know about the recording: sentences."""
    secs_by_language: dict[str, float] = {}
    """How many seconds of the transcript are spoken in each language."""

    @property
    def language(self) -> str | None:
        return self.order.language or self.detected_language

    @property
    def analysis_language(self) -> str:
        """The language of the analysis: what the client asked for, or the transcript's language.

        English if neither is known.
        """
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
                return Phase.FAILED_OR_CANCELLED

    def allows(self, action: Action) -> bool:
        return action in ALLOWED_ACTIONS[self.phase]

    @property
    def percent(self) -> int:
        """The progress, 0 to 100, from the number of chunks; 100 only when the job is done."""
        if self.status is Status.DONE:
            return 100
        return min(99, 100 * self.chunks_done // self.chunks_total) if self.chunks_total else 0


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Samples ``start`` up to, but not including, ``end`` of a job's 16 kHz audio."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """The audio for one inference call: spans of speech that are joined to one piece."""

    ordinal: int
    spans: tuple[Span, ...]
    speech: tuple[Span, ...] = ()
    """Where somebody speaks in them."""


class Word(msgspec.Struct, frozen=True):
    text: str
    start: float
    end: float
    probability: float


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for or against the engine's text of a segment; older versions stored none."""

    avg_logprob: float | None = None
    """The mean log probability of the tokens: those of the segment, or, with CTranslate2, those of
    the whole window that was decoded together."""
    no_speech_prob: float | None = None
    """How likely the model finds it that nobody speaks in the window; None with whisper.cpp, whose
    Python package does not tell it."""
    compression_ratio: float | None = None
    """The length of the text's UTF-8 bytes divided by their length after zlib has compressed them:
    high where a text repeats itself. See ``compression_ratio`` in openai/whisper."""
    speech_share: float | None = None
    """The part of the segment's time, 0 to 1, in which the voice activity model hears speech."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a transcript, about a sentence; times are in seconds of the submitted file."""

    index: int
    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    repair: str | None = None
    """How the engine's text was changed, e.g. because it had a loop; None if it was not changed."""
    corrected: bool = False
    """Whether a person has changed it."""
    language: str | None = None
    """The language that the engine heard here; None in transcripts of older versions."""
    evidence: Evidence = Evidence()
    speaker: str | None = None
    """Who a person says it is; None: whoever is heard then."""
    line: int | None = None
    """The number that it keeps in all edits; None: its index. See `number`."""
    version: int = 0
    """The edit that left it as it is; 0: it is as the engine wrote it."""

    @property
    def number(self) -> int:
        return self.index if self.line is None else self.line


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine wrote and the transcript does not have; times are in seconds of the file."""

    start: float
    end: float
    text: str
    reason: str
    number: int | None = None
    """What the database knows it by; None until it is stored."""


class Change(msgspec.Struct, frozen=True):
    """What an edit does to one line."""

    before: Segment | None
    """None: the line is new, and gets a number."""
    after: Segment | None
    """None: the line goes."""


class EditState(msgspec.Struct, frozen=True, kw_only=True):
    last: int
    """The number of the last edit of the transcript; 0 if there is none."""
    corrected: int
    """How many lines differ from what the engine wrote."""
    can_undo: bool
    can_redo: bool


class LineVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a line that somebody made."""

    text: str
    gone: bool
    """Whether the transcript had no such line then."""
    original: bool
    """Whether it was as the engine wrote it."""
    email: str | None
    at: str


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that a search has found."""

    job: "Job"
    line: int
    """The segment's number."""
    start: float
    excerpt: str
    """A part of the segment's text, with `storage.search.MARK` around the words found."""


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the webhook for a job's end."""

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
    """This server cannot tell the speakers of this recording apart."""


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """A speaker turn: from ``start`` to ``end``, in seconds of the file, one person speaks.

    The turns of different speakers may overlap.
    """

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
    """Each speaker's label and name, e.g. ("Speaker 1", "Ada"). The name is the label if nobody has
    given one. The turns contain the names already."""


class TextKind(StrEnum):
    ANALYSIS = "analysis"
    TRANSLATION = "translation"


class TextStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text that a language model writes about a transcript: an analysis or a translation."""

    job_number: int
    kind: TextKind
    language: str
    """The text's language, as an ISO 639-1 code."""
    status: TextStatus
    text: str | None
    """The last version that was written."""
    model: str | None
    error: str | None
    truncated: bool
    """Whether the transcript or the answer was too long, so that a part is missing."""
    tokens: int
    """The language model's tokens, for all tries together."""
    tries: int
    updated_at: str


class Permission(StrEnum):
    USE = "use"
    """Submit jobs and use one's own."""
    MANAGE = "manage"
    """See and manage everybody's jobs."""
    API = "api"
    """Use jobs with an API token."""
    ASSIST = "assist"
    """Use the language model."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    email: str
    admin: bool
    permissions: frozenset[Permission]
    created_at: str
    disabled_at: str | None

    def may(self, permission: Permission) -> bool:
        """Whether the account has this permission; an administrator has all of them."""
        return self.admin or permission in self.permissions


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in of an account in a browser."""

    hash: bytes
    created_at: str
    expires: float
    """Seconds since the epoch."""
    about: str
    """How the browser described itself."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An API token, which programs use. The secret itself is not stored, only its hash."""

    number: int
    account: int
    name: str
    scopes: frozenset[str]
    """What the token may be used for. Only `app` knows what the names mean."""
    created_at: str
    expires: float | None
    """Seconds since the epoch."""
    last_used_at: str | None
    revoked_at: str | None


class View(msgspec.Struct, frozen=True):
    """Which jobs somebody may see: those of an owner, and of some channels. None: all."""

    owner: int | None = None
    channels: tuple[str, ...] | None = None

    def shows(self, owner: int | None, channel: str) -> bool:
        """Whether a job of that owner and channel may be seen."""
        return self.owner in (None, owner) and (self.channels is None or channel in self.channels)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox: one event that is sent to one URL."""

    id: str
    event: str
    """``job_ended``, ``model_ready`` or ``model_unloaded``."""
    url: str
    origin: str
    """The URL's scheme, host and port."""
    format: str
    job_id: str | None
    happened_at: str
    attempts: int


class FailingReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of webhooks that does not take its deliveries."""

    origin: str
    waiting: int
    since: str
    """When the oldest event happened that it has not been told of."""
    tried_at: str | None
    error: str | None
    http_status: int | None
