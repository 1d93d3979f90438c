"""Heads of requests that do not come, over real sockets."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from anyio.abc import SocketStream
from litestar.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.http import request_head
from app.http.request_head import LARGEST_HEAD, BoundedHead

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body = await receive()
    assert body["type"] == "http.request"
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SocketStream]:
    """A connection to a server that waits a fifth of a second for a head."""
    monkeypatch.setattr(request_head, "HEAD_S", 0.2)
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=60)
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedHead(config, ServerState(), {}), "127.0.0.1", 0
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            yield stream


async def everything(client: SocketStream) -> bytes:
    """What comes until the server closes the connection."""
    said = b""
    with anyio.fail_after(5):
        async for part in client:
            said += part
    return said


async def test_a_connection_on_which_nothing_comes_is_closed(client: SocketStream) -> None:
    assert await everything(client) == b""


async def test_a_head_that_stops_is_told_that_it_took_too_long(client: SocketStream) -> None:
    await client.send(REQUEST[:-2])
    assert (await everything(client)).startswith(b"HTTP/1.1 408 ")


async def test_a_second_request_has_its_time_as_well(client: SocketStream) -> None:
    await client.send(REQUEST)
    assert (await client.receive()).startswith(b"HTTP/1.1 200 ")
    await anyio.sleep(0.4)  # longer than a head may take: between requests there is none
    await client.send(REQUEST)
    assert b"ok" in await client.receive()
    await client.send(REQUEST[:5])
    assert b"HTTP/1.1 408 " in await everything(client)


async def test_a_head_without_an_end_is_told_that_it_is_too_large(client: SocketStream) -> None:
    await client.send(REQUEST[:-2])
    with pytest.raises(anyio.BrokenResourceError):
        for _ in range(4 * LARGEST_HEAD // 1000):
            await client.send(b"X-More: " + 990 * b"x" + b"\r\n")
            await anyio.lowlevel.checkpoint()
