"""Runs decode children and reads their audio."""

import math
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import numpy as np
from anyio.abc import Process, UNIXSocketStream

from actors.kernel.processes import ChildFailed, Killed, open_child
from actors.media.silence import take_whole
from actors.media.speech import UNIT
from storage.errors import Invalid
from storage.records import SAMPLE_BYTES


class _LastWord(msgspec.Struct):
    """What a child says at its end; see `actors.media.decode_child`."""

    samples: int | None = None
    notices: tuple[str, ...] = ()
    refused: str | None = None
    """Empty where the child does not know what is wrong with the file."""
    signal: int | None = None
    """That has ended it."""


class Sound(msgspec.Struct, frozen=True):
    """A part of a recording."""

    pcm: bytes
    """16 kHz, mono, s16 little-endian."""
    likelihood: bytes
    """The probability that somebody speaks, times 255, for each unit of 512 samples."""


BROKEN = "the file made the audio decoder fail"
BLOCK = 1 << 18
"""Bytes read at once: eight seconds of audio."""
UNIT_BYTES = UNIT * SAMPLE_BYTES + 1
SILENT_S = 120.0
"""A decoder that works gives a block in hundredths of a second; on a slow disk it may have to read
a large file to its end first."""


IDLE_S = 60.0
"""How long the fork server waits for the next recording before it is ended."""
ANSWER_S = 5.0
"""How long it may take to kill a child, and to end."""


class Decoders:
    """Decode children, one for each recording.

    Their fork server is started with the first recording, and is kept while recordings follow each
    other: it saves all but the first the third of a second that a decoder's libraries take to load.
    Nothing is kept in an idle server.
    """

    def __init__(self) -> None:
        self._server: _ForkServer | None = None
        self._starting = anyio.Lock()
        self._under_way = 0
        self._changed = anyio.Event()

    async def run(self) -> None:
        """End the fork server once it is idle, and when this is cancelled."""
        try:
            while True:
                self._changed = anyio.Event()
                idle = self._server is not None and not self._under_way
                with anyio.move_on_after(IDLE_S if idle else math.inf):
                    await self._changed.wait()
                    continue
                await self._end()
        finally:
            with anyio.CancelScope(shield=True):
                await self._end()

    async def decode(
        self, source: Path, track: int | None, notices: list[str]
    ) -> AsyncGenerator[Sound, None]:
        """Decode an audio or video file, and say where somebody speaks in it.

        ``track``: which audio track, from 1; None: the file's default. What the user should know
        about the recording is added to ``notices`` after the last block, in sentences.

        To be closed, with `contextlib.aclosing`, before its caller goes on.

        Raises:
            Invalid: the child says that the file cannot be decoded; the message is a sentence for
                the user.
            ChildFailed: the child failed and did not say that the file is the reason; the message
                is what it wrote to stderr.
            Killed: a signal ended the child, or it gave nothing for SILENT_S and was ended.
        """
        self._under_way += 1
        self._changed.set()
        try:
            server = await self._running()
            out, err = await server.fork(msgspec.json.encode({"path": str(source), "track": track}))
            async with out, err:
                held = bytearray()
                while (block := await _next_block(server, out)) is not None:
                    held += block
                    if units := take_whole(held, UNIT_BYTES, keep=1):  # all but the last one
                        yield _sound(units)
                said = await _all(err) or await server.last_words()
            last = _last_word(said)
            assert last.samples is not None
            notices += last.notices
            sound = _sound(bytes(held))
            in_last = (last.samples - 1) % UNIT + 1
            yield Sound(sound.pcm[: in_last * SAMPLE_BYTES], sound.likelihood)
        finally:
            self._under_way -= 1
            self._changed.set()

    async def _running(self) -> "_ForkServer":
        async with self._starting:
            if self._server is None or self._server.has_ended:
                await self._end()
                self._server = await _ForkServer.start()
            return self._server

    async def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.end()


