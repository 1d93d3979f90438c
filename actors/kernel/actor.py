"""An actor: one mailbox, handled one message at a time."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from actors.kernel.mailbox import Crashed, Mailbox, Reply
from storage.errors import Refusal

M = TypeVar("M")


class Actor(Generic[M]):
    """Subclass with `handle`, and `started` where there is something to reload.

    What `handle` returns is the answer to the one who asked. A `Refusal` goes back to the asker.
    Any other exception ends the actor, and so does a Refusal of what was told and not asked, since
    the work may be half done; its supervisor builds a new one on the same mailbox, which recovers
    from the rows.
    """

    def __init__(self, mailbox: Mailbox[M]) -> None:
        self.me = mailbox
        self._tasks: TaskGroup

    async def started(self) -> None:
        """Before the first message: reload from storage what the actor needs."""

    async def handle(self, message: M) -> object:
        raise NotImplementedError

    def spawn(self, work: Callable[..., Awaitable[object]], *args: object) -> anyio.CancelScope:
        """Run ``work`` beside the mailbox, until it ends or the returned scope is cancelled.

        It must not touch the actor's state: it reports by telling ``self.me``.
        """
        scope = anyio.CancelScope()

        async def run() -> None:
            with scope:
                await work(*args)

        self._tasks.start_soon(run)
        return scope

    def later(self, seconds: float, message: M) -> anyio.CancelScope:
        """Tell ourselves ``message`` after that time, unless the returned scope is cancelled."""

        async def wait() -> None:
            await anyio.sleep(seconds)
            self.me.tell(message)

        return self.spawn(wait)

    async def run(self) -> None:
        """Handle messages until cancelled or crashed."""
        async with anyio.create_task_group() as self._tasks:
            await self.started()
            while True:
                envelope = await self.me.receive()
                reply = envelope.reply
                if reply is None:
                    await self.handle(envelope.message)
                elif not reply.abandoned:
                    await self._answer(envelope.message, reply)

    async def _answer(self, question: M, reply: Reply[Any]) -> None:
        try:
            reply.answer(await self.handle(question))
        except Refusal as refusal:
            reply.fail(refusal)
        except BaseException:
            reply.fail(Crashed(self.me.name))
            raise
