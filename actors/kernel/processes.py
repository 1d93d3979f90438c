"""Children that end when the server says so, and not before."""

import signal
from collections.abc import Sequence
from typing import Any

import anyio
from anyio.abc import Process

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
