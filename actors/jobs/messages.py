"""The messages that the queue, the janitor and attendance receive, and the facts about jobs."""

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

# Facts. Each is published after its transaction is committed, so the database has it already.


class JobFact(msgspec.Struct, frozen=True):
    """Something has happened to a job."""

    job_id: str


class JobQueued(JobFact, frozen=True):
    """A job was accepted or restarted."""

    order: Order


class JobChanged(JobFact, frozen=True):
    """A job's row, or a row that belongs to it, has changed."""


class ChunkCommitted(JobFact, frozen=True):
    """A chunk's segments are in the database.

    ``first_segment`` is the index of the first of ``segments`` in the whole transcript.
    """

    percent: int
    chunks_done: int
    chunks_total: int
    first_segment: int
    segments: tuple[Segment, ...]


class JobEnded(JobFact, frozen=True):
    """A job is done, failed or cancelled."""

    order: Order


class JobDeleted(JobFact, frozen=True):
    owner: int | None
    channel: str


class JobExpired(JobFact, frozen=True):
    """A job ended more than KEEP_JOBS_DAYS ago, so that the queue is to delete it."""


class JobAbandoned(JobFact, frozen=True):
    """Nobody waits for the job any more, so that the queue is to cancel this attempt at it."""

    attempt: int


class FetchedAfterEnd(JobFact, frozen=True):
    """A recording was fetched for a job that ended before the fetch did."""


class SpeakersSettled(JobFact, frozen=True):
    """The speaker turns of a job are known now, or the diarizer could not find them."""


class TextSettled(JobFact, frozen=True):
    """The language model has written one of the job's texts, or failed to."""


# To the queue.


class Submit(Question[Job], frozen=True):
    """Accept a job. Its input is in the spool already, under ``job_id``, or is to be fetched."""

    job_id: str
    order: Order
    size_bytes: int | None
    max_open_jobs: int | None = None
    """How many jobs of this owner may be open (queued or running) at once; None: no limit."""


class Cancel(Question[Job], frozen=True):
    job_id: str


class Restart(Question[Job], frozen=True):
    """Start a job again; the answer is the job afterwards. A queued job is not changed."""

    job_id: str


class Delete(Question[None], frozen=True):
    job_id: str


class Rename(Question[Job], frozen=True):
    """Call a job by another label; None: by the name of its file again."""

    job_id: str
    label: str | None


class CheckStalled(msgspec.Struct, frozen=True):
    """The queue tells itself this every 30 s: look for fetches and decodings without heartbeat."""


class Rested(msgspec.Struct, frozen=True):
    """The queue tells itself: the pause after a crash of this job is over."""

    job_id: str


class Drain(msgspec.Struct, frozen=True):
    """Start nothing new, and put running jobs back to queued.

    The chunk in flight is finished and committed first, unless ``hurry``: then it is aborted.
    """

    hurry: bool = False


QueueMessage = (
    Submit
    | Cancel
    | Restart
    | Delete
    | Rename
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
    | JobAbandoned
    | Rested
    | CheckStalled
    | Drain
)


# To the janitor.


class Sweep(msgspec.Struct, frozen=True):
    """The janitor tells itself this every 10 minutes: check all files and old jobs."""


JanitorMessage = JobEnded | JobDeleted | FetchedAfterEnd | SpeakersSettled | MakeRoom | Sweep


# To attendance.


class Attend(msgspec.Struct, frozen=True):
    """A request waits for the job's transcript."""

    job_id: str


class Leave(msgspec.Struct, frozen=True):
    """A request waits no longer: it has its transcript, or its client has hung up."""

    job_id: str
    attempt: int


class UploadBegun(msgspec.Struct, frozen=True):
    """A request that is to wait for its job is being uploaded."""


class UploadEnded(msgspec.Struct, frozen=True):
    """It has been uploaded, and waits for its job; or it was refused."""


class StillAlone(msgspec.Struct, frozen=True):
    """Attendance tells itself this some time after the last one has left a job."""

    leave: Leave
    number: int
    """Of the time at which the last one left."""
    tries: int = 1


AttendanceMessage = Attend | Leave | UploadBegun | UploadEnded | StillAlone
