"""The messages that the analyst receives."""

import msgspec

from actors.jobs.messages import JobEnded
from actors.kernel.mailbox import Question
from actors.llm.child import Answer
from storage.records import Text, TextKind


class RequestText(Question[None], frozen=True):
    """Have a text written, or written again.

    Refused with NotFound if there is no such job, and with Conflict if there is no language model
    or no transcript.
    """

    job_id: str
    kind: TextKind
    language: str


class TextWritten(msgspec.Struct, frozen=True):
    """The analyst tells itself the outcome of the work on one text."""

    text: Text
    job_id: str
    answer: Answer


AnalystMessage = JobEnded | RequestText | TextWritten
