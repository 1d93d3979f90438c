"""The decode child: ``python -m actors.media.decode_child``.

Reads one line of JSON from stdin, ``{"path": "a file", "track": null}`` (which audio track, from 1;
null: the file's default), and ends if there is none. It may be started before there is a recording.
Writes units of 512 samples of 16 kHz mono s16 little-endian PCM to stdout, each with a byte after
it: the probability that somebody speaks in it, times 255. Ends with one line of JSON on stderr:
with code 0 and ``{"samples": how many, "notices": ["what the user should know", …]}``, or with code
2 and ``{"refused": "a sentence for the user"}``. It is a child process because a hostile file may
exploit an error in a decoder: then it can do harm only in this process.
"""

import json
import os
import resource
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import av.logging
import numpy as np

from actors.media.decoder import Decoder, Refused
from actors.media.resampler import Layout
from actors.media.silence import take_whole
from actors.media.speech import UNIT
from actors.media.voice import VoiceActivity
from storage.records import RATE, SAMPLE_BYTES

LONGEST_S = 24 * 3600
CPU_S = 3600
UNITS_AT_ONCE = 64
"""Two seconds: the first words of a long file need not wait for more."""
NICE = 5
"""The child has a lower priority than the server, because people wait for its answers, and than
the engine, because recordings are decoded before the engine needs them."""
ADDRESS_SPACE = 4 << 30
"""Bytes. FFmpeg maps much more memory than it uses: decoding a day of audio needs less than 100 MB
of resident memory."""


def main() -> None:
    limit_process()
    line = sys.stdin.readline()
    if not line:
        return  # no recording has come
    decoder = Decoder(**json.loads(line))
    try:
        written = _write(decoder)
    except OSError:
        raise  # the disk or the pipe: not the file's fault
    except Refused as refused:
        exit_with_refusal(str(refused))
    except MemoryError:
        if resource.getrlimit(resource.RLIMIT_AS)[0] < ADDRESS_SPACE:
            raise  # the operator gives us less than files may need
        exit_with_refusal("the file needs too much memory to be decoded")
    except Exception:
        traceback.print_exc()
        exit_with_refusal("")
    if not written:
        exit_with_refusal("the file's audio track is empty or too damaged to decode")
    _say({"samples": written, "notices": decoder.notices})


def _write(decoder: Decoder) -> int:
    """Decode the file to stdout; returns the number of samples, without those that fill a unit."""
    voice, held, count = VoiceActivity(), bytearray(), 0
    with os.fdopen(1, "wb", closefd=False) as out:
        for pcm in decoder.blocks():
            held += pcm
            count += len(pcm) // SAMPLE_BYTES
            if count > LONGEST_S * RATE:
                exit_with_refusal(f"the audio is longer than {LONGEST_S // 3600} hours")
            if len(held) >= UNITS_AT_ONCE * UNIT * SAMPLE_BYTES:
                out.write(_units(take_whole(held, UNIT * SAMPLE_BYTES), voice))
        if held:
            out.write(_units(bytes(held) + bytes(-len(held) % (UNIT * SAMPLE_BYTES)), voice))
    return count


def _units(pcm: bytes, voice: VoiceActivity) -> bytes:
    samples = np.frombuffer(pcm, np.int16)
    units = np.frombuffer(pcm, np.uint8).reshape(-1, UNIT * SAMPLE_BYTES)
    return np.column_stack([units, voice.of(samples)]).tobytes()


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


@dataclass(frozen=True)
class Recording:
    """A file for another child; ``track``: which audio track, from 1; None: the default."""

    path: str
    track: int | None = None

    def blocks(self, layout: Layout = "mono") -> Iterator[bytes]:
        """As `Decoder.blocks`; a file that cannot be decoded ends the process."""
        try:
            yield from Decoder(self.path, layout, self.track).blocks()
        except Refused as refused:
            exit_with_refusal(str(refused))


def exit_with_refusal(sentence: str) -> NoReturn:
    _say({"refused": sentence})
    sys.exit(2)


def _say(what: dict[str, object]) -> None:
    sys.stderr.write(json.dumps(what) + "\n")


if __name__ == "__main__":
    main()
