"""The events that wait for one stream: limited in number, with a mark if some were lost."""

from collections import deque
from collections.abc import Callable
from typing import Any

import anyio

CAPACITY = 64
MODEL = "model"
"""The topic of the model's state."""
EVERYTHING = "everything"
"""The topic of all events. Every topic but this one and MODEL is a job's id."""


class Subscription:
    """Events that wait for one reader. A slow reader does not slow down the others.

    If CAPACITY events wait and another one comes, the waiting ones are lost and ``lagged`` is set.
    The reader must then read the current state from the database.
    """

    def __init__(self, topic: str, on_close: Callable[[], object] = lambda: None) -> None:
        """``on_close`` is called when the subscription is closed, from either side."""
        self.topic = topic
        self._on_close = on_close
        self.lagged = False
        self.closed = False
        self._events: deque[Any] = deque()
        self._changed = anyio.Event()

    @property
    def waiting(self) -> int:
        """How many events the reader has not taken yet."""
        return len(self._events)

    def offer(self, event: object) -> None:
        """Add an event; only the broadcaster calls this. Never waits."""
        if len(self._events) == CAPACITY:
            self._events.clear()
            self.lagged = True
        self._events.append(event)
        self._changed.set()

    def close(self) -> None:
        """End the subscription; the reader and the broadcaster may both call this.

        Not async, so that it can be called during clean-up after a cancellation.
        """
        if not self.closed:
            self.closed = True
            self._changed.set()
            self._on_close()

    async def wait(self, seconds: float) -> list[Any] | None:
        """The events since the last call; waits up to ``seconds`` if there are none yet.

        The list is empty if no event came in that time. None if the subscription is closed. If
        the call is cancelled, no event is lost.
        """
        with anyio.move_on_after(seconds):
            await self._changed.wait()
        if self.closed:
            return None
        self._changed = anyio.Event()
        events = list(self._events)
        self._events.clear()
        return events
