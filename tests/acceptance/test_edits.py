"""Edits of a transcript, as the page sends them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.hub_client import Member
from tests.acceptance.server import Server
from tests.acceptance.test_web import Visitor


@pytest.fixture(scope="module")
def ada(
    tmp_path_factory: pytest.TempPathFactory, scripted: Path
) -> Iterator[tuple[Member, Visitor, Visitor]]:
    """Ada by token and in a browser, and Bob in his."""
    server = Server(
        tmp_path_factory.mktemp("house"), WHISPER_MODEL_PATH=scripted, REQUESTS_PER_MINUTE=0
    ).start()
    member = Member(server, "ada@example.org", "--grant", "whisper.use")
    Member(server, "bob@example.org", "--grant", "whisper.use")
    browsers = [Visitor(server, f"{name}@example.org") for name in ("ada", "bob")]
    yield member, *browsers
    for browser in browsers:
        browser.http.close()
    server.kill()


class Page:
    """A page with a transcript, open in a browser."""

    def __init__(self, browser: Visitor, number: int) -> None:
        self._browser, self._path, self.last = browser, f"/whisper/jobs/{number}/edits", 0

    def send(self, kind: str, **fields: object) -> httpx.Response:
        return self._browser.http.post(
            f"{self._path}?since={self.last}",
            json={"kind": kind, **fields},
            headers={"hx-request": "true"},
        )

    def edit(self, kind: str, **fields: object) -> dict[str, Any]:
        answer = self.send(kind, **fields)
        assert answer.status_code == 200, answer.text
        return self._told(answer)

    def news(self) -> dict[str, Any]:
        return self._told(self._browser.http.get(self._path, params={"since": self.last}))

    def preview(self, **fields: str) -> dict[str, Any]:
        answer = self._browser.http.get(f"{self._path}/preview", params=fields)
        found: dict[str, Any] = answer.json()
        return found

    def _told(self, answer: httpx.Response) -> dict[str, Any]:
        told: dict[str, Any] = answer.json()
        self.last = told["last"]
        return told


def segments(browser: Visitor, number: int) -> list[dict[str, Any]]:
    document = browser.get(f"/whisper/jobs/{number}/download/json").json()
    found: list[dict[str, Any]] = document["segments"]
    return found


@pytest.fixture
def number(ada: tuple[Member, Visitor, Visitor], clip: Path) -> int:
    """A job with the lines "Hello world." and "How are you?"."""
    member, _, _ = ada
    number: int = member.upload(clip)["id"]
    member.ended(number)
    return number


@pytest.fixture
def page(ada: tuple[Member, Visitor, Visitor], number: int) -> Page:
    return Page(ada[1], number)


@pytest.fixture
def transcript(ada: tuple[Member, Visitor, Visitor], number: int) -> Any:
    def read() -> list[str]:
        return [each["text"].strip() for each in segments(ada[1], number)]

    return read


def test_a_text_is_typed_and_undone_and_typed_again(page: Page, transcript: Any) -> None:
    told = page.edit("text", line=0, was="Hello world.", text="Hello,  dear world.")
    assert [line["number"] for line in told["lines"]] == [0, 1], "the next may begin a turn now"
    assert "dear" in told["lines"][0]["html"]
    assert (told["undo"], told["redo"], told["corrected"]) == (True, False, 1)
    assert transcript() == ["Hello, dear world.", "How are you?"]
    told = page.edit("undo")
    assert (told["undo"], told["redo"]) == (False, True)
    assert transcript()[0] == "Hello world."
    page.edit("redo")
    assert transcript()[0] == "Hello, dear world."


def test_a_line_is_split_and_joined(page: Page, transcript: Any) -> None:
    told = page.edit("split", line=0, was="Hello world.", text="Hello big world.", at=6)
    assert [(line["number"], line["after"]) for line in told["lines"]] == [
        (0, None), (2, 0), (1, 2),
    ]  # fmt: skip
    assert transcript() == ["Hello", "big world.", "How are you?"]
    told = page.edit("join", line=2)
    assert told["gone"] == [2]
    assert transcript() == ["Hello big world.", "How are you?"]
    assert page.send("join", line=0).status_code == 400
    assert page.send("split", line=0, was="Hello big world.", text="", at=0).status_code == 400


def test_a_line_is_removed_and_comes_back(page: Page, transcript: Any) -> None:
    assert page.edit("remove", line=0)["gone"] == [0]
    assert transcript() == ["How are you?"]
    assert page.send("remove", line=0).status_code == 404
    told = page.edit("undo")
    assert [line["number"] for line in told["lines"]] == [0, 1]
    assert transcript() == ["Hello world.", "How are you?"]


def test_a_lines_times_are_changed_within_the_recording(
    ada: tuple[Member, Visitor, Visitor], number: int, page: Page
) -> None:
    page.edit("times", line=1, start=2.2, end=99)
    _, moved = segments(ada[1], number)
    assert (moved["start"], moved["end"]) == (2.2, 4.0)
    answer = page.send("times", line=1, start=3, end=2)
    assert (answer.status_code, answer.text) == (400, "A line ends after it begins.")


def test_people_say_who_speaks(page: Page) -> None:
    told = page.edit("speaker", line=0, speaker=" Ada  Lovelace ", following=True)
    assert [line["html"].count("Ada Lovelace") for line in told["lines"]] == [1, 0], "one turn"
    told = page.edit("speaker", line=1, speaker="Bob")
    assert "Bob" in told["lines"][0]["html"]
    told = page.edit("speaker", line=1, speaker="")
    assert "Bob" not in told["lines"][0]["html"]


def test_something_is_replaced_everywhere_in_one_step(page: Page, transcript: Any) -> None:
    told = page.preview(find="O")
    assert told["count"] == 4
    assert told["places"][2] == {"line": 1, "start": 2.5, "text": ["H", "o", "w are you?"]}
    assert page.preview(find="O", match_case="true") == {"count": 0, "places": []}
    assert page.preview(find="you", whole_words="true")["count"] == 1
    assert page.preview(find=" ") == {"count": 0, "places": []}
    page.edit("replace", find="o", by="0")
    assert transcript() == ["Hell0 w0rld.", "H0w are y0u?"]
    page.edit("undo")
    assert transcript() == ["Hello world.", "How are you?"]


def test_two_pages_keep_up_with_each_other_and_write_nothing_over(
    ada: tuple[Member, Visitor, Visitor], number: int, page: Page, transcript: Any
) -> None:
    other = Page(ada[1], number)
    page.edit("text", line=0, was="Hello world.", text="Hello there.")
    refused = other.send("text", line=0, was="Hello world.", text="Bye world.")
    assert refused.status_code == 409
    assert "Somebody else has changed this line" in refused.text
    assert "there." in other.news()["lines"][0]["html"]
    assert other.news()["lines"] == []
    other.edit("text", line=0, was="Hello there.", text="Bye world.")
    assert transcript()[0] == "Bye world."


def test_only_those_who_see_a_job_edit_it(
    ada: tuple[Member, Visitor, Visitor], number: int, transcript: Any
) -> None:
    bobs = Page(ada[2], number)
    assert bobs.send("remove", line=0).status_code == 404
    assert transcript() == ["Hello world.", "How are you?"]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b'{"kind": "x"}', b'{"kind": "remove", "line": -1}',
             b'{"kind": "text", "line": 0, "was": "", "text": 5}', b'{"kind": "put_back"}',
             b'{"kind": "times", "line": 0, "start": 1e99, "end": 2}'],
)  # fmt: skip
def test_what_is_no_edit_is_refused(
    ada: tuple[Member, Visitor, Visitor], number: int, body: bytes
) -> None:
    path = f"/whisper/jobs/{number}/edits"
    answer = ada[1].http.post(path, content=body, headers={"hx-request": "true"})
    assert (answer.status_code, answer.text) == (400, "This is no edit that the server knows.")
