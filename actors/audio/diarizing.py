"""Runs the speakers child and takes what it says."""

import sys
from contextlib import aclosing
from pathlib import Path

import anyio
import msgspec

from actors.lines import said
from storage.records import Turn

PATIENCE_S = 1800.0


class Found(msgspec.Struct, omit_defaults=True):
    provider: str = ""
    turns: tuple[Turn, ...] = ()
    unavailable: str = ""
    """Why nothing here could tell, where that is so."""


async def find(recording: Path) -> Found:
    """Who speaks when.

    Raises:
        TimeoutError: it took longer than PATIENCE_S.
    """
    command = [sys.executable, "-m", "actors.audio.speakers", str(recording)]
    with anyio.fail_after(PATIENCE_S):
        async with aclosing(said(command, Found)) as lines:
            return await anext(lines, Found(unavailable="the recording could not be looked at"))
