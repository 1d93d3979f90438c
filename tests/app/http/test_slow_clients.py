"""Requests that do not come and answers that nobody reads, over real sockets."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from anyio.abc import SocketStream
from litestar.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.http import slow_clients
from app.http.slow_clients import LARGEST_HEAD, LimitedPatience

pytestmark = pytest.mark.anyio

BODY = 100_000
UNFINISHED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BODY
LARGE = 32 << 20
"""Bytes; more than two kernels keep on the way."""
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_REQUEST = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body = await receive()
    assert body["type"] == "http.request"
    assert scope["type"] == "http"
    answer = bytes(LARGE) if scope["path"] == "/large" else b"ok"
    length = str(len(answer)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": answer, "more_body": False})


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SocketStream]:
    """A connection to a server that waits a fifth of a second for a head, and for a reader."""
    monkeypatch.setattr(slow_clients, "HEAD_S", 0.2)
    monkeypatch.setattr(slow_clients, "REST_S", 0.2)
    monkeypatch.setattr(slow_clients, "UNREAD_S", 0.2)
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=60)
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedPatience(config, ServerState(), {}), "127.0.0.1", 0
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


async def test_blank_lines_between_requests_are_no_way_to_stay(client: SocketStream) -> None:
    await client.send(REQUEST)
    assert b"ok" in await client.receive()
    with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await drip(client, b"\r\n")


async def test_a_body_that_drips_on_after_its_answer_is_given_up(client: SocketStream) -> None:
    await client.send(UNFINISHED)
    with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await drip(client, b"x")


async def test_a_body_that_goes_on_steadily_after_its_answer_is_taken_to_its_end(
    client: SocketStream,
) -> None:
    await client.send(UNFINISHED)
    for _ in range(BODY // 10_000):
        await anyio.sleep(0.06)
        await client.send(bytes(10_000))
    assert b"ok" in await client.receive()
    await client.send(REQUEST)
    assert b"ok" in await client.receive()


async def drip(client: SocketStream, drop: bytes) -> None:
    while True:
        await anyio.sleep(0.03)
        await client.send(drop)
        with anyio.move_on_after(0):
            await client.receive()


async def test_an_answer_that_is_read_comes_whole(
    client: SocketStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "UNREAD_S", 5.0)
    await client.send(LARGE_REQUEST)
    received = 0
    with anyio.fail_after(10):
        while received < LARGE:
            received += len(await client.receive(1 << 20))


async def test_a_client_that_does_not_read_is_given_up(client: SocketStream) -> None:
    await client.send(LARGE_REQUEST)
    await anyio.sleep(0.5)  # longer than the server waits
    received = 0
    with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        while True:
            received += len(await client.receive(1 << 20))
    assert received < LARGE
