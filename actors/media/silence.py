"""Where somebody speaks: levels in 20 ms frames against a noise floor that adapts.

A fixed threshold finds no pause in a noisy room; the quiet frames of the last and next fifteen
seconds say what silence is like there.
"""

import numpy as np
from numpy.typing import NDArray

from storage.records import RATE, Span

FRAME = RATE // 50
FRAMES_A_SECOND = 50
FLOOR_REACH_S = 15
ABOVE_FLOOR_DB = 6.0
DEAD_DB = -66.0
"""dBFS under which nothing is speech: the dither of 16 bits lies at -98, a good studio at -70."""
WAVEFORM_PARTS = 1500
"""Of what a player draws: as many as a wide screen has places for."""
SHORTEST_SPEECH = 3
"""Frames; less is a click."""
BLOCK = 10 * 60 * FRAMES_A_SECOND
"""Frames that are looked at together, or a day of audio would take hundreds of megabytes."""
SHORTEST_PAUSE = 8
"""Frames; less is the closure of a plosive or the end of a word."""

Levels = NDArray[np.float32]


def levels(pcm: bytes | bytearray | memoryview) -> Levels:
    """The level of each whole frame in dBFS, never under -100."""
    samples = np.frombuffer(pcm, "<i2")
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)
    power = np.einsum("ij,ij->i", frames, frames) / FRAME / 32768**2
    return np.asarray(10 * np.log10(np.maximum(power, 1e-10)), np.float32)


def waveform(level: Levels, parts: int = WAVEFORM_PARTS) -> bytes:
    """The loudest moment of each of up to ``parts`` equal parts: 0 to 255, the loudest of all."""
    if not len(level):
        return b""
    starts = np.linspace(0, len(level), min(parts, len(level)), endpoint=False).astype(int)
    loudest = np.maximum.reduceat(level, starts)
    amplitude = 10 ** ((loudest - loudest.max()) / 20)
    return bytes(np.round(amplitude * 255).astype(np.uint8))


def noise_floor(level: Levels) -> Levels:
    """The level of silence around the middle of each second, in dBFS; some of it must be there."""
    blocks = [_quiet(level[at : at + BLOCK]) for at in range(0, len(level), BLOCK)]
    quiet = np.concatenate(blocks)
    # A call that sends nothing between the words has no room, and a threshold near zero.
    quiet = np.maximum(quiet, DEAD_DB - ABOVE_FLOOR_DB)
    around = np.pad(quiet, FLOOR_REACH_S, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * FLOOR_REACH_S + 1)
    return np.asarray(np.percentile(windows, 10, axis=1), np.float32)


def _quiet(level: Levels) -> Levels:
    """How quiet each second is at its quietest, a tenth of it aside."""
    seconds = -(-len(level) // FRAMES_A_SECOND)
    padded = np.pad(level, (0, seconds * FRAMES_A_SECOND - len(level)), mode="edge")
    return np.asarray(np.percentile(padded.reshape(seconds, FRAMES_A_SECOND), 10, axis=1))


def speech(level: Levels) -> list[Span]:
    """The stretches in which somebody speaks, in order and apart, in samples."""
    return stretches(is_speech(level))


def is_speech(level: Levels) -> NDArray[np.bool_]:
    """Whether somebody speaks, for each frame."""
    spoken = np.zeros(len(level), bool)
    if not len(level):
        return spoken
    threshold = np.maximum(noise_floor(level) + ABOVE_FLOOR_DB, DEAD_DB)
    centres = (np.arange(len(threshold)) + 0.5) * FRAMES_A_SECOND
    for start in range(0, len(level), BLOCK):
        part = level[start : start + BLOCK]
        frames = np.arange(start, start + len(part))
        spoken[start : start + BLOCK] = part > np.interp(frames, centres, threshold)
    return spoken


def stretches(loud: NDArray[np.bool_]) -> list[Span]:
    """Frames of speech as stretches in samples, without clicks and over the shortest pauses."""
    edges = np.flatnonzero(np.diff(loud, prepend=False, append=False))
    found: list[list[int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if found and start - found[-1][1] < SHORTEST_PAUSE:
            found[-1][1] = end
        else:
            found.append([start, end])
    return [Span(a * FRAME, b * FRAME) for a, b in found if b - a >= SHORTEST_SPEECH]
