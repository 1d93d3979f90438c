"""How actors communicate: each has a mailbox, and others tell or ask its address.

Telling leaves a message and goes on; asking also waits for an answer.
"""

from collections import deque
from typing import Any, Generic, TypeVar

import anyio
import msgspec

from storage.errors import Busy

M = TypeVar("M")
R = TypeVar("R")

CAPACITY = 4096
ASK_TIMEOUT_S = 10.0
"""How many seconds an asker waits for the answer by default."""


class Question(msgspec.Struct, Generic[R], frozen=True):
    """A message that is answered with a value of type R; see `Mailbox.ask`."""


class Full(Exception):
    """A mailbox has no room, because its actor handles messages too slowly or is stuck."""


class NoAnswer(Busy):
    """No answer came in time; the actor may still have done, or may still do, what was asked."""


class Crashed(Exception):
    """The actor crashed while it handled the question; the supervisor restarts the actor."""


class Reply(Generic[R]):
    """The place for an answer. A second answer, or one after the asker has left, has no effect."""

    def __init__(self) -> None:
        self._settled = anyio.Event()
        self.abandoned = False
        """The asker waits no longer: do not begin what it asked for."""
        self._answer: R | None = None
        self._error: Exception | None = None

    def answer(self, value: R) -> None:
        if not self._settled.is_set():
            self._answer = value
            self._settled.set()

    def fail(self, error: Exception) -> None:
        if not self._settled.is_set():
            self._error = error
            self._settled.set()

    async def wait(self) -> R:
        await self._settled.wait()
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]


class Envelope(Generic[M]):
    """A message and, if it was asked, the place for its answer."""

    def __init__(self, message: M, reply: Reply[Any] | None) -> None:
        self.message, self.reply = message, reply


class Mailbox(Generic[M]):
    """A queue of messages with limited room. It stays when its actor crashes and is rebuilt."""

    def __init__(self, name: str, capacity: int = CAPACITY) -> None:
        self.name = name
        self._send, self._receive = anyio.create_memory_object_stream[Envelope[M]](capacity)
        self._posted: deque[float] = deque()
        """When each message that waits was left, by the event loop's clock."""

    async def receive(self) -> Envelope[M]:
        """Wait for the next message. Only the mailbox's own actor may call this."""
        envelope = await self._receive.receive()
        self._posted.popleft()
        return envelope

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return len(self._posted)

    @property
    def wait_secs(self) -> float:
        """How long the oldest message has waited; 0 where none waits."""
        return anyio.current_time() - self._posted[0] if self._posted else 0.0

    def tell(self, message: M) -> None:
        """Leave a message, without waiting and without getting an answer.

        Raises:
            Full: the mailbox is full.
        """
        self._post(Envelope(message, None))

    async def ask(self, question: Question[R], within: float = ASK_TIMEOUT_S) -> R:
        """Ask a question and wait for its answer, at most ``within`` seconds.

        Raises:
            Refusal: the actor refused, with one of Refusal's subclasses.
            Busy: the mailbox is full.
            NoAnswer: no answer came in time.
            Crashed: the actor crashed while it handled the question.
        """
        reply: Reply[R] = Reply()
        try:
            self._post(Envelope(question, reply))  # type: ignore[arg-type]
        except Full as error:
            raise Busy(str(error)) from None
        with anyio.move_on_after(within):
            return await reply.wait()
        reply.abandoned = True
        raise NoAnswer(f"the {self.name} did not answer in time")

    def _post(self, envelope: Envelope[M]) -> None:
        try:
            self._send.send_nowait(envelope)
        except anyio.WouldBlock:
            raise Full(f"the {self.name} has too much to do") from None
        self._posted.append(anyio.current_time())


Address = Mailbox
"""A mailbox as other actors use it: they only `tell` and `ask`, and never `receive`."""
