"""What runs Whisper: one class for each library.

To add one, write a class with the methods of `Backend` in a module of its own, and name it in
`backend_for`.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from actors.engine import protocol
from actors.engine.protocol import Failed, Result, Window


class LoadFailed(Exception):
    """The model did not load. ``kind`` is one of those in `protocol.Failed`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class EngineBroken(Exception):
    """The engine ran out of memory, and is in a state in which only exit is safe."""


class Backend(Protocol):
    """A loaded model. Its constructor loads it, and raises LoadFailed if that fails."""

    device: str
    """What the model is on, e.g. ``CUDA0`` or ``CPU``."""
    build: str
    """The library's version and build flags, for people."""
    batch: int
    """How many windows it works on at once."""

    def warm_up(self) -> None:
        """Run one inference on silence: the first one is slow, and on some GPUs wrong.

        Raises:
            LoadFailed: it failed.
        """

    def transcribe(self, windows: Sequence[Window]) -> Iterator[Result | Failed]:
        """Transcribe up to ``batch`` windows; each gets one answer, in any order.

        Raises:
            EngineBroken: the engine is of no use any more.
        """


def backend_for(load: protocol.Load, abort: threading.Event) -> Backend:
    """Load the model with the library for its form: CTranslate2 for folders, else whisper.cpp.

    ``abort`` is set when the windows at hand are to be given up. A backend's library is imported
    only if it is used: each takes some tenths of a second.

    Raises:
        LoadFailed: the model did not load.
    """
    if Path(load.path).is_dir():
        from actors.engine.backends.ctranslate2 import CTranslate2

        return CTranslate2(load, abort)
    from actors.engine.backends.whisper_cpp import WhisperCpp

    return WhisperCpp(load, abort)
