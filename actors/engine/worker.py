"""Starts the engine child and talks with it."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
from anyio.abc import Process, UNIXSocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from actors.engine import protocol
from actors.engine.protocol import Failed, FromEngine, Loaded, Window
from actors.kernel.processes import open_child
from actors.models.devices import engine_environment

_decode = msgspec.msgpack.Decoder(FromEngine).decode
REAP_S = 10.0


class EngineError(Exception):
    """A load failed. ``kind`` is one of those in `protocol.Failed`, or ``crashed``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class EngineWorker:
    """A running engine child. Make one with `spawn`."""

    def __init__(self, process: Process, stream: UNIXSocketStream) -> None:
        self._process, self._stream = process, stream
        self._buffered = BufferedByteReceiveStream(stream)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def load(self, path: str, *, use_gpu: bool, threads: int) -> Loaded:
        """Load the model file at ``path``.

        Raises:
            EngineError: the load failed; its kind says whether trying again can help.
        """
        try:
            await self._send(protocol.Load(path, use_gpu, threads))
            answer = await self.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            raise EngineError("crashed", await self._obituary()) from None
        if isinstance(answer, Failed):
            raise EngineError(answer.kind, answer.message)
        assert isinstance(answer, Loaded)
        return answer

    async def transcribe(self, *windows: Window) -> None:
        """Send windows; `receive` gives a Result or a Failed for each, in any order."""
        await self._send(protocol.Transcribe(windows))

    async def abort(self, *ids: int) -> None:
        """Give these windows up; see `protocol.Abort`."""
        await self._send(protocol.Abort(ids))

    async def give_back(self) -> None:
        """Get a Failed for each window that has not been begun."""
        await self._send(protocol.GiveBack())

    async def receive(self) -> FromEngine:
        """The next answer.

        Raises:
            anyio.EndOfStream: the child has ended.
        """
        try:
            size = await self._buffered.receive_exactly(protocol.LENGTH.size)
            (length,) = protocol.LENGTH.unpack(size)
            message: FromEngine = _decode(await self._buffered.receive_exactly(length))
            return message
        except (anyio.IncompleteRead, anyio.BrokenResourceError):
            raise anyio.EndOfStream from None

    async def _send(self, message: protocol.ToEngine) -> None:
        await self._stream.send(protocol.frame(message))

    async def _obituary(self) -> str:
        with anyio.move_on_after(REAP_S):
            await self._process.wait()
        code = self._process.returncode
        if code is not None and code < 0:
            return f"the engine was ended by signal {-code}"
        return f"the engine ended with code {code}"


@asynccontextmanager
async def spawn(cuda_device: str | None = None) -> AsyncIterator[EngineWorker]:
    """Start an engine child, which is killed at the end of the block. This frees its memory."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "actors.engine.child", str(theirs.fileno())]
    with theirs:
        process = await open_child(
            command,
            stdin=subprocess.DEVNULL,
            stdout=2,  # ggml prints to stdout, but the server's stdout may be used as a pipe
            stderr=None,
            env=engine_environment(cuda_device),
            pass_fds=[theirs.fileno()],
        )
    with anyio.CancelScope(shield=True):  # or nobody would end the child
        stream = await UNIXSocketStream.from_socket(ours)
    try:
        yield EngineWorker(process, stream)
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()
            await stream.aclose()
