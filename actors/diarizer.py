"""Finds out who spoke when, after the transcript is saved and without ever touching it."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import assert_never

import anyio

from actors.audio.diarizing import Found, Listening, find
from actors.engine.catalogue import Model
from actors.engine.pulling import PullFailed, pull
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Address, Mailbox
from actors.kernel.processes import Killed
from actors.messages import (
    BroadcasterMessage,
    DiarizerMessage,
    JanitorMessage,
    JobChanged,
    Release,
    SpeakersFound,
    SpeakersWanted,
)
from storage.blobs import Spool
from storage.records import Speakers, SpeakersStatus
from storage.speakers import SpeakerTurns
from storage.times import utc

log = logging.getLogger(__name__)

TRIES = 3
"""Ends of the server in the middle of a recording, after which the recording is to blame."""

PULL_AGAIN_S = 3600.0
"""After a download of the models that failed."""

Find = Callable[[Path, Listening], Awaitable[Found]]
Pull = Callable[[Model, Callable[[int, int], object]], Awaitable[None]]


class Diarizer(Actor[DiarizerMessage]):
    def __init__(
        self,
        mailbox: Mailbox[DiarizerMessage],
        *,
        speakers: SpeakerTurns,
        spool: Spool,
        janitor: Address[JanitorMessage],
        broadcaster: Address[BroadcasterMessage],
        listening: Listening,
        voices: Sequence[Model],
        find: Find = find,
        pull: Pull = pull,
    ) -> None:
        """``voices``: the models for voices, which are downloaded when one is first needed."""
        super().__init__(mailbox)
        self._speakers, self._spool, self._janitor, self._find = speakers, spool, janitor, find
        self._broadcaster, self._pull = broadcaster, pull
        self._listening, self._voices = listening, voices
        self._pull_failed: tuple[float, str] | None = None
        self._busy = False

    async def started(self) -> None:
        await self._speakers.revive()
        await self._step()

    async def handle(self, message: DiarizerMessage) -> object:
        match message:
            case SpeakersWanted():
                return await self._step()
            case SpeakersFound():
                return await self._found(message)
            case _:
                assert_never(message)

    async def _found(self, message: SpeakersFound) -> None:
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
        self._broadcaster.tell(JobChanged(message.job_id))
        self._janitor.tell(Release(message.job_id))
        await self._step()

    async def _step(self) -> None:
        """One recording at a time: it is for the processor what a chunk is for the engine."""
        if self._busy:
            return
        waiting = await self._speakers.next()
        if waiting and await self._speakers.begin(waiting[0].job_number, utc(time.time())):
            self._busy = True
            self.beside(self._look, *waiting)

    # Beside the mailbox: one recording.

    async def _look(self, speakers: Speakers, job_id: str) -> None:
        found, problem = Found(), ""
        recording = self._spool.input(job_id)
        if speakers.tries >= TRIES:
            problem = f"the server was ended over this recording, {TRIES} times"
        elif not recording.exists():
            problem = "the recording is no longer kept"
        else:
            try:
                found = await self._found_in(recording)
            except TimeoutError:
                problem = "it took too long"
            except Killed as killed:
                problem = f"the child that listens did not live: {killed}"
            except Exception:
                log.exception("looking for speakers failed", extra={"job": job_id})
                problem = "an error in the server, which its log shows"
        self.me.tell(SpeakersFound(speakers.job_number, job_id, found, problem))

    async def _found_in(self, recording: Path) -> Found:
        found = await self._find(recording, self._listening)
        if not found.wants_models:
            return found
        if problem := await self._pull_voices():
            return Found(unavailable=f"{found.unavailable}: {problem}")
        return await self._find(recording, self._listening)

    async def _pull_voices(self) -> str:
        """Why the models are not there now, if so. (One recording at a time: nobody else pulls.)"""
        if self._pull_failed and anyio.current_time() - self._pull_failed[0] < PULL_AGAIN_S:
            return self._pull_failed[1]
        self._pull_failed = None
        try:
            for model in self._voices:
                if not model.path.exists():
                    log.info("downloading %s for speakers", model.path.name)
                    await self._pull(model, lambda *_: None)
        except PullFailed as failed:
            log.warning("speakers: %s", failed.message)
            self._pull_failed = anyio.current_time(), failed.message
            return failed.message
        return ""
