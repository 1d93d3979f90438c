"""The decode child: ``python -m actors.media.decode_child SOCKET_FD``.

The process that is started loads FFmpeg and the voice model, which takes a third of a second, and
then forks a child for each recording (`ForkServer`). A hostile file may exploit an error in a
decoder: then it can do harm only in the child that decodes it, which decodes nothing else.

A child's order is a line of JSON, ``{"path": "a file", "track": null}`` (which audio track, from 1;
null: the file's default). It writes units of 512 samples of 16 kHz mono s16 little-endian PCM to
its stdout, each with a byte after it: the probability that somebody speaks in it, times 255. It
ends with one line of JSON on stderr: ``{"samples": how many, "notices": ["what the user should
know", …]}``, or with code 2 and ``{"refused": "a sentence for the user"}``.
"""

import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import av.logging
import numpy as np

from actors.media.decoder import Decoder, Refused
from actors.media.resampler import Layout
from actors.media.silence import take_whole
from actors.media.speech import UNIT
from actors.media.voice import VoiceActivity, voice_session
from storage.records import RATE, SAMPLE_BYTES

LONGEST_ORDER = 1 << 16
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


class ForkServer:
    """Forks a child for each order that comes over a Unix socket.

    A message is the order itself, with two sockets: the child's stdout and its stderr. A child is
    killed when the other end of its stdout is closed or shut down. If a signal has ended it, a line
    ``{"signal": number}`` is written to its stderr.
    """

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._children: dict[int, tuple[socket.socket, socket.socket]] = {}
        """By the numbers of the processes: their stdout and stderr."""
        self._ended, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.poll()
        for each in (self._orders, self._ended):
            self._poll.register(each, select.POLLIN)

    def run(self) -> str:
        """Returns in each child, with its order; the process itself ends with the connection."""
        gc.freeze()  # a collection in a child would copy the memory that it shares with this one
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._ended.fileno():
                    self._bury()
                elif fd == self._orders.fileno():
                    order, fds, _, _ = socket.recv_fds(self._orders, LONGEST_ORDER, 2)
                    if not order:
                        self._end()
                    if self._fork(*(socket.socket(fileno=each) for each in fds)):
                        return order.decode()
                else:
                    self._kill(fd)

    def _fork(self, out: socket.socket, err: socket.socket) -> bool:
        """Whether this is the child."""
        pid = os.fork()
        if pid:
            self._children[pid] = out, err
            self._poll.register(out, select.POLLIN)  # it is only written to: the end is a kill
            return False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        for each in (out, err, self._orders, self._ended, self._wakes):
            each.close()
        for others in self._children.values():
            for each in others:
                each.close()
        return True

    def _bury(self) -> None:
        self._ended.recv(4096)
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            out, err = self._children.pop(pid)
            with suppress(KeyError):
                self._poll.unregister(out)
            with out, err, suppress(OSError):  # perhaps nobody reads it any more
                if os.WIFSIGNALED(status):
                    last = json.dumps({"signal": os.WTERMSIG(status)})
                    err.send(f"\n{last}\n".encode(), socket.MSG_DONTWAIT)

    def _kill(self, out: int) -> None:
        for pid, (each, _) in self._children.items():
            if each.fileno() == out:
                self._poll.unregister(out)
                os.kill(pid, signal.SIGKILL)

    def _end(self) -> NoReturn:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def main(fd: int) -> None:
    session = voice_session()
    order = ForkServer(socket.socket(fileno=fd)).run()
    limit_process()
    decoder = Decoder(**json.loads(order))
    try:
        written = _write(decoder, VoiceActivity(session))
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
    # The reader would wait for the end of this process, and Python's own end takes 30 ms.
    with socket.socket(fileno=1) as out:
        out.shutdown(socket.SHUT_WR)
    _say({"samples": written, "notices": decoder.notices})
    os._exit(0)


def _write(decoder: Decoder, voice: VoiceActivity) -> int:
    """Decode the file to stdout; returns the number of samples, without those that fill a unit."""
    held, count = bytearray(), 0
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
    main(int(sys.argv[1]))
