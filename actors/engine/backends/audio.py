"""Reads what a window is to hear."""

import numpy as np
from numpy.typing import NDArray

from actors.engine.protocol import Window


def samples_of(window: Window, *, least: int = 0) -> NDArray[np.float32]:
    """The window's samples, -1 to 1 at 16 kHz: its spans joined.

    Silence is appended until there are ``least`` of them.
    """
    pcm = np.memmap(window.pcm, "<i2", mode="r")
    heard = np.concatenate([pcm[span.start : span.end] for span in window.spans])
    samples = np.zeros(max(len(heard), least), np.float32)
    np.divide(heard, 32768, out=samples[: len(heard)])
    return samples
