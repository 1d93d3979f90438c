"""Runs the download child and reads its answers."""

import sys
from collections.abc import Callable
from contextlib import aclosing, suppress

import msgspec

from actors.kernel.json_lines import run_json_child
from actors.kernel.processes import Killed
from actors.models.catalogue import Model


class PullFailed(Exception):
    """A download failed. ``certain``: trying again cannot help."""

    def __init__(self, message: str, *, certain: bool) -> None:
        super().__init__(message)
        self.message, self.certain = message, certain


class _Line(msgspec.Struct):
    done: int = 0
    total: int = 0
    path: str | None = None
    error: str | None = None
    certain: bool = False


async def pull(model: Model, report: Callable[[int, int], object]) -> None:
    """Download a model to its path. ``report`` is called with the bytes done and the total.

    It continues an earlier download that was not finished. If it is cancelled, the download stops,
    and the part that was downloaded is kept.

    Raises:
        PullFailed: the download failed; the message says what to do.
    """
    model.path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "actors.models.download_child", str(model.path)]
    last = _Line(error="the download ended without a result")
    with suppress(Killed):  # the download broke off, and can be continued later
        async with aclosing(run_json_child(command, _Line)) as lines:
            async for last in lines:
                if last.total:
                    report(last.done, last.total)
    if last.path is None:
        raise PullFailed(last.error or "the download broke off", certain=last.certain)
