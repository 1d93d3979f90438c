"""What the diarizer is told."""

import msgspec

from actors.diarization.process import Diarization
from actors.jobs.messages import JobEnded


class SpeakersFound(msgspec.Struct, frozen=True):
    """The diarizer tells itself what came of a recording."""

    job_number: int
    job_id: str
    found: Diarization
    problem: str
    """Why nothing could be found out, where that is so."""


DiarizerMessage = JobEnded | SpeakersFound
