"""The client against a real server on loopback; only the names' addresses are made up."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.resolver import ThreadedResolver

from actors.net.address_policy import AddressPolicy, Forbidden
from actors.net.client import MOST_REDIRECTS, Outbound, open_outbound
from storage.errors import Invalid
from tests.media_server import MediaServer, gives, redirects

pytestmark = pytest.mark.anyio

HERE = ipaddress.ip_network("127.0.0.1/32")


@asynccontextmanager
async def reaching(*networks: Any) -> AsyncIterator[Outbound]:
    async with open_outbound(AddressPolicy(networks=networks)) as outbound:
        yield outbound


async def got(outbound: Outbound, url: str) -> bytes:
    async with outbound.get(url) as answer:
        return b"".join([block async for block in answer.blocks()])


async def test_a_body_comes_as_it_is_sent(web: MediaServer) -> None:
    squeezed = gives(b"\x1f\x8b not inflated", Content_Encoding="gzip")
    async with reaching(HERE) as outbound:
        assert await got(outbound, web.at("/a", squeezed)) == b"\x1f\x8b not inflated"


async def test_what_the_answer_says_of_itself_is_known(web: MediaServer) -> None:
    url = web.at("/b/talk.wav?key=1", gives(b"abc", Content_Type="audio/wav; rate=8000"))
    async with reaching(HERE) as outbound, outbound.get(url) as answer:
        assert (answer.status, answer.media_type, answer.size) == (200, "audio/wav", 3)
        assert answer.filename == "talk.wav"


async def test_the_sender_may_name_the_file_but_no_folder(web: MediaServer) -> None:
    named = gives(b"abc", Content_Disposition='attachment; filename="../../etc/cron.d/x"')
    async with reaching(HERE) as outbound, outbound.get(web.at("/a", named)) as answer:
        assert answer.filename == "x"


async def test_redirects_are_followed_and_looked_at(web: MediaServer) -> None:
    url = web.at("/a", redirects("/b"))
    web.at("/b", gives(b"there"))
    async with reaching(HERE) as outbound:
        assert await got(outbound, url) == b"there"
        web.at("/b", redirects("http://127.0.0.2/"))
        with pytest.raises(Forbidden):
            await got(outbound, url)
        web.at("/b", redirects("gopher://127.0.0.1/"))
        with pytest.raises(Invalid, match="http or https"):
            await got(outbound, url)


async def test_a_circle_of_redirects_ends(web: MediaServer) -> None:
    url = web.at("/a", redirects("/a"))
    async with reaching(HERE) as outbound:
        with pytest.raises(Invalid, match="too often"):
            await got(outbound, url)
    assert len(web.asked) == MOST_REDIRECTS + 1


async def test_a_name_whose_address_changes_is_dialled_where_it_was_looked_at(
    web: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["127.0.0.1", "127.0.0.2", "127.0.0.2"])

    async def resolve(self: Any, host: str, port: int, family: Any) -> list[Any]:
        address = {"hostname": host, "host": next(answers), "port": port, "family": 2}
        return [address | {"proto": 0, "flags": 0}]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    url = web.at("/a", gives(b"there"), host="rebinding.example")
    async with reaching(HERE) as outbound:
        assert await got(outbound, url) == b"there"
        with pytest.raises(Forbidden):
            await got(outbound, url)


async def test_a_webhooks_redirect_is_not_followed(web: MediaServer) -> None:
    async with reaching(HERE) as outbound:
        assert await outbound.post(web.at("/a", redirects("/b")), b"{}", {}) == 302
        assert web.asked == ["/a"]
        with pytest.raises(Forbidden):
            await outbound.post("http://127.0.0.2/", b"{}", {})
