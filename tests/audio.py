"""Recordings made on the spot."""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.records import RATE

SPEECH = 0.3
"""Amplitude of what stands for speech: noise that comes and goes like syllables."""


def babble(*parts: tuple[float, bool], floor: float = 0.0005, seed: int = 0) -> NDArray[np.int16]:
    """``(seconds, speaking)`` after each other, over a noise floor, as s16 at 16 kHz."""
    rng = np.random.default_rng(seed)
    made: list[NDArray[np.float64]] = []
    for seconds, speaking in parts:
        n = round(seconds * RATE)
        syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(n) / RATE)
        made.append(rng.standard_normal(n) * (SPEECH * syllables / 3 if speaking else 0))
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


def an_hour_of_silence(path: Path) -> Path:
    """As FLAC of 20 KB, in the largest frames that there are."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=RATE, options={"frame_size": "65535"})
        stream.codec_context.layout = "mono"
        stream.codec_context.open()
        size = stream.codec_context.frame_size
        left = 3600 * RATE
        while left:
            samples = np.zeros((1, min(size, left)), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.rate = RATE
            container.mux(stream.encode(frame))
            left -= samples.shape[1]
        container.mux(stream.encode(None))
    return path
