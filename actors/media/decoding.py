"""Runs the decode child and reads its audio."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.abc
import msgspec

from actors.kernel.processes import check, open_child
from storage.errors import Invalid


class _Refused(msgspec.Struct):
    refused: str


BROKEN = "the file made the audio decoder fail"
BLOCK = 1 << 18
"""Bytes read at once: eight seconds of audio."""


async def decode(source: Path) -> AsyncGenerator[bytes, None]:
    """Decode an audio or video file to blocks of PCM: 16 kHz, mono, s16 little-endian.

    To be closed, with `contextlib.aclosing`, before its caller goes on.

    Raises:
        Invalid: it cannot be decoded; the message is a sentence for the user.
        Killed: a signal ended the child.
    """
    command = [sys.executable, "-m", "actors.media.decode_child", str(source)]
    async with await open_child(command, stdin=subprocess.DEVNULL) as child:
        assert child.stdout
        assert child.stderr
        try:
            while True:
                try:
                    yield await child.stdout.receive(BLOCK)
                except anyio.EndOfStream:
                    break
            said = await _all(child.stderr)
            await child.wait()
        finally:
            if child.returncode is None:
                child.kill()
        check(child)
        if child.returncode:
            raise Invalid(_sentence(said))


async def _all(stream: anyio.abc.ByteReceiveStream) -> bytes:
    said = bytearray()
    async for part in stream:
        said += part
    return bytes(said[-4096:])


def _sentence(said: bytes) -> str:
    try:
        return msgspec.json.decode(said.splitlines()[-1], type=_Refused).refused
    except (IndexError, msgspec.DecodeError):
        return BROKEN
