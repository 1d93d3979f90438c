"""The actor that knows who waits for which job, and gives up jobs that nobody waits for."""

from collections import Counter
from typing import assert_never

import msgspec

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
MOST_TRIES = 40
"""How often an upload may put that off: for ten minutes."""


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
        self._left: dict[str, int] = {}
        """For jobs that nobody waits for: the number of the time at which the last one left."""
        self._times = 0
        self._uploads = 0

    async def handle(self, message: AttendanceMessage) -> None:
        match message:
            case Attend(job_id):
                self._waiting[job_id] += 1
                self._left.pop(job_id, None)
            case Leave():
                self._leave(message)
            case UploadBegun():
                self._uploads += 1
            case UploadEnded():
                self._uploads = max(0, self._uploads - 1)
            case StillAlone():
                self._give_up(message)
            case _:
                assert_never(message)

    def _leave(self, message: Leave) -> None:
        job_id = message.job_id
        if job_id not in self._waiting:
            return  # the one who came was counted before a crash of this actor
        self._waiting[job_id] -= 1
        if not self._waiting[job_id]:
            del self._waiting[job_id]
            self._times += 1
            self._left[job_id] = self._times
            self.later(GRACE_S, StillAlone(message, self._times))

    def _give_up(self, message: StillAlone) -> None:
        job_id = message.leave.job_id
        if self._left.get(job_id) != message.number:
            return  # somebody has come meanwhile
        if self._uploads and message.tries < MOST_TRIES:
            again = msgspec.structs.replace(message, tries=message.tries + 1)
            self.later(GRACE_S, again)
            return
        del self._left[job_id]
        self._publish(JobAbandoned(job_id, message.leave.attempt))