class _ForkServer:
    """The process that forks a child for each recording; see `actors.media.decode_child`."""

    def __init__(self, process: Process, orders: socket.socket) -> None:
        self._process, self._orders = process, orders

    @classmethod
    async def start(cls) -> "_ForkServer":
        ours, theirs = socket.socketpair()
        with theirs:
            process = await open_child(
                [sys.executable, "-m", "actors.media.decode_child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # It forks, which is safe in a process with one thread.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )
        return cls(process, ours)

    @property
    def has_ended(self) -> bool:
        """It never writes to this socket. Its end is seen here at once, and by asyncio later."""
        try:
            return not self._orders.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def fork(self, order: bytes) -> tuple[UNIXSocketStream, UNIXSocketStream]:
        """A new child's stdout and stderr. Both end at once if this process has ended."""
        (out, its_out), (err, its_err) = socket.socketpair(), socket.socketpair()
        with its_out, its_err, suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._orders, [order], [its_out.fileno(), its_err.fileno()])
        with anyio.CancelScope(shield=True):
            streams = [await UNIXSocketStream.from_socket(each) for each in (out, err)]
        return streams[0], streams[1]

    async def kill(self, out: UNIXSocketStream) -> None:
        """Kill the child that has this stdout, and this process too if it does not do so."""
        with anyio.move_on_after(ANSWER_S) as waiting, suppress(anyio.ClosedResourceError):
            await out.send_eof()
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await out.receive(BLOCK)
        if waiting.cancelled_caught:
            self._kill()

    async def last_words(self) -> bytes:
        """What this process says itself, if it has ended: why it could not start, for example."""
        with anyio.move_on_after(ANSWER_S):
            await self._process.wait()
        code = self._process.returncode
        if code is None:
            return b""
        if code < 0:
            return msgspec.json.encode(_LastWord(signal=-code))
        assert self._process.stderr
        return await _all(self._process.stderr)

    async def end(self) -> None:
        """End it, with its children."""
        self._orders.close()
        with anyio.move_on_after(ANSWER_S):
            await self._process.wait()
        self._kill()
        await self._process.aclose()

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


def _sound(units: bytes) -> Sound:
    rows = np.frombuffer(units, np.uint8).reshape(-1, UNIT_BYTES)
    return Sound(rows[:, :-1].tobytes(), rows[:, -1].tobytes())


async def _next_block(server: _ForkServer, out: UNIXSocketStream) -> bytes | None:
    try:
        with anyio.fail_after(SILENT_S):
            return await out.receive(BLOCK)
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return None
    except TimeoutError:
        await server.kill(out)
        raise Killed(f"it gave nothing for {SILENT_S:.0f} s") from None


async def _all(stream: anyio.abc.ByteReceiveStream) -> bytes:
    said = bytearray()
    with suppress(anyio.BrokenResourceError):
        async for part in stream:
            said += part
            if part.endswith(b"\n") and _word(said).samples is not None:
                break  # the child has done its work; its end takes hundredths of a second more
    return bytes(said[-4096:])


def _last_word(said: bytes) -> _LastWord:
    """What the child says at its end, if it has done its work. Only its own word blames the file.

    Raises:
        Invalid, ChildFailed, Killed: as `Decoders.decode`.
    """
    word = _word(said)
    if word.signal is not None:
        raise Killed(f"it was ended by signal {word.signal}")
    if word.refused is not None:
        raise Invalid(word.refused or BROKEN)
    if word.samples is None:
        lines = said.splitlines() or [b"it ended without a word"]
        raise ChildFailed(lines[-1].decode(errors="replace"))
    return word


def _word(said: bytes | bytearray) -> _LastWord:
    """The last line, where it is one of a child's last words; else an empty word."""
    *_, last = said.splitlines() or [b""]
    try:
        return msgspec.json.decode(last, type=_LastWord)
    except msgspec.DecodeError:
        return _LastWord()
