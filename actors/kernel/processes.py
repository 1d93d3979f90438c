"""Children that end when the server says so, and not before."""

import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio
from anyio.abc import Process

log = logging.getLogger(__name__)

T = TypeVar("T")
TRIES = 3
PAUSE_S = 5.0
"""Until another try: what was short of memory may have ended by then."""

OURS = {signal.SIGINT, signal.SIGTERM}
"""From a terminal, by Ctrl-C, and from supervisors that stop a service by telling all of it."""


async def open_child(command: Sequence[str], **how: Any) -> Process:
    """`anyio.open_process`, of a child that OURS do not reach.

    They are for the server, which takes its time to stop; a child that ends before would make its
    work look broken. It has to be killed, therefore; and to end by itself when the server is gone.
    """
    # A child inherits what is blocked, and so do its own. asyncio forks before it first waits, so
    # that no other task runs in between.
    signal.pthread_sigmask(signal.SIG_BLOCK, OURS)
    try:
        return await anyio.open_process(command, **how)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OURS)


class Killed(Exception):
    """A child was ended by a signal: by whoever needed memory, or by a fault of its own."""


def check(child: Process) -> None:
    """
    Raises:
        Killed: a signal has ended it.
    """
    code = child.returncode
    if code is not None and code < 0:
        raise Killed(f"it was ended by signal {-code}")


async def retry_if_killed(work: Callable[[], Awaitable[T]]) -> T:
    """The outcome of ``work``, which is tried again where its child is killed.

    Raises:
        Killed: at each of TRIES.
    """
    for _ in range(TRIES - 1):
        try:
            return await work()
        except Killed as killed:
            log.warning("a child ended too early (%s); trying again", killed)
            await anyio.sleep(PAUSE_S)
    return await work()
