"""Samples without a header, as some clients send them."""

import struct

from storage.records import RATE

LARGEST = 0xFFFFFFFF


def wav_header(rate: int = RATE, width: int = 2, channels: int = 1) -> bytes:
    """The header of a WAV file of unknown length, which makes a recording of samples.

    ``rate`` in samples a second, ``width`` in bytes of one sample of one channel. The length that
    it states is the largest; the decoder reads to the end.
    """
    frame = width * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", LARGEST, b"WAVE", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 8 * width,
        b"data", LARGEST,
    )  # fmt: skip
