"""What ingest and the chunker are told, and the facts about recordings that they tell the queue."""

import msgspec

from actors.kernel.mailbox import Question
from storage.records import Chunk, Stage


class Heartbeat(msgspec.Struct, frozen=True):
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


class MakeRoom(Question[None], frozen=True):
    """Remove old recordings until ``wanted`` bytes fit on the disk, as far as that is allowed."""

    wanted: int


class Fetch(msgspec.Struct, frozen=True):
    job_id: str
    url: str


class StopFetch(msgspec.Struct, frozen=True):
    job_id: str


IngestMessage = Fetch | StopFetch


class Split(msgspec.Struct, frozen=True):
    job_id: str


class StopSplit(msgspec.Struct, frozen=True):
    job_id: str


ChunkerMessage = Split | StopSplit
