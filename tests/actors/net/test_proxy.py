"""The filtering proxy, spoken to as clients speak to proxies."""

import base64
import ipaddress
import urllib.error
import urllib.request

import anyio
import pytest
from yarl import URL

from actors.net import proxy
from actors.net.address_policy import AddressPolicy
from actors.net.proxy import open_proxy
from tests.media_server import MediaServer, gives

pytestmark = pytest.mark.anyio

HERE = AddressPolicy(networks=(ipaddress.ip_network("127.0.0.1/32"),))


async def fetched(through: str, url: str) -> tuple[int, bytes]:
    """By Python's own client, in a thread."""

    def fetch() -> tuple[int, bytes]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": through}))
        try:
            with opener.open(url, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, b""

    return await anyio.to_thread.run_sync(fetch)


async def said(through: str, request: str) -> bytes:
    """What the proxy answers to raw bytes, up to the first block."""
    url = URL(through)
    secret = base64.b64encode(f"{url.user}:{url.password}".encode()).decode()
    request = request.replace("AUTH", f"Proxy-Authorization: Basic {secret}")
    async with await anyio.connect_tcp(url.host or "", url.port or 0) as client:
        await client.send(request.encode())
        with anyio.fail_after(10):
            return await client.receive()


async def test_what_may_be_dialled_is(web: MediaServer) -> None:
    async with open_proxy(HERE) as through:
        assert await fetched(through, web.at("/a?b=c", gives(b"x" * 300_000))) == (
            200,
            b"x" * 300_000,
        )


async def test_what_may_not_be_dialled_is_not(web: MediaServer) -> None:
    url = web.at("/a", gives(b"secret"))
    async with open_proxy(AddressPolicy()) as through:
        assert await fetched(through, url) == (403, b"")
        assert await fetched(through, url.replace("127.0.0.1", "localhost")) == (403, b"")
    assert web.asked == []


async def test_nobody_else_may_use_it(web: MediaServer) -> None:
    async with open_proxy(HERE) as through:
        stranger = through.replace(URL(through).password or "", "guess")
        assert (await fetched(stranger, web.at("/a", gives(b"x"))))[0] == 407


async def test_a_tunnel_goes_where_it_may(web: MediaServer) -> None:
    web.at("/a", gives(b"through"))
    async with open_proxy(HERE) as through:
        port = web.server.server_port
        opened = await said(through, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nAUTH\r\n\r\n")
        assert opened.startswith(b"HTTP/1.1 200")
        closed = await said(through, f"CONNECT 127.0.0.2:{port} HTTP/1.1\r\nAUTH\r\n\r\n")
        assert closed.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "line",
    ["GET / HTTP/1.1", "GET ftp://127.0.0.1/ HTTP/1.1", "CONNECT 127.0.0.1 HTTP/1.1",
     "CONNECT 127.0.0.1:99999 HTTP/1.1", "GET http://[ HTTP/1.1", "nonsense"],
)  # fmt: skip
async def test_what_is_no_request_for_a_proxy_is_refused(line: str) -> None:
    async with open_proxy(HERE) as through:
        assert (await said(through, f"{line}\r\nAUTH\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_one_look_up_decides(web: MediaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["127.0.0.1", "127.0.0.2"])

    async def resolve(host: str, port: int, **_: object) -> list[object]:
        return [(2, 1, 6, "", (next(answers), port))]

    monkeypatch.setattr(proxy.anyio, "getaddrinfo", resolve)
    url = web.at("/a", gives(b"there"), host="rebinding.example")
    async with open_proxy(HERE) as through:
        assert await fetched(through, url) == (200, b"there")
        assert await fetched(through, url) == (403, b"")
