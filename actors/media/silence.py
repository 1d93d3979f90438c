"""Finds where there is sound: the level of each 20 ms frame is compared with the noise floor.

A fixed threshold would find no pauses in a noisy room. So the noise floor is taken from the quiet
frames of the fifteen seconds before and after each moment.
"""

import numpy as np
from numpy.typing import NDArray

from storage.records import RATE, Span

FRAME = RATE // 50
FRAMES_A_SECOND = 50
LOWEST_BIN, HIGHEST_BIN = 4, 80
"""Of a frame's spectrum, in steps of 50 Hz: from 200 to 4,000 Hz."""
WINDOW = np.hanning(FRAME + 1)[:-1].astype(np.float32)
NORM = float(FRAME * np.square(WINDOW).sum())
FLOOR_REACH_S = 15
ABOVE_FLOOR_DB = 6.0
DEAD_DB = -66.0
"""Frames below this level (dBFS) are never speech. For comparison: 16-bit dither is at -98 dBFS, a
good studio at -70."""
SILENCE_DB = -100.0
WAVEFORM_PARTS = 1500
"""How many parts the waveform has that a player draws: enough for a wide screen."""
SHORTEST_SPEECH = 3
"""Frames. Shorter sounds are clicks and not speech."""
BLOCK = 10 * 60 * FRAMES_A_SECOND
"""Frames that are processed together. A whole day of audio at once would take hundreds of
megabytes."""
SHORTEST_PAUSE = 8
"""Frames. Shorter pauses are within words, for example in a plosive, or at the end of a word."""

Levels = NDArray[np.float32]


def levels(pcm: bytes | bytearray | memoryview) -> Levels:
    """The level of speech's band in each 20 ms frame, dBFS, at least SILENCE_DB: f32[frames].

    Below that band there are mains hum, rumble and constant offsets, which would hide speech.

    ``pcm`` is mono s16 little-endian at 16 kHz; samples after the last whole frame are left out.
    """
    samples = np.frombuffer(pcm, "<i2")
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)
    bins = np.fft.rfft(frames * WINDOW, axis=1)[:, LOWEST_BIN : HIGHEST_BIN + 1]
    power = (np.square(bins.real) + np.square(bins.imag)).sum(axis=1) * 2 / NORM / 32768**2
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10))), np.float32)


def take_whole(held: bytearray, size: int, keep: int = 0) -> bytes:
    """Remove the whole blocks of ``size`` bytes at the beginning of ``held``, and return them.

    At least ``keep`` bytes stay.
    """
    whole = max(0, len(held) - keep) // size * size
    taken = bytes(held[:whole])
    del held[:whole]
    return taken


def waveform(level: Levels, parts: int = WAVEFORM_PARTS) -> bytes:
    """The loudest moment of each of up to ``parts`` equal parts of the recording.

    One byte for each part: 0 to 255, where 255 is the loudest moment of the recording. A recording
    without any sound has none: all are 0.
    """
    if level.max(initial=SILENCE_DB) <= SILENCE_DB:
        return bytes(min(parts, len(level)))
    starts = np.linspace(0, len(level), min(parts, len(level)), endpoint=False).astype(int)
    loudest = np.maximum.reduceat(level, starts)
    amplitude = 10 ** ((loudest - loudest.max()) / 20)
    return bytes(np.round(amplitude * 255).astype(np.uint8))


def noise_floor(level: Levels) -> Levels:
    """The level of silence around the middle of each second, in dBFS: f32[seconds].

    ``level`` must not be empty.
    """
    blocks = [_quiet(level[at : at + BLOCK]) for at in range(0, len(level), BLOCK)]
    quiet = np.concatenate(blocks)
    # Some calls send digital silence between the words: the floor would be far too low there.
    quiet = np.maximum(quiet, DEAD_DB - ABOVE_FLOOR_DB)
    around = np.pad(quiet, FLOOR_REACH_S, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * FLOOR_REACH_S + 1)
    return np.asarray(np.percentile(windows, 10, axis=1), np.float32)


def _quiet(level: Levels) -> Levels:
    """The 10th percentile of the levels in each second, in dBFS: f32[seconds]."""
    seconds = -(-len(level) // FRAMES_A_SECOND)
    padded = np.pad(level, (0, seconds * FRAMES_A_SECOND - len(level)), mode="edge")
    return np.asarray(np.percentile(padded.reshape(seconds, FRAMES_A_SECOND), 10, axis=1))


def speech(level: Levels) -> list[Span]:
    """The spans in which somebody speaks, in samples, in order, not touching each other."""
    return stretches(is_speech(level))


def is_speech(level: Levels) -> NDArray[np.bool_]:
    """Whether somebody speaks in each frame: bool[frames]."""
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
    """Join frames of speech to spans, in samples.

    Pauses under SHORTEST_PAUSE do not end a span, and spans under SHORTEST_SPEECH are left out.
    """
    edges = np.flatnonzero(np.diff(loud, prepend=False, append=False))
    found: list[list[int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if found and start - found[-1][1] < SHORTEST_PAUSE:
            found[-1][1] = end
        else:
            found.append([start, end])
    return [Span(a * FRAME, b * FRAME) for a, b in found if b - a >= SHORTEST_SPEECH]
