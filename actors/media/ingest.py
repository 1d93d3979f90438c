"""The actor that fetches the recordings of jobs that were submitted with a URL."""

import logging
import time
from collections.abc import Awaitable, Callable
from itertools import chain, repeat
from typing import assert_never

import anyio

from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.publisher import Publish
from actors.kernel.tasks import Tasks
from actors.media.fetching import Input
from actors.media.messages import (
    Fetch,
    Fetched,
    FetchesLost,
    FetchFailed,
    Heartbeat,
    IngestMessage,
    MakeRoom,
    StopFetch,
)
from storage.errors import Invalid, NoSpace
from storage.records import Stage

log = logging.getLogger(__name__)

HEARTBEAT_S = 5.0
WANTED_FREE_BYTES = 4 << 30
"""The free space that the janitor is asked for if the disk is full."""
FULL_DISK_PAUSES_S = (10.0, 30.0, 100.0, 300.0)
"""Seconds between tries while the disk is full. They grow, because a file whose size the source
does not say is fetched again at each try until the disk is full."""

GetInput = Callable[[str, str, Callable[[str], None]], Awaitable[Input]]


class Ingest(Actor[IngestMessage]):
    def __init__(
        self,
        mailbox: Mailbox[IngestMessage],
        *,
        fetch: GetInput,
        publish: Publish,
    ) -> None:
        super().__init__(mailbox)
        self._fetch, self._publish = fetch, publish
        self._fetches = Tasks(self)

    async def started(self) -> None:
        self._publish(FetchesLost())

    async def handle(self, message: IngestMessage) -> object:
        match message:
            case Fetch(job_id):
                return self._fetches.begin(job_id, self._get, message)
            case StopFetch(job_id):
                return self._fetches.stop(job_id)
            case _:
                assert_never(message)

    # This part runs beside the mailbox, in a task of its own: one fetch.

    async def _get(self, message: Fetch) -> None:
        job_id = message.job_id
        try:
            got = await self._got_when_there_is_room(message)
            named = got.filename and _storable(got.filename)
            kind = got.media_type and _storable(got.media_type)
            self._publish(Fetched(job_id, got.size_bytes, kind, named))
        except Exception as error:
            if not isinstance(error, Invalid):
                log.exception("fetching failed", extra={"job": job_id})
            self._publish(FetchFailed(job_id, _storable(_sentence(error))))

    async def _got_when_there_is_room(self, message: Fetch) -> Input:
        """Fetch a recording; if the disk is full, wait and try again.

        The job has been accepted, so it must not fail because the server lacks room.
        """
        pulse = _HeartbeatSender(message.job_id, self._publish)
        for pause in chain(FULL_DISK_PAUSES_S, repeat(FULL_DISK_PAUSES_S[-1])):
            try:
                return await self._fetch(message.job_id, message.url, pulse.report)
            except NoSpace as error:
                log.warning("%s; trying again", error.message, extra={"job": message.job_id})
                pulse.report(error.message)
                self._publish(MakeRoom(WANTED_FREE_BYTES))
            await anyio.sleep(pause)
        raise AssertionError("unreachable")


class _HeartbeatSender:
    """Sends heartbeats to the queue, at most one every HEARTBEAT_S seconds, because each is
    stored."""

    def __init__(self, job_id: str, publish: Publish) -> None:
        self._job_id, self._publish = job_id, publish
        self._last = time.monotonic()

    def report(self, detail: str) -> None:
        if time.monotonic() - self._last >= HEARTBEAT_S:
            self._last = time.monotonic()
            self._publish(Heartbeat(self._job_id, Stage.FETCHING, _storable(detail)))


def _storable(text: str) -> str:
    """A text from another server, without the characters that cannot be stored as text."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _sentence(error: Exception) -> str:
    if isinstance(error, Invalid):
        return error.message
    return "the file could not be fetched: an error in the server, which its log shows"
