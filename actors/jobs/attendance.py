"""The actor that knows who waits for which job, and gives up jobs that nobody waits for."""

from collections import Counter
from typing import assert_never

from actors.jobs.messages import (
    Attend,
    AttendanceMessage,
    JobAbandoned,
    Leave,
    StillAlone,
    UploadBegun,
    UploadEnded,
)
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.publisher import Publish

GRACE_S = 15.0
"""Seconds that a job goes on when nobody waits for it any more. Clients that lose their connection
send the same again: OpenAI's wait up to 8 s before they do."""


class Attendance(Actor[AttendanceMessage]):
    """For requests that are answered with the transcript itself.

    A client that hangs up has no use for its job, unless it comes again or somebody else waits for
    the same job. While any such request is being uploaded, nothing is given up: it may be the one.
    If this actor crashes, or the server is restarted, jobs of that time are not given up at all.
    """

    def __init__(self, mailbox: Mailbox[AttendanceMessage], *, publish: Publish) -> None:
        super().__init__(mailbox)
        self._publish = publish
        self._waiting: Counter[str] = Counter()
        """How many requests wait for each job."""
        self._uploads = 0

    async def handle(self, message: AttendanceMessage) -> object:
        match message:
            case Attend(job_id):
                return self._waiting.update([job_id])
            case Leave(job_id):
                return self._leave(job_id)
            case UploadBegun():
                self._uploads += 1
            case UploadEnded():
                self._uploads = max(0, self._uploads - 1)
            case StillAlone(job_id):
                return self._give_up(job_id)
            case _:
                assert_never(message)
        return None

    def _leave(self, job_id: str) -> None:
        self._waiting[job_id] -= 1
        if self._waiting[job_id] <= 0:
            del self._waiting[job_id]
            self.later(GRACE_S, StillAlone(job_id))

    def _give_up(self, job_id: str) -> None:
        if job_id in self._waiting:
            return
        if self._uploads:
            self.later(GRACE_S, StillAlone(job_id))
            return
        self._publish(JobAbandoned(job_id))
