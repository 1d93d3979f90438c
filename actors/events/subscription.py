"""One stream's view of what is broadcast: bounded, and told when it missed something."""

from collections import deque
from collections.abc import Callable
from typing import Any

import anyio

ROOM = 64
MODEL = "model"
"""The topic of the model's state."""
EVERYTHING = "everything"
"""The topic of everything that happens; every other topic is a job's id."""


class Subscription:
    """Events wait here for one slow or fast reader, who costs nobody else anything.

    A reader that falls ROOM events behind loses them and finds ``lagged`` set: it then reads
    the rows, which have everything.
    """

    def __init__(self, topic: str, gone: Callable[[], object] = lambda: None) -> None:
        """``gone`` is called when the subscription is closed, from either side."""
        self.topic = topic
        self._gone = gone
        self.lagged = False
        self.closed = False
        self._events: deque[Any] = deque()
        self._news = anyio.Event()

    def offer(self, event: object) -> None:
        """For the broadcaster; never waits."""
        if len(self._events) == ROOM:
            self._events.clear()
            self.lagged = True
        self._events.append(event)
        self._news.set()

    def close(self) -> None:
        """Ends the stream, from either side. Synchronous, as clean-up has to be."""
        if not self.closed:
            self.closed = True
            self._news.set()
            self._gone()

    async def wait(self, seconds: float) -> list[Any] | None:
        """What has come since the last call, waiting up to ``seconds`` for something.

        Empty after that time; None once closed. Being cancelled loses nothing.
        """
        with anyio.move_on_after(seconds):
            await self._news.wait()
        if self.closed:
            return None
        self._news = anyio.Event()
        events = list(self._events)
        self._events.clear()
        return events
