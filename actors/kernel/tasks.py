"""Work that runs beside an actor's mailbox: at most one task for each key, e.g. a job's id."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from actors.kernel.actor import Actor


class Tasks:
    """Remembers the running tasks, so that none is begun twice and each can be stopped."""

    def __init__(self, actor: Actor[Any]) -> None:
        self._actor = actor
        self._running: dict[str, tuple[object, anyio.CancelScope]] = {}
        """Each task with an object that distinguishes it from a later task for the same key."""

    def begin(self, key: str, work: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run ``work`` in a task, unless a task for ``key`` is running already."""
        if key not in self._running:
            mark = object()
            self._running[key] = mark, self._actor.spawn(self._run, key, mark, work, *args)

    def stop(self, key: str) -> None:
        """Cancel the task for ``key``, if there is one.

        A new task for ``key`` may be begun at once, even if the old one has not ended yet.
        """
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
