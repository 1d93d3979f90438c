"""Runs the speakers child and reads its answer."""

import sys
from contextlib import aclosing
from pathlib import Path

import anyio
import msgspec

from actors.diarization.settings import DiarizationSettings
from actors.kernel.json_lines import run_json_child
from actors.kernel.processes import retry_if_killed
from storage.records import Turn


class Diarization(msgspec.Struct, omit_defaults=True):
    provider: str = ""
    turns: tuple[Turn, ...] = ()
    unavailable: str = ""
    """Why this server could not tell the speakers apart; empty if it could."""
    needs_voice_models: bool = False
    """Whether it would work if the voice models were downloaded."""


async def find(
    recording: Path,
    track: int | None = None,
    *,
    settings: DiarizationSettings,
    models: Path,
    threads: int,
) -> Diarization:
    """Find who speaks when.

    ``track``: of the file's audio tracks, from 1; None: its default. ``models``: the folder of the
    voice models, which may not exist.

    Raises:
        TimeoutError: it took longer than ``diarization_timeout_secs``.
        Killed: a signal ended the child at each try.
    """
    command = [
        sys.executable, "-m", "actors.diarization.child",
        str(recording), str(models), str(settings.max_speakers), str(threads),
    ]  # fmt: skip
    if track is not None:
        command.append(str(track))

    async def look() -> Diarization:
        async with aclosing(run_json_child(command, Diarization)) as lines:
            return await anext(
                lines, Diarization(unavailable="the recording could not be looked at")
            )

    with anyio.fail_after(settings.diarization_timeout_secs):
        return await retry_if_killed(look)
