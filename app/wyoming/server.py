"""Listens for clients of the Wyoming protocol."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.services.services import Services
from app.wyoming.connection import BoundedReader, Connection
from storage.errors import Unusable

log = logging.getLogger(__name__)


@asynccontextmanager
async def serving(services: Services, host: str, port: int) -> AsyncIterator[None]:
    """Answer clients on that address inside the block.

    Raises:
        Unusable: the address cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    connections: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Connection(services, reader, writer).run()
        except Exception:
            log.exception("a Wyoming connection failed")
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(talk(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    def protocol() -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(BoundedReader(loop=loop), accepted, loop=loop)

    try:
        server = await loop.create_server(protocol, host, port)
    except OSError as error:
        hint = "set WYOMING_PORT to another" if error.errno == errno.EADDRINUSE else "check HOST"
        raise Unusable(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from error
    log.info("Wyoming on %s:%d", host, server.sockets[0].getsockname()[1])
    try:
        yield
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
