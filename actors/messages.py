"""Every message, grouped by its receiver.

Commands are in the imperative, facts in the past tense, questions nouns (their answer's type in
brackets). They carry ids, spans and small values; never audio.
"""

from pathlib import Path

import msgspec

from actors.audio.diarizing import Found
from actors.engine.process import EngineProcess
from actors.engine.protocol import Failed, Result
from actors.kernel.mailbox import Question
from actors.llm import Answer
from actors.subscription import Subscription
from storage.records import Chunk, Delivery, Job, Order, Segment, Span, Stage, Text, TextKind

# The model's state, which belongs to the lifecycle.


class Unloaded(msgspec.Struct, frozen=True):
    problem: str | None = None
    """Why the last load failed, where it did."""


class Loading(msgspec.Struct, frozen=True):
    model: str
    pulled: float | None = None
    """Share of the download that is done, 0 to 1, while there is a download."""


class WaitingForGpu(msgspec.Struct, frozen=True):
    model: str
    vram_needed_mb: int
    vram_free_mb: int
    retry_in_secs: int


class Ready(msgspec.Struct, frozen=True):
    model: str
    loaded_at: str


ModelState = Unloaded | Loading | WaitingForGpu | Ready


# To the lifecycle.


class RequireReady(Question[None], frozen=True):
    """Refused with NotReady unless the model is ready; begins a load where there is none."""


class State(Question[ModelState], frozen=True):
    pass


class LoadModel(Question[bool], frozen=True):
    """Answered whether the model is ready already."""


class UnloadModel(Question[None], frozen=True):
    pass


class Work(msgspec.Struct, frozen=True):
    """The job that the queue would go on with, and the model it wants (None: the default one)."""

    job_id: str | None
    model: str | None = None

    @property
    def waiting(self) -> bool:
        return self.job_id is not None


class WeightsPulled(msgspec.Struct, frozen=True):
    load: int
    done: int
    total: int


class WeightsFound(msgspec.Struct, frozen=True):
    load: int
    path: Path
    memory_mb: int


class WeightsMissing(msgspec.Struct, frozen=True):
    load: int
    problem: str
    certain: bool


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


class TimerRang(msgspec.Struct, frozen=True):
    """One of our own timers; ignored unless ``generation`` is still the latest of its kind."""

    timer: str
    generation: int


LifecycleMessage = (
    RequireReady
    | State
    | LoadModel
    | UnloadModel
    | Work
    | WeightsPulled
    | WeightsFound
    | WeightsMissing
    | EngineReady
    | EngineFailed
    | EngineEnded
    | TimerRang
)


# To the queue.


class Submit(Question[Job], frozen=True):
    """The input lies in the spool already, under ``job_id``, or is to be fetched."""

    job_id: str
    order: Order
    size_bytes: int | None
    most_open: int | None = None
    """How many jobs of this owner may be under way at once."""


class Cancel(Question[Job], frozen=True):
    job_id: str


class Restart(Question[Job], frozen=True):
    """Answered with the job as it is then; a job that waits stays as it is."""

    job_id: str


class Delete(Question[None], frozen=True):
    job_id: str


class Beat(msgspec.Struct, frozen=True):
    """Somebody works on this job, and this is how far it is."""

    job_id: str
    stage: Stage
    detail: str


class Fetched(msgspec.Struct, frozen=True):
    """The input lies in the spool now."""

    job_id: str
    size_bytes: int
    media_type: str | None
    filename: str | None


class FetchFailed(msgspec.Struct, frozen=True):
    job_id: str
    problem: str


class FetchesLost(msgspec.Struct, frozen=True):
    """Ingest was rebuilt: what it was at must be told again."""


class Planned(msgspec.Struct, frozen=True):
    job_id: str
    duration_secs: float
    chunks: tuple[Chunk, ...]
    waveform: bytes = b""
    """How loud equal parts of the recording are, 0 to 255."""


class SplitFailed(msgspec.Struct, frozen=True):
    job_id: str
    problem: str


class SplitsLost(msgspec.Struct, frozen=True):
    """The chunker was rebuilt: what it was at must be told again."""


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


class ModelReady(msgspec.Struct, frozen=True):
    model: str


class ModelGone(msgspec.Struct, frozen=True):
    pass


class ModelWaits(msgspec.Struct, frozen=True):
    """This model cannot be loaded now; it will be tried again while something wants it."""

    model: str


