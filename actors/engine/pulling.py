"""Runs the download child and takes what it says."""

import subprocess
import sys
from collections.abc import Callable

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from actors.engine.catalogue import Model

LONGEST_LINE = 1 << 16


class PullFailed(Exception):
    """``certain``: trying again cannot help."""

    def __init__(self, message: str, *, certain: bool) -> None:
        super().__init__(message)
        self.message, self.certain = message, certain


class _Said(msgspec.Struct):
    done: int = 0
    total: int = 0
    path: str | None = None
    error: str | None = None
    certain: bool = False


async def pull(model: Model, report: Callable[[int, int], object]) -> None:
    """Download a model into its place, telling ``report`` the bytes done and in all.

    Resumes what an earlier try left. Being cancelled ends the download and keeps the part.

    Raises:
        PullFailed: it is not there now; the message says what to do.
    """
    model.path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "actors.engine.pull", model.name, str(model.path.parent)]
    async with await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None) as child:
        assert child.stdout
        lines = BufferedByteReceiveStream(child.stdout)
        said = _Said(error="the download ended without a word")
        try:
            while True:
                line = await lines.receive_until(b"\n", LONGEST_LINE)
                said = msgspec.json.decode(line, type=_Said)
                if said.total:
                    report(said.done, said.total)
        except (anyio.IncompleteRead, anyio.EndOfStream):
            pass
        finally:
            if child.returncode is None:
                child.terminate()
    if said.path is None:
        raise PullFailed(said.error or "the download broke off", certain=said.certain)
