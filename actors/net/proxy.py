"""A forward proxy on loopback that connects only to addresses that the address policy allows.

It is for child processes that use network code which is not ours, such as yt-dlp. They are told to
use this proxy. It resolves each host name once, checks the addresses, and connects to one of them.
"""

import base64
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from yarl import URL

from actors.net.address_policy import AddressPolicy

LONGEST_HEAD = 1 << 16
RELAY_BLOCK = 1 << 16
HEAD_S = 30
CONNECT_S = 10
_USER = "whisperbox"


class _Refused(Exception):
    """A request is refused; the message is the end of the status line, e.g. ``403 Forbidden``."""


@asynccontextmanager
async def open_proxy(policy: AddressPolicy) -> AsyncIterator[str]:
    """Run the proxy until the block ends. Gives the proxy's URL, which contains a password."""
    password = secrets.token_urlsafe(16)
    proxy = _Proxy(policy, password)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, proxy.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        try:
            yield f"http://{_USER}:{password}@127.0.0.1:{port}"
        finally:
            group.cancel_scope.cancel()


class _Proxy:
    def __init__(self, policy: AddressPolicy, password: str) -> None:
        self._policy = policy
        secret = base64.b64encode(f"{_USER}:{password}".encode()).decode()
        self._authorization = f"Basic {secret}"

    async def serve(self, client: SocketStream) -> None:
        async with client:
            try:
                await self._answer(client)
            except _Refused as refusal:
                await _try_to_send(
                    client, f"HTTP/1.1 {refusal}\r\nConnection: close\r\n\r\n".encode()
                )
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError):
                pass  # the client or the server has closed its connection

    async def _answer(self, client: SocketStream) -> None:
        source = BufferedByteReceiveStream(client)
        try:
            with anyio.fail_after(HEAD_S):
                head = await source.receive_until(b"\r\n\r\n", LONGEST_HEAD)
        except (anyio.IncompleteRead, anyio.DelimiterNotFound):
            raise _Refused("400 Bad Request") from None
        method, target, headers = _parsed(head)
        shown = headers.get("proxy-authorization", "").encode()
        if not secrets.compare_digest(shown, self._authorization.encode()):
            raise _Refused(
                '407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=""'
            )
        if method == "CONNECT":
            host, port, opening = *_host_and_port(target), b""
        else:
            host, port, opening = _plain_request(method, target, head)
        async with await self._dial(host, port) as server:
            if method == "CONNECT":
                await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await server.send(opening + source.buffer)
            async with anyio.create_task_group() as group:
                group.start_soon(_relay, client, server)
                await _relay(server, client)
                group.cancel_scope.cancel()

    async def _dial(self, host: str, port: int) -> SocketStream:
        """Resolve a host once, check all its addresses, and connect to one of them."""
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = [str(entry[4][0]) for entry in found]
            for address in addresses:
                self._policy.check(address)
        except OSError:
            raise _Refused("403 Forbidden") from None
        for address in addresses:
            try:
                with anyio.fail_after(CONNECT_S):
                    return await anyio.connect_tcp(address, port)
            except (OSError, TimeoutError):
                continue
        raise _Refused("502 Bad Gateway")


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3:
        raise _Refused("400 Bad Request")
    fields = (line.partition(":") for line in lines[1:])
    return parts[0], parts[1], {name.lower(): value.strip() for name, _, value in fields}


def _host_and_port(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise _Refused("400 Bad Request")
    return host.strip("[]"), int(port)


def _plain_request(method: str, target: str, head: bytes) -> tuple[str, int, bytes]:
    """The host, the port, and the request's head, rewritten for the server.

    The connection is closed after one request.
    """
    try:
        url = URL(target)
        host, port = url.host, url.port
    except ValueError:
        raise _Refused("400 Bad Request") from None
    if url.scheme != "http" or not host or not port:
        raise _Refused("400 Bad Request")
    kept = [
        line
        for line in head.split(b"\r\n")[1:-2]
        if not line.lower().startswith((b"proxy-", b"connection:"))
    ]
    first = f"{method} {url.raw_path_qs} HTTP/1.1".encode("latin-1")
    return host, port, b"\r\n".join([first, *kept, b"Connection: close", b"", b""])


async def _relay(source: SocketStream, target: SocketStream) -> None:
    try:
        async for block in _blocks(source):
            await target.send(block)
        await target.send_eof()
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass


async def _blocks(source: SocketStream) -> AsyncIterator[bytes]:
    while True:
        try:
            yield await source.receive(RELAY_BLOCK)
        except anyio.EndOfStream:
            return


async def _try_to_send(client: SocketStream, data: bytes) -> None:
    with suppress(OSError, anyio.BrokenResourceError):
        await client.send(data)
