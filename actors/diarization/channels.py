"""Tells apart the speakers of a call that was recorded with one of them on each channel."""

import numpy as np

from actors.diarization.process import Diarization
from actors.media.decode_child import Recording
from actors.media.silence import FRAME, Levels, is_speech, levels, stretches, take_whole
from storage.records import RATE, SAMPLE_BYTES, Turn

CROSSTALK_DB = 10.0
"""If a channel is this much quieter than the other, its sound is crosstalk: its microphone picks
up the other channel's speaker, and its own speaker is silent."""
MAX_CORRELATION = 0.5
"""The highest correlation of the two channels' levels (in dB, while anybody speaks) at which the
channels still count as two speakers. Two microphones in one room and stereo mixes are above 0.8;
two people who take turns are below 0, and two people who talk at once are near 0."""
FRAME_BYTES = 2 * SAMPLE_BYTES * FRAME


def find(recording: Recording) -> Diarization | None:
    """Find who speaks when; None if the channels are too similar to tell speakers apart."""
    left, right = _channel_levels(recording)
    spoken = np.stack([is_speech(left), is_speech(right)])
    louder = left - right
    anybody = spoken.any(axis=0)
    if not anybody.any():
        return Diarization(provider="channels")
    if _correlation(left[anybody], right[anybody]) > MAX_CORRELATION:
        return None
    own = np.stack([spoken[0] & (louder > -CROSSTALK_DB), spoken[1] & (louder < CROSSTALK_DB)])
    heard = [own[channel] for channel in (0, 1) if own[channel].any()]
    turns = [
        Turn(span.start / RATE, span.end / RATE, f"Speaker {n}")
        for n, frames in enumerate(heard, start=1)
        for span in stretches(frames)
    ]
    return Diarization(provider="channels", turns=tuple(sorted(turns, key=lambda turn: turn.start)))


def _correlation(left: Levels, right: Levels) -> float:
    """The correlation of two series of levels; 0 if one of them never changes."""
    if not (left.std() and right.std()):
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _channel_levels(recording: Recording) -> tuple[Levels, Levels]:
    heard: list[list[Levels]] = [[], []]
    rest = bytearray()
    for block in recording.blocks("stereo"):
        rest += block
        samples = np.frombuffer(take_whole(rest, FRAME_BYTES), "<i2").reshape(-1, 2)
        for channel in (0, 1):
            heard[channel].append(levels(np.ascontiguousarray(samples[:, channel]).data.cast("B")))
    none = [np.zeros(0, np.float32)]
    return np.concatenate(heard[0] or none), np.concatenate(heard[1] or none)
