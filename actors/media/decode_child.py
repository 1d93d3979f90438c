"""The decode child: ``python -m actors.media.decode_child FILE``.

Writes 16 kHz mono s16 little-endian PCM to stdout. Ends with 0, or with 2 and one line of JSON
on stderr, ``{"refused": "a sentence for the user"}``. A child, because what decoders do with a
hostile file must stay in a process that has nothing to lose.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import av
import av.error
import av.logging

from storage.records import RATE, SAMPLE_BYTES

LONGEST_S = 24 * 3600
CPU_S = 3600
NICE = 5
"""Behind the edge, which people wait for, and the engine, which this is ahead of anyway."""
ADDRESS_SPACE = 4 << 30
"""Bytes. FFmpeg maps far more than it uses; a day of audio decodes in under 100 MB resident."""


def main(path: str) -> None:
    confine()
    written = 0
    with os.fdopen(1, "wb", closefd=False) as out:
        for pcm in decoded(path):
            written += out.write(pcm)
            if written > LONGEST_S * RATE * SAMPLE_BYTES:
                refuse(f"the audio is longer than {LONGEST_S // 3600} hours")
    if not written:
        refuse("the file's audio track is empty or too damaged to decode")


def confine(cpu_s: int | None = CPU_S) -> None:
    """Take from this process what no decoder needs."""
    os.nice(NICE)
    if cpu_s is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    av.logging.set_level(None)


def decoded(path: str, layout: str = "mono") -> Iterator[bytes]:
    """The first audio track as PCM, its channels interleaved.

    A damaged packet costs a packet and not the rest.
    """
    # An open file and no protocols: a playlist cannot make FFmpeg open its entries.
    with open(path, "rb") as source:
        try:
            container = av.open(source, "r", options={"protocol_whitelist": "none"})
        except av.error.FFmpegError:
            refuse("the file is not audio or video in any format FFmpeg understands")
        with container:
            if not container.streams.audio:
                refuse("the file has no audio track")
            resampler = av.AudioResampler(format="s16", layout=layout, rate=RATE)
            try:
                for packet in container.demux(container.streams.audio[0]):
                    yield from _resampled(packet, resampler)
            except av.error.FFmpegError:
                pass  # the container is damaged or cut from here on; what came before is kept
            yield from (_bytes(frame) for frame in resampler.resample(None))


def _resampled(packet: Any, resampler: Any) -> Iterator[bytes]:
    try:
        for frame in packet.decode():
            frame.pts = None  # damaged time stamps must not open gaps
            yield from (_bytes(out) for out in resampler.resample(frame))
    except (av.error.FFmpegError, ValueError):
        return


def _bytes(frame: Any) -> bytes:
    return bytes(frame.planes[0])[: frame.samples * frame.layout.nb_channels * SAMPLE_BYTES]


def refuse(sentence: str) -> NoReturn:
    sys.stderr.write(json.dumps({"refused": sentence}) + "\n")
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1])
