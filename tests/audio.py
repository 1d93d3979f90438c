"""Recordings made on the spot."""

import wave
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.records import RATE

AMPLITUDE = 0.3
LOOP_S = 12
VOWELS = (
    (730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410),
    (660, 1720, 2410), (440, 1020, 2240), (490, 1350, 1690),
)  # fmt: skip
"""The first three formants, in Hz, of American vowels (Peterson and Barney, 1952, men)."""
VOWEL_S = 0.18
BANDWIDTHS = np.array([80.0, 100.0, 140.0])
LOUDNESS = np.array([1.0, 0.5, 0.25])
HARMONICS = range(1, 46)
SYLLABLES_A_SECOND = 4.5


@cache
def voice() -> NDArray[np.float64]:
    """LOOP_S of vowels that follow each other, as a voice activity model takes them for speech."""
    rng = np.random.default_rng(7)
    n = LOOP_S * RATE
    time = np.arange(n) / RATE
    pitch = 110 + 22 * np.sin(2 * np.pi * 0.75 * time) + 7 * np.sin(2 * np.pi * 2.25 * time)
    phase = np.cumsum(pitch) / RATE
    place = time / VOWEL_S
    which = place.astype(int)
    glide = np.clip((place - which - 0.6) / 0.4, 0, 1)[:, None]
    formants = np.array([VOWELS[k] for k in rng.integers(len(VOWELS), size=which[-1] + 2)], float)
    now = formants[which] * (1 - glide) + formants[which + 1] * glide
    sound = 0.005 * rng.standard_normal(n)
    for harmonic in HARMONICS:
        away = ((harmonic * pitch)[:, None] - now) / BANDWIDTHS
        formed = (LOUDNESS / (1 + away**2)).sum(axis=1) / harmonic
        sound += formed * np.sin(2 * np.pi * harmonic * phase)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * SYLLABLES_A_SECOND * time - np.pi / 2)
    sound *= syllables * AMPLITUDE / np.abs(sound * syllables).max()
    return sound


def babble(*parts: tuple[float, bool], floor: float = 0.0005, seed: int = 0) -> NDArray[np.int16]:
    """``(seconds, speaking)`` after each other, over a noise floor, as s16 at 16 kHz."""
    rng = np.random.default_rng(seed)
    made: list[NDArray[np.float64]] = []
    for seconds, speaking in parts:
        n = round(seconds * RATE)
        # From the beginning of a syllable on, which is its quietest moment.
        syllable = int(rng.integers(round(LOOP_S * SYLLABLES_A_SECOND)))
        at = round(syllable * RATE / SYLLABLES_A_SECOND)
        heard = np.resize(np.roll(voice(), -at), n)
        made.append(heard if speaking else np.zeros(n))
    samples = np.concatenate(made)
    samples += floor * rng.standard_normal(len(samples))
    return (samples.clip(-1, 1) * 32767).astype(np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def wav(path: Path, *parts: tuple[float, bool]) -> Path:
    return write_wav(path, babble(*parts))


def spoken(path: Path, seconds: Sequence[float] = (3.0,)) -> Path:
    """Utterances of these lengths with a second of silence after each."""
    return wav(path, *(part for s in seconds for part in ((s, True), (1.0, False))))


def a_call(path: Path) -> Path:
    """One speaker on each channel, one after the other."""
    left = babble((2.0, True), (2.6, False), seed=1)
    right = babble((2.6, False), (2.0, True), seed=2)
    return write_wav(path, np.stack([left, right], axis=1))


def silence(path: Path, minutes: int) -> Path:
    """As FLAC of a few KB, in the largest frames that there are."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=RATE, options={"frame_size": "65535"})
        stream.codec_context.layout = "mono"
        stream.codec_context.open()
        size = stream.codec_context.frame_size
        left = 60 * minutes * RATE
        while left:
            samples = np.zeros((1, min(size, left)), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.rate = RATE
            container.mux(stream.encode(frame))
            left -= samples.shape[1]
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> NDArray[np.int16]:
    """A recording as mono samples at RATE."""
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = (f for frame in container.decode(audio=0) for f in resampler.resample(frame))
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
