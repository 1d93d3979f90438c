from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.byte_ranges import _span, recording
from storage.errors import NotFound

pytestmark = pytest.mark.anyio

DATA = bytes(range(200)) * 1000


async def played(file: Path, wanted: str | None) -> tuple[int, bytes, Any]:
    answer = recording(file, "audio/wav", wanted)
    body = b""
    if hasattr(answer, "iterator"):
        body = b"".join([block async for block in answer.iterator])
    return answer.status_code, body, answer.headers


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.input"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        (None, 200, DATA),
        ("bytes=0-", 206, DATA),
        ("bytes=10-19", 206, DATA[10:20]),
        ("bytes=-5", 206, DATA[-5:]),
        ("bytes=199990-999999", 206, DATA[199990:]),
        ("bytes=200000-", 416, b""),
        ("bytes=9-3", 200, DATA),
        ("bytes=-", 200, DATA),
        ("bytes=0-1,5-6", 200, DATA),
        ("lines=1-2", 200, DATA),
    ],
)
async def test_players_get_what_they_ask_for(
    file: Path, wanted: str | None, status: int, body: bytes
) -> None:
    code, got, headers = await played(file, wanted)
    assert (code, got) == (status, body)
    assert headers["Accept-Ranges"] == "bytes"
    if status != 416:
        assert headers["Content-Length"] == str(len(body))


async def test_a_browser_runs_nothing_of_it(file: Path) -> None:
    for kind in (
        "text/html",
        "image/svg+xml",
        None,
        "application/xhtml+xml",
        "audio/€",
        "audio/x<b>",
    ):
        answer = recording(file, kind, None)
        assert answer.media_type == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_recording_that_is_gone_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        recording(tmp_path / "a.input", None, None)


digits = st.one_of(st.just(""), st.integers(0, 300).map(str))


@given(digits, digits, st.integers(1, 200))
def test_a_span_never_leaves_the_file(first: str, last: str, size: int) -> None:
    span = _span(f"bytes={first}-{last}", size)
    if span is not None and span[0] < size:
        assert 0 <= span[0] <= span[1] < size
