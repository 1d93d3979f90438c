"""Recordings in containers of every kind, made on the spot."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from storage.records import RATE

Samples = NDArray[np.int16]


def frames(samples: Samples, codec: Any) -> Iterator[Any]:
    """``samples`` (s16[n] or s16[n, channels] at 16 kHz) as an encoder takes them."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout=layout
    )
    frame.rate = RATE
    resampler = av.AudioResampler(
        format=codec.format, layout=layout, rate=codec.sample_rate,
        frame_size=codec.frame_size or None,
    )  # fmt: skip
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def encoded(
    path: Path,
    codec: str,
    *tracks: Samples,
    rate: int = 48_000,
    starts: tuple[float, ...] = (0.0,),
    gap: tuple[float, float] | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    """A file with these tracks.

    ``starts``: when each begins, in seconds; ``gap``: from the second on, packets come so many
    seconds later.
    """
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        streams = []
        for samples in tracks:
            stream = container.add_stream(codec, rate=rate)
            stream.codec_context.layout = (
                "mono" if samples.ndim == 1 else {2: "stereo", 6: "5.1"}[samples.shape[1]]
            )
            stream.codec_context.open()
            streams.append(stream)
        packets = []
        for stream, samples, start in zip(streams, tracks, starts, strict=True):
            at = 0
            for frame in [*frames(samples, stream.codec_context), None]:
                if frame is not None:
                    seconds = at / rate
                    later = gap[1] if gap and seconds >= gap[0] else 0.0
                    frame.time_base = Fraction(1, rate)
                    frame.pts = at + round((start + later) * rate)
                    at += frame.samples
                packets += stream.encode(frame)
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            container.mux(packet)
    return path


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path