class ModelFailed(msgspec.Struct, frozen=True):
    """It is certain that this model will never load as things are."""

    model: str
    problem: str


class LookForStalled(msgspec.Struct, frozen=True):
    """Our own, now and then: is there still a sign of life of everybody who works for us?"""


class Drain(msgspec.Struct, frozen=True):
    """Start nothing new; park what runs once its chunk is committed, or now if in a ``hurry``."""

    hurry: bool = False


QueueMessage = (
    Submit
    | Cancel
    | Restart
    | Delete
    | Beat
    | Fetched
    | FetchFailed
    | FetchesLost
    | Planned
    | SplitFailed
    | SplitsLost
    | ChunkDone
    | ChunkFailed
    | ModelReady
    | ModelGone
    | ModelWaits
    | ModelFailed
    | LookForStalled
    | Drain
)


# To ingest.


class Fetch(msgspec.Struct, frozen=True):
    job_id: str
    url: str


class StopFetch(msgspec.Struct, frozen=True):
    job_id: str


IngestMessage = Fetch | StopFetch


# To the chunker.


class Split(msgspec.Struct, frozen=True):
    job_id: str


class StopSplit(msgspec.Struct, frozen=True):
    job_id: str


ChunkerMessage = Split | StopSplit


# To inference.


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
    engine: EngineProcess


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


# To the analyst.


class TextsWanted(msgspec.Struct, frozen=True):
    """A job has ended that has texts to be made of it."""


class WantText(Question[None], frozen=True):
    """Have a text written, or written anew."""

    job_id: str
    kind: TextKind
    language: str


class TextWritten(msgspec.Struct, frozen=True):
    text: Text
    job_id: str
    answer: Answer


AnalystMessage = TextsWanted | WantText | TextWritten


# To the diarizer.


class SpeakersWanted(msgspec.Struct, frozen=True):
    """A job has ended whose speakers are wanted."""


class SpeakersFound(msgspec.Struct, frozen=True):
    job_number: int
    job_id: str
    found: Found
    problem: str
    """Why nothing could be found out, where that is so."""


DiarizerMessage = SpeakersWanted | SpeakersFound


# To the broadcaster, and on to its subscribers.


class JobProgressed(msgspec.Struct, frozen=True):
    """A chunk is committed. ``segments`` are its own, the first of them ``first_segment``."""

    job_id: str
    percent: int
    chunks_done: int
    chunks_total: int
    first_segment: int
    segments: tuple[Segment, ...]


class JobEnded(msgspec.Struct, frozen=True):
    job_id: str


class JobChanged(msgspec.Struct, frozen=True):
    """A job's row, or what hangs on it, is not what it was. Only for those who follow all jobs."""

    job_id: str


class ModelChanged(msgspec.Struct, frozen=True):
    state: ModelState


class Subscribe(Question[Subscription], frozen=True):
    """``topic``: a job's id, MODEL or NEWS. The subscription is closed by its holder."""

    topic: str


class Unsubscribed(msgspec.Struct, frozen=True):
    """A subscription to this topic has been closed."""

    topic: str


class CloseStreams(msgspec.Struct, frozen=True):
    """End every subscription: the server is shutting down."""


BroadcasterMessage = (
    JobProgressed | JobEnded | JobChanged | ModelChanged | Subscribe | Unsubscribed | CloseStreams
)


# To the webhook dispatcher.


class Wake(msgspec.Struct, frozen=True):
    """Something new is in the outbox."""


class Replay(Question[bool], frozen=True):
    """Begin again with a delivery that is over. Answered whether there is one."""

    delivery_id: str


class Register(msgspec.Struct, frozen=True):
    """This URL is told of the model's comings and goings from now on."""

    url: str
    format: str


class ModelLoaded(msgspec.Struct, frozen=True):
    loaded_at: str


class ModelUnloaded(msgspec.Struct, frozen=True):
    pass


class Tried(msgspec.Struct, frozen=True):
    delivery: Delivery
    http_status: int | None
    error: str | None


WebhookMessage = Wake | Replay | Register | ModelLoaded | ModelUnloaded | Tried | TimerRang


# To the janitor.


class Release(msgspec.Struct, frozen=True):
    """The job is over: its decoded audio goes now, its input when its time has come."""

    job_id: str


class Remove(msgspec.Struct, frozen=True):
    """The job is deleted: all its files go now."""

    job_id: str


class Sweep(msgspec.Struct, frozen=True):
    pass


JanitorMessage = Release | Remove | Sweep
