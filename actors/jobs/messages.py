"""What the queue and the janitor are told and asked, and the facts about jobs."""

import msgspec

from actors.engine.messages import ChunkDone, ChunkFailed
from actors.kernel.mailbox import Question
from actors.media.messages import (
    Fetched,
    FetchesLost,
    FetchFailed,
    Heartbeat,
    MakeRoom,
    Planned,
    SplitFailed,
    SplitsLost,
)
from actors.models.messages import ModelFailed, ModelGone, ModelReady, ModelWaits
from storage.records import Job, Order, Segment

# Facts. Each is published after its commit: the rows say it already.


class JobFact(msgspec.Struct, frozen=True):
    """Something has happened to a job."""

    job_id: str


class JobQueued(JobFact, frozen=True):
    """A job was accepted or restarted."""

    order: Order


class JobChanged(JobFact, frozen=True):
    """A job's row, or what belongs to it, is not what it was."""


class ChunkCommitted(JobFact, frozen=True):
    """``segments`` are those of the chunk, the first of them ``first_segment``."""

    percent: int
    chunks_done: int
    chunks_total: int
    first_segment: int
    segments: tuple[Segment, ...]


class JobEnded(JobFact, frozen=True):
    """A job is done, failed or cancelled."""

    order: Order


class JobDeleted(JobFact, frozen=True):
    pass


class JobExpired(JobFact, frozen=True):
    """A job has been kept as long as KEEP_JOBS_DAYS says."""


class RecordingArrivedLate(JobFact, frozen=True):
    """A recording was fetched for a job that has ended meanwhile."""


class SpeakersSettled(JobFact, frozen=True):
    """Who speaks when is known now, or that it will not be."""


class TextSettled(JobFact, frozen=True):
    """The language model has written one of the job's texts, or failed to."""


# To the queue.


class Submit(Question[Job], frozen=True):
    """The input lies in the spool already, under ``job_id``, or is to be fetched."""

    job_id: str
    order: Order
    size_bytes: int | None
    most_open: int | None = None
    """How many jobs of this owner may be open at once."""


class Cancel(Question[Job], frozen=True):
    job_id: str


class Restart(Question[Job], frozen=True):
    """Answered with the job as it is then; a job that waits stays as it is."""

    job_id: str


class Delete(Question[None], frozen=True):
    job_id: str


class LookForStalled(msgspec.Struct, frozen=True):
    """The queue tells itself, now and then: does everybody who prepares a job still report?"""


class Drain(msgspec.Struct, frozen=True):
    """Start nothing new; park what runs once its chunk is committed, or now if in a ``hurry``."""

    hurry: bool = False


QueueMessage = (
    Submit
    | Cancel
    | Restart
    | Delete
    | Heartbeat
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
    | JobExpired
    | LookForStalled
    | Drain
)


# To the janitor.


class Sweep(msgspec.Struct, frozen=True):
    """The janitor tells itself, now and then: look at every file."""


JanitorMessage = JobEnded | JobDeleted | RecordingArrivedLate | SpeakersSettled | MakeRoom | Sweep
