"""A stored recording as an answer, whole or in part, so that players can seek."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
from litestar import Response
from litestar.response import Stream

from storage.errors import NotFound

BLOCK = 1 << 16
_PLAYED = re.compile(r"(audio|video)/[a-z0-9.+-]{1,100}")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def recording(file: Path, media_type: str | None, range_header: str | None) -> Response[Any]:
    """``file``, or the one range of it that was asked for (RFC 9110, section 14).

    Raises:
        NotFound: it is not kept any more.
    """
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        raise NotFound("the recording is no longer kept") from None
    headers = {
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
    }
    kind = _harmless(media_type)
    span = _span(range_header or "", size)
    if span is None:
        headers["Content-Length"] = str(size)
        return Stream(_part(file, 0, size), status_code=200, media_type=kind, headers=headers)
    first, last = span
    if first >= size:
        headers["Content-Range"] = f"bytes */{size}"
        return Response(b"", status_code=416, headers=headers)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    headers["Content-Length"] = str(last - first + 1)
    return Stream(
        _part(file, first, last - first + 1), status_code=206, media_type=kind, headers=headers
    )


def _span(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte; None where the header says nothing valid and is to be ignored."""
    wanted = _RANGE.fullmatch(header)
    if wanted is None or not (wanted[1] or wanted[2]):
        return None
    if not wanted[1]:
        return max(0, size - int(wanted[2])), size - 1
    if wanted[2] and int(wanted[2]) < int(wanted[1]):
        return None
    return int(wanted[1]), min(int(wanted[2] or size), size - 1)


def _harmless(media_type: str | None) -> str:
    """What a browser plays, and nothing that it would run."""
    kind = (media_type or "").split(";")[0].strip().lower()
    return kind if _PLAYED.fullmatch(kind) else "application/octet-stream"


async def _part(file: Path, start: int, length: int) -> AsyncIterator[bytes]:
    async with await anyio.open_file(file, "rb") as content:
        await content.seek(start)
        while length > 0 and (block := await content.read(min(BLOCK, length))):
            length -= len(block)
            yield block
