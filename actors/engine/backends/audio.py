"""Reads what a window is to hear."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from actors.engine.protocol import Window


@cache
def _recording(path: str) -> NDArray[np.int16]:
    return np.memmap(path, "<i2", mode="r")


def hold(windows: Sequence[Window]) -> list[Window]:
    """Those of ``windows`` whose recordings are there.

    Until `let_go` they can be read, also after the server has removed the file of a job that was
    cancelled: a backend reads several times.
    """
    return [window for window in windows if _is_there(window.pcm)]


def let_go() -> None:
    _recording.cache_clear()


def _is_there(path: str) -> bool:
    try:
        _recording(path)
    except FileNotFoundError:
        return False
    return True


def samples_of(window: Window, *, least: int = 0) -> NDArray[np.float32]:
    """The window's samples, -1 to 1 at 16 kHz: its spans joined.

    Silence is appended until there are ``least`` of them.
    """
    pcm = _recording(window.pcm)
    heard = np.concatenate([pcm[span.start : span.end] for span in window.spans])
    samples = np.zeros(max(len(heard), least), np.float32)
    np.divide(heard, 32768, out=samples[: len(heard)])
    return samples
