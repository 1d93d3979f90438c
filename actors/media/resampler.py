"""Gives decoded audio one sample rate and one number of channels."""

from collections.abc import Iterator
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from storage.records import RATE

Layout = Literal["mono", "stereo"]
Samples = NDArray[np.int16]
"""s16[samples, channels] at RATE."""

CANCELLED_BELOW = 10 ** (-10 / 20)
"""Where a mix has less than this part of the level of one of its channels, the channels cancel each
other out. (The mix of one channel and silence has a half, -6 dB.)"""
MIX_SAMPLES = RATE // 2
"""How much is mixed together, so that the choice between mix and channel does not flutter."""


class Resampler:
    """Gives PCM in one form, whatever the frames' rate, format and channels, which may change."""

    def __init__(self, layout: Layout) -> None:
        self._layout: Layout = layout
        self.channels = 2 if layout == "stereo" else 1
        self._form: object = None
        self._resampler: Any = None
        self._mixes = False
        self._unmixed: list[Samples] = []

    def add(self, frame: Any) -> Iterator[Samples]:
        form = frame.sample_rate, frame.format.name, frame.layout.name
        if form != self._form:
            yield from self.flush()
            self._begin(frame, form)
        frame.pts = None  # the timeline has seen to it
        for out in self._resampler.resample(frame):
            yield from self._given(_array(out))

    def flush(self) -> Iterator[Samples]:
        """What is still held; the next frame begins anew."""
        if self._resampler is not None:
            for out in self._resampler.resample(None):
                yield from self._given(_array(out))
        if self._unmixed:
            yield self._mix()
        self._form = self._resampler = None

    def _begin(self, frame: Any, form: object) -> None:
        layout: Layout = self._layout
        if layout == "mono" and frame.layout.nb_channels > 1:
            layout = "stereo"
        self._mixes = layout != self._layout
        self._form = form
        self._resampler = av.AudioResampler(format="s16", layout=layout, rate=RATE)

    def _given(self, samples: Samples) -> Iterator[Samples]:
        if not self._mixes:
            yield samples
            return
        self._unmixed.append(samples)
        if sum(map(len, self._unmixed)) >= MIX_SAMPLES:
            yield self._mix()

    def _mix(self) -> Samples:
        stereo = np.concatenate(self._unmixed)
        self._unmixed = []
        return mixed(stereo)


def mixed(stereo: Samples) -> Samples:
    """One channel of two: their mean, or the louder one if they cancel each other out."""
    floats = stereo.astype(np.float32)
    mix = floats.mean(axis=1)
    levels = np.sqrt(np.square(floats).mean(axis=0))
    if np.sqrt(np.square(mix).mean()) < CANCELLED_BELOW * levels.max() / 2**0.5:
        mix = floats[:, levels.argmax()]
    whole: Samples = np.round(mix).astype(np.int16)[:, None]
    return whole


def _array(frame: Any) -> Samples:
    channels: int = frame.layout.nb_channels
    samples: Samples = np.frombuffer(frame.planes[0], np.int16)
    return samples[: frame.samples * channels].reshape(-1, channels)
