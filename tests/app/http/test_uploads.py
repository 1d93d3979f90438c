from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from app.http import uploads
from app.http.refusals import TooSlow
from app.http.uploads import receive
from storage.blobs import Spool
from storage.errors import Invalid

pytestmark = pytest.mark.anyio

HEADERS = {"content-type": "multipart/form-data; boundary=b"}
HEAD = b'--b\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'


class Request:
    """As much of a request as an upload needs; its body comes in these pieces, then stalls."""

    def __init__(self, *pieces: bytes, stalls: bool = False, pause: float = 0) -> None:
        self.headers = HEADERS
        self._pieces, self._stalls, self._pause = pieces, stalls, pause

    async def stream(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if self._pause:
                await anyio.sleep(self._pause)
            yield piece
        if self._stalls:
            await anyio.sleep_forever()


async def take(
    request: Any, spool: Spool, fields: dict[str, str] | None = None, **limits: Any
) -> uploads.Upload:
    seen = {} if fields is None else fields
    return await receive(
        request, spool, "job", "audio", seen.__setitem__,
        before_file=lambda: None, make_room=there_is_room, **limits,
    )  # fmt: skip


async def there_is_room(wanted: int) -> None:
    pass


async def test_a_body_in_any_pieces_is_the_same_upload(tmp_path: Path) -> None:
    field = b'\r\n--b\r\nContent-Disposition: form-data; name="task"\r\n\r\ntranslate'
    body = HEAD + b"abc" * 1000 + field + b"\r\n--b--\r\n"
    for size in (1, 7, 1000, len(body)):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        fields: dict[str, str] = {}
        upload = await take(Request(*pieces), Spool(tmp_path), fields)
        assert (upload.size, upload.filename) == (3000, "a.wav")
        assert fields == {"task": "translate"}
        assert Spool(tmp_path).input("job").read_bytes() == b"abc" * 1000


async def test_a_client_that_stalls_is_given_up_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STALLED_S", 0.05)
    with pytest.raises(TooSlow, match="less than 1024 bytes were received"):
        await take(Request(HEAD, bytes(3 << 20), stalls=True), Spool(tmp_path))
    assert Spool(tmp_path).files() == []


async def test_a_client_that_sends_a_byte_now_and_then_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STALLED_S", 0.05)
    bytes_of_it = [bytes([byte]) for byte in HEAD + bytes(300)]
    with pytest.raises(TooSlow):
        await take(Request(*bytes_of_it, pause=0.005), Spool(tmp_path))
    assert Spool(tmp_path).files() == []


async def test_a_client_that_is_slow_but_steady_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STALLED_S", 0.5)
    pieces = [bytes(uploads.LEAST_BYTES)] * 20
    steady = Request(HEAD, *pieces, b"\r\n--b--\r\n", pause=0.05)
    assert (await take(steady, Spool(tmp_path))).size == 20 * uploads.LEAST_BYTES


async def test_a_wrong_field_before_the_file_costs_no_upload(tmp_path: Path) -> None:
    def check(name: str, value: str) -> None:
        raise Invalid(f"{name} is wrong")

    field = b'--b\r\nContent-Disposition: form-data; name="task"\r\n\r\nsing\r\n--b\r\n'
    request: Any = Request(field, stalls=True)
    with pytest.raises(Invalid, match="task is wrong"):
        await receive(
            request, Spool(tmp_path), "job", "audio", check,
            before_file=lambda: None, make_room=there_is_room,
        )  # fmt: skip


async def test_a_file_under_another_name_is_no_recording(tmp_path: Path) -> None:
    body = HEAD.replace(b'"audio"', b'"file"') + bytes(100_000) + b"\r\n--b--\r\n"
    fields: dict[str, str] = {}
    upload = await take(Request(body), Spool(tmp_path), fields)
    assert (upload.found, fields) == (False, {})


async def test_who_sends_a_large_file_under_another_name_is_told_early(tmp_path: Path) -> None:
    body = HEAD.replace(b'"audio"', b'"file"') + bytes(3 << 20)
    with pytest.raises(Invalid, match="missing 'audio' field"):
        await take(Request(body, stalls=True), Spool(tmp_path))


async def test_a_second_file_beside_the_recording_is_ignored(tmp_path: Path) -> None:
    second = HEAD.replace(b'"audio"', b'"cover"') + bytes(3 << 20)
    upload = await take(Request(HEAD + b"abc\r\n" + second + b"\r\n--b--\r\n"), Spool(tmp_path))
    assert upload.size == 3
