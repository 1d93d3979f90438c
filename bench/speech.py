"""Measures how much faster than real time speech is found and chunks are planned."""

import time
from pathlib import Path

import numpy as np

from actors.media.planning import plan
from actors.media.silence import levels
from actors.media.speech import UNIT, speech
from actors.media.voice import VoiceActivity
from storage.records import RATE
from tests.audio import babble

MINUTES = 60
BLOCK = 64 * UNIT


def measure(_: Path) -> list[str]:
    parts = [(4.0, True), (0.5, False), (7.0, True), (1.5, False), (2.0, True)] * 4
    samples = np.tile(babble(*parts, floor=0.01), MINUTES)
    samples = samples[: len(samples) // BLOCK * BLOCK]
    seconds = len(samples) / RATE
    began = time.perf_counter()
    voice = VoiceActivity()
    likelihood = np.concatenate([voice.of(block) for block in samples.reshape(-1, BLOCK)])
    heard = time.perf_counter() - began
    began = time.perf_counter()
    level = levels(samples.tobytes())
    chunks = plan(speech(level, likelihood), level, len(samples))
    planned = time.perf_counter() - began
    return [
        f"{seconds / 3600:.1f} hours: voice activity {seconds / heard:,.0f}x real time, levels and "
        f"plan {seconds / planned:,.0f}x; {len(chunks)} windows where 30 s at a time would be "
        f"{seconds / 30:.0f}"
    ]
