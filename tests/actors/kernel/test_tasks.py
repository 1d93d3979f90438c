import anyio
import pytest

from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.tasks import Tasks

pytestmark = pytest.mark.anyio


class Worker(Actor[str]):
    """``begin`` and ``stop`` work that never ends by itself; ``end`` lets all of it end."""

    def __init__(self) -> None:
        super().__init__(Mailbox("worker"))
        self.work = Tasks(self)
        self.live = self.begun = 0
        self.over = anyio.Event()

    async def handle(self, message: str) -> object:
        match message:
            case "begin":
                self.work.begin("a", self._work)
            case "stop":
                self.work.stop("a")
            case "end":
                self.over.set()
                self.over = anyio.Event()
        return None

    async def _work(self) -> None:
        self.live, self.begun = self.live + 1, self.begun + 1
        try:
            await self.over.wait()
        finally:
            self.live -= 1


@pytest.mark.parametrize(
    ("messages", "live"),
    [
        ("begin", 1),
        ("begin begin", 1),
        ("begin stop", 0),
        ("begin stop begin", 1),
        ("begin stop begin begin", 1),
        ("begin stop begin stop", 0),
        ("begin . stop begin . begin . stop", 0),
        ("begin . end . begin", 1),
        ("stop", 0),
    ],
)
async def test_there_is_one_piece_of_work_for_a_key_and_it_can_be_stopped(
    messages: str, live: int
) -> None:
    worker = Worker()
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        for message in messages.split():
            if message == ".":
                await anyio.wait_all_tasks_blocked()
            else:
                worker.me.tell(message)
        await anyio.wait_all_tasks_blocked()
        assert worker.live == live
        group.cancel_scope.cancel()
