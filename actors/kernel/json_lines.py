"""Child processes that print their results as lines of JSON."""

import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from actors.kernel.processes import check, open_child

LONGEST_LINE = 64 << 20

S = TypeVar("S")


async def run_json_child(
    command: Sequence[str],
    kind: type[S],
    environment: Mapping[str, str] | None = None,
    stdin_data: bytes = b"",
) -> AsyncGenerator[S, None]:
    """Run a child and yield each line of its stdout, decoded as ``kind``.

    ``stdin_data`` is what the child reads from its stdin. If the caller stops early, the child is
    killed; so the caller must use `contextlib.aclosing`.

    Raises:
        Killed: a signal ended the child.
        msgspec.DecodeError: a line is not JSON of that kind.
    """
    async with await open_child(
        command, stdin=subprocess.PIPE, stderr=None, env=environment
    ) as child:
        assert child.stdin
        assert child.stdout
        with suppress(anyio.BrokenResourceError):  # the child has ended without reading its stdin
            await child.stdin.send(stdin_data)
        await child.stdin.aclose()
        lines = BufferedByteReceiveStream(child.stdout)
        try:
            while True:
                line = await lines.receive_until(b"\n", LONGEST_LINE)
                yield msgspec.json.decode(line, type=kind)
        except (anyio.IncompleteRead, anyio.EndOfStream):
            await child.wait()
            check(child)
        finally:
            if child.returncode is None:
                child.kill()
