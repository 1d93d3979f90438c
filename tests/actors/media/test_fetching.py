"""From a URL into the spool, against a real server on loopback."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.kernel.mailbox import Mailbox
from actors.media import fetching
from actors.media.fetching import Fetcher, Input
from actors.media.ingest import Ingest
from actors.media.messages import Fetch, Fetched
from actors.media.settings import FetchSettings
from actors.net.address_policy import AddressPolicy
from actors.net.client import open_outbound
from storage.blobs import Spool
from storage.errors import Invalid, NoSpace
from tests.audio import spoken
from tests.media_server import MediaServer, gives
from tests.probe import Probe

pytestmark = pytest.mark.anyio

HERE = AddressPolicy(networks=(ipaddress.ip_network("127.0.0.0/8"),))


@asynccontextmanager
async def fetcher(folder: Path, **limits: Any) -> AsyncIterator[Fetcher]:
    settings = FetchSettings(**{"fetch_max_mb": 1, "fetch_timeout_secs": 60.0, **limits})
    async with open_outbound(HERE) as outbound:
        yield Fetcher(outbound, HERE, Spool(folder), settings)


async def fetch(folder: Path, url: str, reports: list[str] | None = None, **limits: Any) -> Input:
    async with fetcher(folder, **limits) as one:
        return await one.fetch("job", url, (reports if reports is not None else []).append)


async def test_a_file_lies_in_the_spool_as_it_was_sent(tmp_path: Path, web: MediaServer) -> None:
    got = await fetch(tmp_path, web.at("/a.wav", gives(b"abc" * 1000)))
    assert got == Input(3000, "audio/wav", "a.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["job.input"]
    assert Spool(tmp_path).input("job").read_bytes() == b"abc" * 1000


async def test_names_that_are_no_text_harm_nobody(tmp_path: Path, web: MediaServer) -> None:
    told: Probe[Any] = Probe()
    named = gives(b"abc", Content_Disposition='attachment; filename="a\xff.wav"')
    async with fetcher(tmp_path) as one, anyio.create_task_group() as group:
        ingest = Ingest(Mailbox("ingest"), fetch=one.fetch, publish=told.tell)
        group.start_soon(ingest.run)
        ingest.me.tell(Fetch("job", web.at("/a", named)))
        fetched = await told.next(Fetched)
        fetched.filename.encode()
        group.cancel_scope.cancel()


async def test_what_a_kill_left_of_an_earlier_try_is_in_nobodys_way(
    tmp_path: Path, web: MediaServer
) -> None:
    with Spool(tmp_path).receiving("job") as earlier:
        earlier.write(b"half")
        url = web.at("/a.wav", gives(b"whole"))
        assert (await fetch(tmp_path, url)).size_bytes == 5
    assert Spool(tmp_path).input("job").read_bytes() == b"whole"


async def test_one_byte_a_second_is_too_slow(
    tmp_path: Path, web: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "RATE_WINDOW_S", 0.2)
    with pytest.raises(Invalid, match="too slowly"):
        await fetch(tmp_path, web.at("/a.wav", web.trickles(bytes(1000), 0.05)))
    assert list(tmp_path.iterdir()) == []


async def test_a_fetch_has_its_time(tmp_path: Path, web: MediaServer) -> None:
    with pytest.raises(Invalid, match="too slowly"):
        await fetch(
            tmp_path, web.at("/a.wav", web.trickles(bytes(1000), 0.05)), fetch_timeout_secs=0.3
        )
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_hides_its_size_is_cut_off(tmp_path: Path, web: MediaServer) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "audio/wav")
        handler.end_headers()
        handler.wfile.write(bytes(2 << 20))

    with pytest.raises(Invalid, match="larger than 1 MB"):
        await fetch(tmp_path, web.at("/a.wav", answer))
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_breaks_off_is_tried_again_and_then_given_up(
    tmp_path: Path, web: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "PAUSES_S", (0.0, 0.0))
    reports: list[str] = []
    with pytest.raises(Invalid, match="could not be read"):
        await fetch(tmp_path, web.at("/a.wav", gives(b"abc", size=1000)), reports)
    assert len(web.asked) == 3
    assert any("trying again" in report for report in reports)
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_is_not_the_files_fault(
    tmp_path: Path, web: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "spare_bytes", lambda self: 10)
    with pytest.raises(NoSpace):
        await fetch(tmp_path, web.at("/a.wav", gives(bytes(1000))))


PAGE = b"<!doctype html><html><body><h1>Talk</h1><audio src='%s'></audio></body></html>"


async def test_the_recording_of_a_page_is_found(tmp_path: Path, web: MediaServer) -> None:
    clip = spoken(tmp_path / "clip.wav").read_bytes()
    page = PAGE % web.at("/talk.wav", gives(clip)).encode()
    url = web.at("/page", gives(page, Content_Type="text/html; charset=utf-8"))
    spool = tmp_path / "spool"
    spool.mkdir()
    got = await fetch(spool, url)
    assert got.size_bytes == len(clip)
    assert [path.name for path in spool.iterdir()] == ["job.input"]
    assert Spool(spool).input("job").read_bytes() == clip


async def test_a_page_cannot_lead_into_the_network(
    tmp_path: Path, web: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = web.at("/secret.wav", gives(b"secret"), host="127.0.0.2")
    url = web.at("/page", gives(PAGE % inside.encode(), Content_Type="text/html"))
    only_one = AddressPolicy(networks=(ipaddress.ip_network("127.0.0.1/32"),))
    limits = FetchSettings(fetch_max_mb=1, fetch_timeout_secs=60.0)
    async with open_outbound(only_one) as outbound:
        one = Fetcher(outbound, only_one, Spool(tmp_path), limits)
        with pytest.raises(Invalid, match="no recording could be had"):
            await one.fetch("job", url, lambda _: None)
    assert "/secret.wav" not in web.asked
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("body", [b"<html>nothing</html>", b"<html><a href='file:///etc/passwd'>"])
async def test_a_page_without_a_recording_says_so(
    tmp_path: Path, web: MediaServer, body: bytes
) -> None:
    url = web.at("/page", gives(body, Content_Type="text/html"))
    with pytest.raises(Invalid, match="no recording could be had from this page"):
        await fetch(tmp_path, url)
    assert list(tmp_path.iterdir()) == []


async def test_pages_can_be_switched_off(tmp_path: Path, web: MediaServer) -> None:
    url = web.at("/page", gives(b"<html>", Content_Type="text/html"))
    with pytest.raises(Invalid, match="web page"):
        await fetch(tmp_path, url, fetch_pages=False)
