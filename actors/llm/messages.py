"""What the analyst is told and asked."""

import msgspec

from actors.jobs.messages import JobEnded
from actors.kernel.mailbox import Question
from actors.llm.child import Answer
from storage.records import Text, TextKind


class RequestText(Question[None], frozen=True):
    """Have a text written, or written anew."""

    job_id: str
    kind: TextKind
    language: str


class TextWritten(msgspec.Struct, frozen=True):
    """The analyst tells itself what came of a text."""

    text: Text
    job_id: str
    answer: Answer


AnalystMessage = JobEnded | RequestText | TextWritten
