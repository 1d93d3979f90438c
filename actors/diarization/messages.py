"""The messages that the diarizer receives."""

import msgspec

from actors.diarization.process import Diarization
from actors.jobs.messages import JobEnded


class SpeakersFound(msgspec.Struct, frozen=True):
    """The diarizer tells itself the outcome of the work on one recording."""

    job_number: int
    job_id: str
    found: Diarization
    problem: str
    """Why the work failed; empty if it did not."""


DiarizerMessage = JobEnded | SpeakersFound
