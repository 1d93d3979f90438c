"""The actor that has a language model write analyses and translations of transcripts.

Only a job's webhook waits for these texts; the transcript is available before them.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

from actors.jobs.messages import JobChanged, JobEnded, TextSettled
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.publisher import Publish
from actors.llm.child import Answer
from actors.llm.messages import AnalystMessage, RequestText, TextWritten
from storage.errors import Conflict, NotFound
from storage.jobs import Jobs
from storage.records import Job, Status, Text, TextKind
from storage.texts import Texts
from storage.times import utc
from storage.usage import Usage

log = logging.getLogger(__name__)

MAX_PARALLEL = 2
MAX_TRIES = 3
"""If the server has ended this often while it worked on one text, the text is assumed to be the
cause, and it is not tried again."""

Write = Callable[[TextKind, str, Sequence[str]], Awaitable[Answer]]


class Analyst(Actor[AnalystMessage]):
    def __init__(
        self,
        mailbox: Mailbox[AnalystMessage],
        *,
        texts: Texts,
        jobs: Jobs,
        usage: Usage,
        publish: Publish,
        write: Write | None,
        tokens_a_day: int,
    ) -> None:
        """``write`` is None if there is no language model. ``tokens_a_day`` is the limit of tokens
        for one account within 24 hours; 0 is no limit."""
        super().__init__(mailbox)
        self._texts, self._jobs, self._usage = texts, jobs, usage
        self._publish = publish
        self._write, self._tokens_a_day = write, tokens_a_day
        self._writing: set[Text] = set()
        """The texts that this actor has begun. An analyst that ran before it reports to it, too."""

    async def started(self) -> None:
        await self._texts.reset_running()
        await self._begin_next()

    async def handle(self, message: AnalystMessage) -> object:
        match message:
            case RequestText():
                return await self._request(message)
            case JobEnded(order=order):
                return await self._begin_next() if order.assisted else None
            case TextWritten():
                return await self._text_written(message)
            case _:
                assert_never(message)

    async def _request(self, message: RequestText) -> None:
        job = await self._jobs.get(message.job_id)
        if job is None:
            raise NotFound(f"job {message.job_id} not found")
        if self._write is None:
            raise Conflict("No language model is set up on this server.")
        if job.status is not Status.DONE or not job.segments:
            raise Conflict("There is no transcript to work on.")
        await self._texts.want(job, message.kind, message.language, utc(time.time()))
        self._publish(JobChanged(job.id))
        await self._begin_next()

    async def _text_written(self, message: TextWritten) -> None:
        self._writing.discard(message.text)
        text, answer, now = message.text, message.answer, time.time()
        extra = {"job": message.job_id, "text": f"{text.kind} {text.language}"}
        if answer.error:
            log.warning("a text failed: %s", answer.error, extra=extra)
            await self._texts.failed(text, answer.error, answer.tokens, utc(now), now)
        else:
            log.info("a text is written", extra=extra)
            await self._texts.done(
                text, answer.text, answer.model, answer.truncated, answer.tokens, utc(now), now
            )
        self._publish(TextSettled(message.job_id))
        await self._begin_next()

    async def _begin_next(self) -> None:
        """Begin with texts that wait, as long as fewer than MAX_PARALLEL are being written."""
        for text, job_id in await self._texts.pending(MAX_PARALLEL - len(self._writing)):
            if await self._texts.begin(text, utc(time.time())):
                self._writing.add(text)
                self.spawn(self._run_text, text, job_id)

    # This part runs beside the mailbox, in a task of its own: the work on one text.

    async def _run_text(self, text: Text, job_id: str) -> None:
        try:
            answer = await self._write_text(text, job_id)
        except Exception:
            log.exception("a text failed", extra={"job": job_id})
            answer = Answer(error="an error in the server, which its log shows")
        self.me.tell(TextWritten(text, job_id, answer))

    async def _write_text(self, text: Text, job_id: str) -> Answer:
        job = await self._jobs.get(job_id)
        if job is None or self._write is None:
            return Answer(error="no language model is set up on this server")
        if text.tries >= MAX_TRIES:
            return Answer(error=f"the server ended {MAX_TRIES} times while it worked on this text")
        if await self._over_token_quota(job):
            return Answer(error="the language model's budget for today is used up")
        lines = [line for s in await self._jobs.transcript(job) if (line := s.text.strip())]
        if text.kind is TextKind.TRANSLATION and text.language == (
            job.order.written_in or job.language
        ):
            return Answer(text="\n".join(lines))
        return await self._write(text.kind, text.language, lines)

    async def _over_token_quota(self, job: Job) -> bool:
        owner = job.order.owner
        if not self._tokens_a_day or owner is None:
            return False
        _, spent = await self._usage.last_day(owner)
        return spent >= self._tokens_a_day
