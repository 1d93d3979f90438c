"""Runs the speakers child and takes what it says."""

import sys
from contextlib import aclosing
from pathlib import Path

import anyio
import msgspec

from actors.diarization.settings import DiarizationSettings
from actors.kernel.json_lines import said
from actors.kernel.processes import retry_if_killed
from storage.records import Turn


class Diarization(msgspec.Struct, omit_defaults=True):
    provider: str = ""
    turns: tuple[Turn, ...] = ()
    unavailable: str = ""
    """Why nothing here could tell, where that is so."""
    wants_models: bool = False
    """With the models for voices it could."""


async def find(
    recording: Path, *, settings: DiarizationSettings, models: Path, threads: int
) -> Diarization:
    """Who speaks when. ``models``: the folder of the models for voices, which may not be there.

    Raises:
        TimeoutError: it took longer than it may.
        Killed: a signal ended each try.
    """
    command = [
        sys.executable, "-m", "actors.diarization.child",
        str(recording), str(models), str(settings.max_speakers), str(threads),
    ]  # fmt: skip

    async def look() -> Diarization:
        async with aclosing(said(command, Diarization)) as lines:
            return await anext(
                lines, Diarization(unavailable="the recording could not be looked at")
            )

    with anyio.fail_after(settings.diarization_timeout_secs):
        return await retry_if_killed(look)
