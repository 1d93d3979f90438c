"""The decode child: ``python -m actors.media.decode_child FILE``.

Writes 16 kHz mono s16 little-endian PCM to stdout. It ends with code 0, or with code 2 and one line
of JSON on stderr, ``{"refused": "a sentence for the user"}``. It is a child process because a
hostile file may exploit an error in a decoder: then it can do harm only in this process.
"""

import json
import os
import resource
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

import av
import av.error
import av.logging

from storage.records import RATE, SAMPLE_BYTES

LONGEST_S = 24 * 3600
CPU_S = 3600
LOWEST_RATE = 2000
"""Hz. Telephones have 8,000; at 1 Hz a file of 100 KB would be a day of noise to transcribe."""
MOST_CHANNELS = 64
"""Of FFmpeg's resampler, SWR_CH_MAX."""
NICE = 5
"""The child has a lower priority than the server, because people wait for its answers, and than
the engine, because recordings are decoded before the engine needs them."""
ADDRESS_SPACE = 4 << 30
"""Bytes. FFmpeg maps much more memory than it uses: decoding a day of audio needs less than 100 MB
of resident memory."""


def main(path: str) -> None:
    limit_process()
    try:
        written = _write(path)
    except OSError:
        raise  # the disk or the pipe: not the file's fault
    except MemoryError:
        if resource.getrlimit(resource.RLIMIT_AS)[0] < ADDRESS_SPACE:
            raise  # the operator gives us less than files may need
        exit_with_refusal("the file needs too much memory to be decoded")
    except Exception:
        traceback.print_exc()
        exit_with_refusal("")
    if not written:
        exit_with_refusal("the file's audio track is empty or too damaged to decode")


def _write(path: str) -> int:
    """Decode the file to stdout; returns the bytes written."""
    written = 0
    with os.fdopen(1, "wb", closefd=False) as out:
        for pcm in decoded(path):
            written += out.write(pcm)
            if written > LONGEST_S * RATE * SAMPLE_BYTES:
                exit_with_refusal(f"the audio is longer than {LONGEST_S // 3600} hours")
    return written


def limit_process(cpu_s: int | None = CPU_S) -> None:
    """Limit this process to what a decoder needs: priority, CPU time (seconds) and memory.

    ``cpu_s`` None: the CPU time is not limited.
    """
    os.nice(NICE)
    if cpu_s is not None:
        _limit(resource.RLIMIT_CPU, cpu_s)
    _limit(resource.RLIMIT_AS, ADDRESS_SPACE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    av.logging.set_level(None)


def _limit(what: int, most: int) -> None:
    """The operator's own limit stays where it is lower: a process cannot raise it."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def decoded(path: str, layout: str = "mono") -> Iterator[bytes]:
    """The first audio track as PCM blocks at 16 kHz, with interleaved channels.

    If a packet is damaged, only that packet is skipped. A file that cannot be decoded ends the
    process; see `exit_with_refusal`.
    """
    # FFmpeg gets an open file and may use no protocols, so that it cannot open the files or
    # addresses that a playlist names.
    with open(path, "rb") as source:
        try:
            container = av.open(source, "r", options={"protocol_whitelist": "none"})
        except av.error.FFmpegError:
            exit_with_refusal("the file is not audio or video in any format FFmpeg understands")
        with container:
            if not container.streams.audio:
                exit_with_refusal("the file has no audio track")
            _check(container.streams.audio[0].codec_context)
            resampler = av.AudioResampler(format="s16", layout=layout, rate=RATE)
            try:
                for packet in container.demux(container.streams.audio[0]):
                    yield from _resampled(packet, resampler)
            except av.error.FFmpegError:
                pass  # the rest of the file is damaged or missing; the audio before it is kept
            yield from (_bytes(frame) for frame in resampler.resample(None))


def _check(codec: Any) -> None:
    """Refuse what cannot be a recording of speech, before it is decoded."""
    if 0 < codec.sample_rate < LOWEST_RATE:
        exit_with_refusal(
            f"the audio has a sample rate of {codec.sample_rate} Hz, which is too low for speech"
        )
    if codec.layout.nb_channels > MOST_CHANNELS:
        exit_with_refusal(
            f"the audio has {codec.layout.nb_channels} channels; {MOST_CHANNELS} is the most that "
            "can be mixed into one"
        )


def _resampled(packet: Any, resampler: Any) -> Iterator[bytes]:
    try:
        for frame in packet.decode():
            frame.pts = None  # damaged time stamps must not make gaps in the audio
            yield from (_bytes(out) for out in resampler.resample(frame))
    except (av.error.FFmpegError, ValueError):
        return


def _bytes(frame: Any) -> bytes:
    return bytes(frame.planes[0])[: frame.samples * frame.layout.nb_channels * SAMPLE_BYTES]


def exit_with_refusal(sentence: str) -> NoReturn:
    sys.stderr.write(json.dumps({"refused": sentence}) + "\n")
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1])
