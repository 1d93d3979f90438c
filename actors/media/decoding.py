"""Runs the decode child and reads its audio."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import numpy as np
from anyio.abc import Process

from actors.kernel.processes import ChildFailed, Killed, check, open_child
from actors.media.silence import take_whole
from actors.media.speech import UNIT
from storage.errors import Invalid
from storage.records import SAMPLE_BYTES


class _Refused(msgspec.Struct):
    refused: str
    """Empty where the child does not know what is wrong with the file."""


class _Decoded(msgspec.Struct):
    samples: int
    notices: list[str]


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


SPARE_S = 60.0
"""How long a child that was started ahead waits for a recording."""


class Spare:
    """A decode child that was started before its recording comes.

    The start takes a quarter of a second, which is long beside a short recording. Each child still
    decodes one recording only. Nothing is kept in an idle server.
    """

    def __init__(self) -> None:
        self._child: Process | None = None
        self._wanted, self._taken = anyio.Event(), anyio.Event()

    def take(self) -> Process | None:
        child, self._child = self._child, None
        self._taken.set()
        return child if child is not None and child.returncode is None else None

    def want(self) -> None:
        """Another recording is likely to follow soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Keep a child while one is wanted, until this is cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted, self._taken = anyio.Event(), anyio.Event()
            self._child = child = await start()
            try:
                with anyio.move_on_after(SPARE_S):
                    await self._taken.wait()
            finally:
                if self._child is child:
                    self._child = None
                    child.kill()
                    with anyio.CancelScope(shield=True):
                        await child.aclose()


async def start() -> Process:
    """A decode child that waits for its recording."""
    return await open_child(
        [sys.executable, "-m", "actors.media.decode_child"], stdin=subprocess.PIPE
    )


async def decode(
    source: Path,
    track: int | None = None,
    notices: list[str] | None = None,
    spare: Spare | None = None,
) -> AsyncGenerator[Sound, None]:
    """Decode an audio or video file, and say where somebody speaks in it.

    ``track``: which audio track, from 1; None: the file's default. What the user should know about
    the recording is added to ``notices`` after the last block, in sentences. ``spare``: has a child
    that was started ahead, or is told that one is wanted.

    To be closed, with `contextlib.aclosing`, before its caller goes on.

    Raises:
        Invalid: the child says that the file cannot be decoded; the message is a sentence for the
            user.
        ChildFailed: the child failed and did not say that the file is the reason; the message is
            what it wrote to stderr.
        Killed: a signal ended the child, or it gave nothing for SILENT_S and was ended.
    """
    order = msgspec.json.encode({"path": str(source), "track": track})
    async with (spare and spare.take()) or await start() as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        try:
            with suppress(anyio.BrokenResourceError):  # it has ended: its output says why
                await child.stdin.send(order + b"\n")
            await child.stdin.aclose()
            held = bytearray()
            while (block := await _next_block(child.stdout)) is not None:
                held += block
                if units := take_whole(held, UNIT_BYTES, keep=1):  # all but the last one
                    yield _sound(units)
            said = await _all(child.stderr)
            await child.wait()
        finally:
            if child.returncode is None:
                child.kill()
        check(child)
        if child.returncode:
            raise _failure(said)
        decoded = msgspec.json.decode(said.splitlines()[-1], type=_Decoded)
        if spare is not None:
            spare.want()
        if notices is not None:
            notices += decoded.notices
        last = _sound(bytes(held))
        in_last = (decoded.samples - 1) % UNIT + 1
        yield Sound(last.pcm[: in_last * SAMPLE_BYTES], last.likelihood)


def _sound(units: bytes) -> Sound:
    rows = np.frombuffer(units, np.uint8).reshape(-1, UNIT_BYTES)
    return Sound(rows[:, :-1].tobytes(), rows[:, -1].tobytes())


async def _next_block(stdout: anyio.abc.ByteReceiveStream) -> bytes | None:
    try:
        with anyio.fail_after(SILENT_S):
            return await stdout.receive(BLOCK)
    except anyio.EndOfStream:
        return None
    except TimeoutError:
        raise Killed(f"it gave nothing for {SILENT_S:.0f} s") from None


async def _all(stream: anyio.abc.ByteReceiveStream) -> bytes:
    said = bytearray()
    async for part in stream:
        said += part
    return bytes(said[-4096:])


def _failure(said: bytes) -> Invalid | ChildFailed:
    """Only the child's own word blames the file."""
    lines = said.splitlines() or [b"it ended without a word"]
    try:
        return Invalid(msgspec.json.decode(lines[-1], type=_Refused).refused or BROKEN)
    except msgspec.DecodeError:
        return ChildFailed(lines[-1].decode(errors="replace"))
