"""Finds out who spoke when, after the transcript is saved and without ever touching it."""

import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import assert_never

from actors.audio.diarizing import Found, find
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Address, Mailbox
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

Find = Callable[[Path], Awaitable[Found]]


class Diarizer(Actor[DiarizerMessage]):
    def __init__(
        self,
        mailbox: Mailbox[DiarizerMessage],
        *,
        speakers: SpeakerTurns,
        spool: Spool,
        janitor: Address[JanitorMessage],
        broadcaster: Address[BroadcasterMessage],
        find: Find = find,
    ) -> None:
        super().__init__(mailbox)
        self._speakers, self._spool, self._janitor, self._find = speakers, spool, janitor, find
        self._broadcaster = broadcaster
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
                found = await self._find(recording)
            except TimeoutError:
                problem = "it took too long"
            except Exception:
                log.exception("looking for speakers failed", extra={"job": job_id})
                problem = "an error in the server, which its log shows"
        self.me.tell(SpeakersFound(speakers.job_number, job_id, found, problem))
