"""The messages that ingest and the chunker receive, and the facts that they publish."""

import msgspec

from actors.kernel.mailbox import Question
from storage.records import Chunk, Stage


class Heartbeat(msgspec.Struct, frozen=True):
    """A job is still being prepared; ``detail`` says how far it is, as a text for people."""

    job_id: str
    stage: Stage
    detail: str


class Fetched(msgspec.Struct, frozen=True):
    """The job's input is in the spool now."""

    job_id: str
    size_bytes: int
    media_type: str | None
    filename: str | None


class FetchFailed(msgspec.Struct, frozen=True):
    job_id: str
    problem: str


class FetchesLost(msgspec.Struct, frozen=True):
    """Ingest was rebuilt after a crash: its fetches are lost and must be begun again."""


class Planned(msgspec.Struct, frozen=True):
    job_id: str
    duration_secs: float
    chunks: tuple[Chunk, ...]
    waveform: bytes = b""
    """The loudness of equal parts of the recording, one byte each, 0 to 255."""
    notices: tuple[str, ...] = ()
    """What the user should know about the recording: sentences."""


class SplitFailed(msgspec.Struct, frozen=True):
    job_id: str
    problem: str


class SplitsLost(msgspec.Struct, frozen=True):
    """The chunker was rebuilt after a crash: its work is lost and must be begun again."""


class MakeRoom(Question[None], frozen=True):
    """Ask the janitor to remove old recordings until ``wanted`` bytes fit on the disk.

    It may not be able to free that much, because it removes only recordings of ended jobs.
    """

    wanted: int


class Fetch(msgspec.Struct, frozen=True):
    job_id: str
    url: str


class StopFetch(msgspec.Struct, frozen=True):
    job_id: str


IngestMessage = Fetch | StopFetch


class Split(msgspec.Struct, frozen=True):
    job_id: str
    audio_track: int | None = None
    """From 1; None: the file's default."""
    vad: bool = True
    """Whether sound in which nobody speaks is left out."""


class StopSplit(msgspec.Struct, frozen=True):
    job_id: str


ChunkerMessage = Split | StopSplit
