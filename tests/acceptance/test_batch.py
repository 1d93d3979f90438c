"""Questions of the pages about several jobs at once."""

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.acceptance.hub_client import Member
from tests.acceptance.server import Server
from tests.acceptance.test_web import Visitor


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, scripted: Path, clip: Path
) -> Iterator[tuple[Visitor, Visitor, list[str], Member]]:
    """Ada and Bob in their browsers, and the ids of two jobs of Ada's."""
    server = Server(
        tmp_path_factory.mktemp("house"), WHISPER_MODEL_PATH=scripted, REQUESTS_PER_MINUTE=0,
        QUEUE_WHEN_UNLOADED="true",
    ).start()  # fmt: skip
    ada = Member(server, "ada@example.org", "--grant", "whisper.use")
    Member(server, "bob@example.org", "--grant", "whisper.use")
    numbers = [ada.upload(clip, source_label=label)["id"] for label in ("Same/..", "same_..")]
    for number in numbers:
        ada.ended(number)
    browsers = [Visitor(server, f"{name}@example.org") for name in ("ada", "bob")]
    page = browsers[0].get("/whisper").text
    ids = [part.split('"')[0] for part in page.split('data-job="')[1:]]
    assert len(ids) == 2
    yield browsers[0], browsers[1], ids, ada
    for browser in browsers:
        browser.http.close()
    server.kill()


def test_a_page_asks_which_of_its_jobs_have_ended(
    house: tuple[Visitor, Visitor, list[str], Member],
) -> None:
    ada, bob, ids, _ = house
    query = f"/whisper/ended?jobs={','.join(ids)},no-such-id"
    told = ada.get(query).json()
    assert sorted(each["id"] for each in told) == sorted(ids)
    assert {each["status"] for each in told} == {"Done"}
    assert bob.get(query).json() == []
    assert ada.get("/whisper/ended").json() == []


def test_the_transcripts_of_several_jobs_come_as_one_archive(
    house: tuple[Visitor, Visitor, list[str], Member],
) -> None:
    ada, bob, ids, _ = house
    query = f"/whisper/export.zip?jobs={','.join(ids)}&form=srt"
    answer = ada.get(query)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        names = archive.namelist()
        assert len({name.casefold() for name in names}) == 2
        assert not any("/" in name for name in names)
        assert all("-->" in archive.read(name).decode() for name in names)
    assert bob.get(query).status_code == 409
    assert ada.get(f"/whisper/export.zip?jobs={ids[0]}&form=exe").status_code == 404
