"""Work beside an actor's mailbox, one piece for each key."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from actors.kernel.actor import Actor


class Tasks:
    """Knows what runs, so that it is begun once and can be stopped."""

    def __init__(self, actor: Actor[Any]) -> None:
        self._actor = actor
        self._running: dict[str, tuple[object, anyio.CancelScope]] = {}
        """With what tells a piece of work from a later one for the same key."""

    def begin(self, key: str, work: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run ``work`` unless some runs for ``key`` already."""
        if key not in self._running:
            mark = object()
            self._running[key] = mark, self._actor.spawn(self._run, key, mark, work, *args)

    def stop(self, key: str) -> None:
        """Work for ``key`` may be begun again at once, though what is stopped has not ended yet."""
        if running := self._running.pop(key, None):
            running[1].cancel()

    async def _run(
        self, key: str, mark: object, work: Callable[..., Awaitable[object]], *args: object
    ) -> None:
        try:
            await work(*args)
        finally:
            if self._running.get(key, (None,))[0] is mark:
                del self._running[key]
