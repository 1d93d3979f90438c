"""Keeps the actors running.

If one actor crashes, only that one is rebuilt, after a pause that grows with each crash. If it
crashes too often, the supervisor gives up.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import anyio

from actors.kernel.actor import Actor
from storage.errors import Fatal, NoSpace

log = logging.getLogger(__name__)

RESTARTS = 5
WINDOW_S = 60.0
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
FULL_DISK_PAUSE_S = 5.0

E = TypeVar("E", bound=Exception)
Factory = Callable[[], Actor[Any]]


class GaveUp(Exception):
    """An actor crashed too often: the process must end, and the service manager restarts it."""


async def supervise(factories: Mapping[str, Factory]) -> None:
    """Run every actor until cancelled; rebuild one that crashes.

    Raises:
        GaveUp: one crashed more than RESTARTS times within WINDOW_S seconds.
        Fatal: an actor met a failure that only a new process can recover from.
    """
    failures: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def keep(name: str, build: Factory) -> None:
            try:
                await _keep(name, build)
            except (GaveUp, Fatal) as error:
                failures.append(error)
                group.cancel_scope.cancel()

        for name, build in factories.items():
            group.start_soon(keep, name, build)
    for failure in failures:
        raise failure


async def _keep(name: str, build: Factory) -> None:
    crashes: deque[float] = deque()
    while True:
        try:
            await build().run()
            raise RuntimeError("an actor's run ended by itself")
        except Exception as error:
            if fatal := _found(error, Fatal):
                raise fatal from error
            if _found(error, NoSpace):
                log.error("the disk is full: actor %s waits", name)
                await anyio.sleep(FULL_DISK_PAUSE_S)
                continue  # that is no fault of the actor's
            log.exception("actor %s crashed", name)
        now = anyio.current_time()
        crashes.append(now)
        while crashes[0] < now - WINDOW_S:
            crashes.popleft()
        if len(crashes) > RESTARTS:
            raise GaveUp(f"{name} crashed {len(crashes)} times within {WINDOW_S:.0f} s")
        await anyio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 4 ** (len(crashes) - 1)))


def _found(error: BaseException, kind: type[E]) -> E | None:
    """The first exception of that kind in ``error``, which may be a group."""
    if isinstance(error, kind):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := _found(each, kind))), None)
    return None
