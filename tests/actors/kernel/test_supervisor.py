import logging
from typing import Any

import anyio
import pytest
import trio.testing

from actors.kernel.actor import Actor
from actors.kernel.mailbox import Crashed, Mailbox, NoAnswer, Question
from actors.kernel.supervisor import FULL_DISK_PAUSE_S, RESTARTS, WINDOW_S, GaveUp, supervise
from storage.errors import Fatal, Invalid, NoSpace

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Do(Question[str], frozen=True):
    what: str


class Worker(Actor[Do]):
    built = 0

    async def started(self) -> None:
        type(self).built += 1

    async def handle(self, message: Do) -> str:
        match message.what:
            case "crash":
                raise RuntimeError("as told")
            case "refuse":
                raise Invalid("not that")
            case "fill the disk":
                raise NoSpace("the disk is full")
            case "die":
                raise Fatal("the disk is gone")
            case "crash later":
                self.spawn(self._crash)
        return f"did {message.what}"

    async def _crash(self) -> None:
        raise RuntimeError("beside")


@pytest.fixture
def mailbox(caplog: pytest.LogCaptureFixture) -> Mailbox[Do]:
    caplog.set_level(logging.CRITICAL)
    Worker.built = 0
    return Mailbox("worker")


async def test_a_crash_reaches_the_asker_and_the_next_actor_answers(mailbox: Mailbox[Do]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(supervise, {"worker": lambda: Worker(mailbox)})
        with pytest.raises(Crashed):
            await mailbox.ask(Do("crash"))
        assert await mailbox.ask(Do("work")) == "did work"
        assert Worker.built == 2
        group.cancel_scope.cancel()


async def test_a_refusal_crashes_nothing(mailbox: Mailbox[Do]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(supervise, {"worker": lambda: Worker(mailbox)})
        with pytest.raises(Invalid):
            await mailbox.ask(Do("refuse"))
        await mailbox.ask(Do("work"))
        assert Worker.built == 1
        group.cancel_scope.cancel()


async def test_a_refusal_of_what_was_told_leaves_nothing_half_done(mailbox: Mailbox[Do]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(supervise, {"worker": lambda: Worker(mailbox)})
        mailbox.tell(Do("refuse"))
        await mailbox.ask(Do("work"))
        assert Worker.built == 2
        group.cancel_scope.cancel()


async def test_what_nobody_waits_for_any_more_is_not_begun(mailbox: Mailbox[Do]) -> None:
    with pytest.raises(NoAnswer):
        await mailbox.ask(Do("crash"), within=1)
    async with anyio.create_task_group() as group:
        group.start_soon(supervise, {"worker": lambda: Worker(mailbox)})
        await mailbox.ask(Do("work"))
        assert Worker.built == 1
        group.cancel_scope.cancel()


async def test_work_beside_the_mailbox_crashes_its_actor(mailbox: Mailbox[Do]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(supervise, {"worker": lambda: Worker(mailbox)})
        await mailbox.ask(Do("crash later"))
        await anyio.sleep(1)
        await mailbox.ask(Do("work"))
        assert Worker.built == 2
        group.cancel_scope.cancel()


async def test_too_many_crashes_in_a_minute_end_it_all(mailbox: Mailbox[Do]) -> None:
    for _ in range(RESTARTS + 1):
        mailbox.tell(Do("crash"))
    with pytest.raises(GaveUp, match="worker"):
        await supervise({"worker": lambda: Worker(mailbox)})
    assert anyio.current_time() < WINDOW_S


async def test_rare_crashes_are_forgiven(mailbox: Mailbox[Do]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(supervise, {"worker": lambda: Worker(mailbox)})
        for _ in range(3 * RESTARTS):
            mailbox.tell(Do("crash"))
            await anyio.sleep(WINDOW_S / 2)
        assert await mailbox.ask(Do("work")) == "did work"
        group.cancel_scope.cancel()


async def test_a_fatal_error_is_never_retried(mailbox: Mailbox[Do]) -> None:
    mailbox.tell(Do("die"))
    with pytest.raises(Fatal, match="the disk is gone"):
        await supervise({"worker": lambda: Worker(mailbox)})
    assert Worker.built == 1


async def test_a_full_disk_ends_no_actor_however_long_it_lasts(mailbox: Mailbox[Do]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(supervise, {"worker": lambda: Worker(mailbox)})
        for _ in range(4 * RESTARTS):
            mailbox.tell(Do("fill the disk"))
            await anyio.sleep(FULL_DISK_PAUSE_S + 1)
        assert await mailbox.ask(Do("work")) == "did work"
        group.cancel_scope.cancel()
