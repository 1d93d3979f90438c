"""Child processes that are protected from the signals that stop the server."""

import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio
from anyio.abc import Process

log = logging.getLogger(__name__)

T = TypeVar("T")
PAUSES_S = (5.0, 60.0)
"""Seconds before the second and the third try: the programs that used up the memory may have ended
by then."""
MAX_TRIES = 1 + len(PAUSES_S)

SERVER_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""The signals that are only for the server. A terminal sends SIGINT to all its processes at Ctrl-C
and SIGHUP when it is closed, and some service managers send SIGTERM to all processes of a
service."""


async def open_child(command: Sequence[str], **how: Any) -> Process:
    """`anyio.open_process`, for a child that the signals in SERVER_SIGNALS do not reach.

    These signals stop the server, which lets its work finish first. If they ended a child as well,
    that work would fail. So the server has to kill the child, and the child has to notice by itself
    when the server has ended.

    The start takes some milliseconds and is not cancelled: asyncio would leave pipes open, and the
    caller would have no process to kill. So a cancellation comes at the caller's next await.
    """
    # A child inherits the blocked signals, and so do its own children. asyncio forks before its
    # first await, so that no other task runs while the signals are blocked here.
    signal.pthread_sigmask(signal.SIG_BLOCK, SERVER_SIGNALS)
    try:
        with anyio.CancelScope(shield=True):
            child = await anyio.open_process(command, **how)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SERVER_SIGNALS)
    return child


class Killed(Exception):
    """A signal ended a child: the system was short of memory, or the child itself crashed."""


class ChildFailed(Exception):
    """A child ended with an error and did not say that its input is the reason: a file of the
    program was missing during an upgrade, for example, or the system gave it too little memory.
    The same work can succeed later."""


def check(child: Process) -> None:
    """Check how a child has ended.

    Raises:
        Killed: a signal has ended it.
    """
    code = child.returncode
    if code is not None and code < 0:
        raise Killed(f"it was ended by signal {-code}")


async def retry_if_killed(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` and return its result; run it again if a signal ended its child.

    Raises:
        Killed: a signal ended the child at each of MAX_TRIES tries.
    """
    for pause in PAUSES_S:
        try:
            return await work()
        except Killed as killed:
            log.warning("a child ended too early (%s); trying again in %g s", killed, pause)
            await anyio.sleep(pause)
    return await work()
