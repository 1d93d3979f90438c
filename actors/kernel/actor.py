"""An actor: it has one mailbox and handles its messages one after the other."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from actors.kernel.mailbox import Crashed, Mailbox, Reply
from storage.errors import Refusal

M = TypeVar("M")


class Actor(Generic[M]):
    """The base class. A subclass defines `handle`, and `started` if it has state to reload.

    If the message is a question (`Mailbox.ask`), the asker gets the value that `handle` returns,
    or the `Refusal` that it raises. Any other exception ends the actor, and so does a Refusal for
    a message that was only told, because the work may be half done. Then the supervisor builds a
    new actor for the same mailbox, which reloads its state from the database.
    """

    def __init__(self, mailbox: Mailbox[M]) -> None:
        self.me = mailbox
        self._tasks: TaskGroup

    async def started(self) -> None:
        """Called before the first message: reload the state that the actor needs from storage."""

    async def handle(self, message: M) -> object:
        raise NotImplementedError

    def spawn(self, work: Callable[..., Awaitable[object]], *args: object) -> anyio.CancelScope:
        """Run ``work`` beside the mailbox, until it ends or the returned scope is cancelled.

        It must not change the actor's state. It reports its outcome as a message to ``self.me``.
        """
        scope = anyio.CancelScope()

        async def run() -> None:
            with scope:
                await work(*args)

        self._tasks.start_soon(run)
        return scope

    def later(self, seconds: float, message: M) -> anyio.CancelScope:
        """Tell this actor ``message`` after that time, unless the returned scope is cancelled."""

        async def wait() -> None:
            await anyio.sleep(seconds)
            self.me.tell(message)

        return self.spawn(wait)

    async def run(self) -> None:
        """Handle messages until the actor is cancelled or crashes."""
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
