"""Children that report in lines of JSON."""

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


async def said(
    command: Sequence[str],
    kind: type[S],
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> AsyncGenerator[S, None]:
    """Each line that a child writes to its stdout; it is ended if the caller leaves early.

    ``given`` is all that the child reads from its stdin.

    To be closed, with `contextlib.aclosing`, before its caller goes on.

    Raises:
        Killed: a signal ended the child.
    """
    async with await open_child(
        command, stdin=subprocess.PIPE, stderr=None, env=environment
    ) as child:
        assert child.stdin
        assert child.stdout
        with suppress(anyio.BrokenResourceError):  # it has ended without reading
            await child.stdin.send(given)
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
