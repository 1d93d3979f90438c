"""Runs the speakers child and takes what it says."""

import sys
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec

from actors.kernel.processes import persistently
from actors.lines import said
from storage.records import Turn

SEGMENTATION, EMBEDDING = "segmentation.onnx", "embedding.onnx"
"""The models for voices, as they lie in their folder."""


@dataclass(frozen=True)
class Listening:
    """How speakers are told apart."""

    models: Path
    """The folder of the models for voices, which may not be there yet."""
    most_speakers: int
    threads: int
    patience_secs: float


class Found(msgspec.Struct, omit_defaults=True):
    provider: str = ""
    turns: tuple[Turn, ...] = ()
    unavailable: str = ""
    """Why nothing here could tell, where that is so."""
    wants_models: bool = False
    """With the models for voices it could."""


async def find(recording: Path, how: Listening) -> Found:
    """Who speaks when.

    Raises:
        TimeoutError: it took longer than it may.
        Killed: a signal ended each try.
    """
    command = [
        sys.executable, "-m", "actors.audio.speakers",
        str(recording), str(how.models), str(how.most_speakers), str(how.threads),
    ]  # fmt: skip

    async def look() -> Found:
        async with aclosing(said(command, Found)) as lines:
            return await anext(lines, Found(unavailable="the recording could not be looked at"))

    with anyio.fail_after(how.patience_secs):
        return await persistently(look)
