"""Measures how much faster than real time silence is found and chunks are planned."""

import time
from pathlib import Path

import numpy as np

from actors.media.planning import plan
from actors.media.silence import levels, speech
from storage.records import RATE
from tests.audio import babble

MINUTES = 60


def measure(_: Path) -> list[str]:
    parts = [(4.0, True), (0.5, False), (7.0, True), (1.5, False), (2.0, True)] * 4
    pcm = np.tile(babble(*parts, floor=0.01), MINUTES).tobytes()
    began = time.perf_counter()
    level = levels(pcm)
    chunks = plan(speech(level), level, len(pcm) // 2)
    took = time.perf_counter() - began
    seconds = len(pcm) / 2 / RATE
    return [
        f"{seconds / 3600:.1f} hours in {took:.2f} s: {seconds / took:,.0f}x real time, "
        f"{len(chunks)} windows where 30 s at a time would be {seconds / 30:.0f}"
    ]
