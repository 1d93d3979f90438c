"""Where somebody speaks, from the likelihood of speech and from levels. Pure functions."""

import numpy as np
from numpy.typing import NDArray

from actors.media.silence import BLOCK, FRAME, Levels, is_speech, stretches
from storage.records import Span

UNIT = 512
"""Samples (32 ms) that have one likelihood."""
Likelihood = NDArray[np.uint8]
"""The probability of speech in each unit, times 255."""

SURE = 0.5
POSSIBLE = 0.15
"""Speech is a stretch in which speech is possible all the time and sure for SHORTEST_SURE units:
syllables begin and end quietly, and noise hides some of them."""
SHORTEST_SURE = 2
MARGIN = 6
"""Units (0.2 s) by which sound may go beyond a stretch and still belong to it. The levels show
edges better than the likelihood does, which is late by up to a tenth of a second."""


def speech(level: Levels, likelihood: Likelihood) -> list[Span]:
    """The spans in which somebody speaks, in samples, in order, not touching each other.

    ``level``: dBFS of each 20 ms frame; ``likelihood``: of each unit of the same audio.
    """
    if not len(likelihood):
        return []
    sure, possible = _stretches_of_units(likelihood)
    near = _widened(possible, MARGIN)
    spoken = is_speech(level)
    for start in range(0, len(level), BLOCK):
        part = spoken[start : start + BLOCK]
        # A unit is longer than a frame: each frame takes the unit that its middle is in.
        middles = np.arange(start, start + len(part)) * FRAME + FRAME // 2
        units = np.minimum(middles // UNIT, len(likelihood) - 1)
        part &= near[units]
        part |= sure[units]
    return stretches(spoken)


def _stretches_of_units(likelihood: Likelihood) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether speech is sure in each unit, and whether it is in a stretch that has sure ones."""
    sure, possible = likelihood >= SURE * 255, likelihood >= POSSIBLE * 255
    edges = np.flatnonzero(np.diff(possible, prepend=False, append=False)).reshape(-1, 2)
    counted = np.concatenate([[0], np.cumsum(sure)])
    for start, end in edges.tolist():
        if counted[end] - counted[start] < SHORTEST_SURE:
            possible[start:end] = sure[start:end] = False
    return sure, possible


def _widened(flags: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """``flags``, and the ``count`` before and after each."""
    wider = flags.copy()
    for shift in range(1, count + 1):
        wider[shift:] |= flags[:-shift]
        wider[:-shift] |= flags[shift:]
    return wider
