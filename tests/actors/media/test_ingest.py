from typing import Any

import anyio
import pytest

from actors.jobs.messages import QueueMessage
from actors.kernel.mailbox import Mailbox
from actors.media.fetching import Input
from actors.media.ingest import Ingest
from actors.media.messages import Fetch, Fetched, FetchesLost, FetchFailed, IngestMessage, StopFetch
from storage.errors import Invalid
from tests.probe import Probe

pytestmark = pytest.mark.anyio


class Web:
    """Fetches that go on until they are stopped."""

    def __init__(self) -> None:
        self.live = 0
        self.began, self.ended = anyio.Event(), anyio.Event()

    async def fetch(self, job_id: str, url: str, report: object) -> Input:
        self.live += 1
        self.began.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.live -= 1
            self.ended.set()
        raise AssertionError("unreachable")


async def test_a_fetch_that_was_begun_again_can_still_be_stopped() -> None:
    web, me = Web(), Mailbox[IngestMessage]("ingest")
    async with anyio.create_task_group() as group:
        group.start_soon(Ingest(me, fetch=web.fetch, publish=Probe[Any]().tell).run)
        me.tell(Fetch("job", "http://x/"))
        await web.began.wait()
        for message in (StopFetch("job"), Fetch("job", "http://x/")):
            me.tell(message)
        await web.ended.wait()
        web.began, web.ended = anyio.Event(), anyio.Event()
        me.tell(Fetch("job", "http://x/"))
        await anyio.wait_all_tasks_blocked()
        assert web.live == 1, "one fetch for one job"
        me.tell(StopFetch("job"))
        await web.ended.wait()
        assert web.live == 0
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Invalid("the source_url answered 404"), "the source_url answered 404"),
        (Invalid("odd: \udcff\0"), "odd: ?"),
        (RuntimeError("/secret/path"), "the file could not be fetched: an error in the server, "
         "which its log shows"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_is_told_in_a_sentence(error: Exception, sentence: str) -> None:
    async def fetch(*_: object) -> Input:
        raise error

    queue: Probe[QueueMessage] = Probe()
    me = Mailbox[IngestMessage]("ingest")
    async with anyio.create_task_group() as group:
        group.start_soon(Ingest(me, fetch=fetch, publish=queue.tell).run)
        me.tell(Fetch("job", "http://x/"))
        assert await queue.next() == FetchesLost()
        assert await queue.next(FetchFailed) == FetchFailed("job", sentence)
        group.cancel_scope.cancel()


async def test_names_are_stored_as_far_as_they_are_text() -> None:
    async def fetch(*_: object) -> Input:
        return Input(3, "audio/\udcff", "a\udcff.wav")

    queue: Probe[QueueMessage] = Probe()
    me = Mailbox[IngestMessage]("ingest")
    async with anyio.create_task_group() as group:
        group.start_soon(Ingest(me, fetch=fetch, publish=queue.tell).run)
        me.tell(Fetch("job", "http://x/"))
        assert await queue.next(Fetched) == Fetched("job", 3, "audio/?", "a?.wav")
        group.cancel_scope.cancel()
