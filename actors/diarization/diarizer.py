"""The actor that finds out who speaks when in a recording.

It begins after the transcript is saved, and it never changes the transcript.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import assert_never

import anyio

from actors.diarization.messages import DiarizerMessage, SpeakersFound
from actors.diarization.process import Diarization
from actors.jobs.messages import JobEnded, SpeakersSettled
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.processes import Killed
from actors.kernel.publisher import Publish
from actors.models.catalogue import Model
from actors.models.downloads import PullFailed, pull
from storage.blobs import Spool
from storage.records import Speakers, SpeakersStatus
from storage.speakers import SpeakerTurns
from storage.times import utc

log = logging.getLogger(__name__)

MAX_TRIES = 3
"""If the server has ended this often while it worked on one recording, the recording is assumed
to be the cause, and it is not tried again."""

PULL_RETRY_S = 3600.0
"""Seconds to wait after a failed download of the voice models before trying it again."""

Find = Callable[[Path, int | None], Awaitable[Diarization]]
"""Finds the speaker turns of a recording, of which the second argument is the audio track."""
Pull = Callable[[Model, Callable[[int, int], object]], Awaitable[None]]


class Diarizer(Actor[DiarizerMessage]):
    def __init__(
        self,
        mailbox: Mailbox[DiarizerMessage],
        *,
        speakers: SpeakerTurns,
        spool: Spool,
        publish: Publish,
        voice_models: Sequence[Model],
        diarize_file: Find,
        pull: Pull = pull,
    ) -> None:
        """``voice_models``: the voice models, which are downloaded when they are first needed."""
        super().__init__(mailbox)
        self._speakers, self._spool, self._publish = speakers, spool, publish
        self._diarize_file, self._pull = diarize_file, pull
        self._voice_models = voice_models
        self._pull_failed: tuple[float, str] | None = None
        self._busy = False

    async def started(self) -> None:
        await self._speakers.reset_running()
        await self._begin_next()

    async def handle(self, message: DiarizerMessage) -> object:
        match message:
            case JobEnded(order=order):
                return await self._begin_next() if order.speakers else None
            case SpeakersFound():
                return await self._store_result(message)
            case _:
                assert_never(message)

    async def _store_result(self, message: SpeakersFound) -> None:
        self._busy = False
        found, now = message.found, utc(time.time())
        if message.problem:
            status, error = SpeakersStatus.FAILED, message.problem
        elif found.unavailable:
            status, error = SpeakersStatus.UNAVAILABLE, found.unavailable
        else:
            status, error = SpeakersStatus.DONE, None
        await self._speakers.settle(
            message.job_number,
            status,
            now,
            provider=found.provider or None,
            turns=found.turns,
            error=error,
        )
        log.info("speakers: %s", error or status, extra={"job": message.job_id})
        self._publish(SpeakersSettled(message.job_id))
        await self._begin_next()

    async def _begin_next(self) -> None:
        """Begin the next recording, unless one is being worked on.

        One at a time, because telling speakers apart keeps the CPU busy.
        """
        if self._busy:
            return
        waiting = await self._speakers.next()
        if waiting and await self._speakers.begin(waiting[0].job_number, utc(time.time())):
            self._busy = True
            self.spawn(self._diarize, *waiting)

    # This part runs beside the mailbox, in a task of its own: the work on one recording.

    async def _diarize(self, speakers: Speakers, job_id: str, track: int | None) -> None:
        found, problem = Diarization(), ""
        recording = self._spool.input(job_id)
        if speakers.tries >= MAX_TRIES:
            problem = f"the server ended {MAX_TRIES} times while it worked on this recording"
        elif not recording.exists():
            problem = "the recording is no longer kept"
        else:
            try:
                found = await self._found_in(recording, track)
            except TimeoutError:
                problem = "telling the speakers apart took too long"
            except Killed as killed:
                problem = f"the process that tells speakers apart failed: {killed}"
            except Exception:
                log.exception("telling the speakers apart failed", extra={"job": job_id})
                problem = "an error in the server, which its log shows"
        self.me.tell(SpeakersFound(speakers.job_number, job_id, found, problem))

    async def _found_in(self, recording: Path, track: int | None) -> Diarization:
        found = await self._diarize_file(recording, track)
        if not found.needs_voice_models:
            return found
        if problem := await self._pull_voice_models():
            return Diarization(unavailable=f"{found.unavailable}: {problem}")
        return await self._diarize_file(recording, track)

    async def _pull_voice_models(self) -> str:
        """Download the voice models that are missing; returns why this failed, or an empty text.

        Only one recording is worked on at a time, so no two downloads run at once.
        """
        if self._pull_failed and anyio.current_time() - self._pull_failed[0] < PULL_RETRY_S:
            return self._pull_failed[1]
        self._pull_failed = None
        try:
            for model in self._voice_models:
                if not model.path.exists():
                    log.info("downloading %s for speakers", model.path.name)
                    await self._pull(model, lambda *_: None)
        except PullFailed as failed:
            log.warning("speakers: %s", failed.message)
            self._pull_failed = anyio.current_time(), failed.message
            return failed.message
        return ""
