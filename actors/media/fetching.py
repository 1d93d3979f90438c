"""Fetches the recording at a URL and stores it in the spool as a job's input."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path

import anyio
import msgspec

from actors.kernel.json_lines import run_json_child
from actors.kernel.processes import Killed, retry_if_killed
from actors.media.settings import FetchSettings
from actors.net.address_policy import AddressPolicy, Forbidden
from actors.net.client import Incoming, Outbound
from actors.net.proxy import open_proxy
from storage.blobs import DISK_FULL, Receiving, Spool
from storage.errors import Invalid, NoSpace

PAUSES_S = (2.0, 10.0)
RATE_WINDOW_S = 30.0
MIN_BYTES_PER_S = 1024
"""Bytes a second, measured over RATE_WINDOW_S seconds. A slower fetch is given up: even speech
codecs have a higher bit rate."""
CHECK_DISK_EVERY = 64 << 20
SNIFFED = 512
PAGE_TYPES = ("text/html", "application/xhtml+xml")
TEXT_TYPES = ("text/", "application/json", "application/xml", "image/")

Report = Callable[[str], None]


class Input(msgspec.Struct, frozen=True):
    size_bytes: int
    media_type: str | None
    filename: str | None


class _Page(Exception):
    """The URL gave a web page, which may contain a recording, and not a recording itself."""


class _Line(msgspec.Struct):
    done: int = 0
    total: int | None = None
    title: str | None = None
    refused: str | None = None


class Fetcher:
    def __init__(
        self, client: Outbound, policy: AddressPolicy, spool: Spool, settings: FetchSettings
    ) -> None:
        self._client, self._policy = client, policy
        self._spool, self._settings = spool, settings

    async def fetch(self, job_id: str, url: str, report: Report) -> Input:
        """Store the recording at ``url`` as the job's input.

        ``report`` is called with the progress, as a short text for people.

        Raises:
            Invalid: it cannot be fetched; the message is a sentence for the user.
            NoSpace: the disk has no room for it.
        """
        try:
            with anyio.fail_after(self._settings.fetch_timeout_secs):
                try:
                    return await self._file(job_id, url, report)
                except _Page:
                    return await self._recording_of_page(job_id, url, report)
        except TimeoutError:
            raise Invalid(
                "the source_url gave its file too slowly: a file may take "
                f"{self._settings.fetch_timeout_secs:.0f} s at most"
            ) from None

    # A media file.

    async def _file(self, job_id: str, url: str, report: Report) -> Input:
        for pause in (*PAUSES_S, None):
            try:
                async with self._client.get(url) as answer:
                    if answer.status < 500 or pause is None:
                        return await self._received(job_id, answer, report)
                    problem = f"answered {answer.status}"
            except Forbidden as error:
                raise Invalid("the source_url leads to an address that is not allowed") from error
            except TimeoutError:
                problem = "stopped answering"
                if pause is None:
                    raise Invalid(f"the source_url {problem}") from None
            except OSError as error:
                if error.errno in DISK_FULL:
                    raise NoSpace("the disk is full") from error
                problem = f"could not be read: {error.strerror or error}"
                if pause is None:
                    raise Invalid(f"the source_url {problem}") from error
            assert pause is not None
            report(f"{problem}; trying again")
            await anyio.sleep(pause)
        raise AssertionError("unreachable")

    async def _received(self, job_id: str, answer: Incoming, report: Report) -> Input:
        if answer.status != 200:
            raise Invalid(f"the source_url answered {answer.status}")
        kind = (answer.media_type or "").lower()
        if kind in PAGE_TYPES:
            raise _Page
        if kind.startswith(TEXT_TYPES):
            raise Invalid(f"the source_url gives {kind[:80]}, which is not audio or video")
        self._check_size(answer.size or 0)
        with self._spool.receiving(job_id) as receiving:
            size = await self._written(receiving, answer, report)
            if not size:
                raise Invalid("the source_url gave an empty file")
            await anyio.to_thread.run_sync(receiving.keep)
        return Input(size, kind or None, answer.filename)

    async def _written(self, receiving: Receiving, answer: Incoming, report: Report) -> int:
        size, pace = 0, _ProgressMonitor(report, answer.size)
        async with aclosing(answer.blocks()) as blocks:  # type: ignore[type-var]
            async for block in blocks:
                if not size and _is_page(block):
                    raise Invalid("the source_url gives a web page, not audio or video")
                if (size + len(block)) // CHECK_DISK_EVERY > size // CHECK_DISK_EVERY:
                    self._check_size(len(block))
                size += len(block)
                self._check_size(0, so_far=size)
                await anyio.to_thread.run_sync(receiving.write, block)
                pace.reached(size)
        return size

    def _check_size(self, expected: int, so_far: int = 0) -> None:
        most = self._settings.most_bytes
        if max(expected, so_far) > most:
            raise Invalid(f"the file at source_url is larger than {most >> 20} MB")
        if expected and expected > self._spool.spare_bytes():
            raise NoSpace("the disk has too little free space for this file")

    # A web page that contains a recording.

    async def _recording_of_page(self, job_id: str, url: str, report: Report) -> Input:
        if not self._settings.fetch_pages:
            raise Invalid("the source_url gives a web page, not audio or video")
        report("looking for the recording on the page")
        # Not ".part", because yt-dlp gives this suffix a meaning of its own.
        target = self._spool.part(job_id).with_suffix(".page")
        room = min(self._settings.most_bytes, self._spool.spare_bytes())
        try:
            try:
                title = await retry_if_killed(partial(self._from_page, url, target, room, report))
            except Killed:
                raise Invalid("the page's recording broke off") from None
            except Invalid:
                if room < self._settings.most_bytes:
                    raise NoSpace("the disk has too little free space for a recording") from None
                raise
            size = await anyio.to_thread.run_sync(self._spool.take_over, job_id, target)
        except FileNotFoundError:
            raise Invalid("no recording could be had from this page") from None
        finally:
            target.unlink(missing_ok=True)
        if not size:
            raise Invalid("the page's recording is empty")
        return Input(size, None, title)

    async def _from_page(self, url: str, target: Path, room: int, report: Report) -> str | None:
        last = _Line(refused="the page could not be read")
        async with open_proxy(self._policy) as proxy:
            command = [
                sys.executable,
                "-m",
                "actors.media.page_child",
                url,
                str(target),
                proxy,
                str(room),
            ]
            if self._settings.fetch_cookies:
                command.append(str(self._settings.fetch_cookies.absolute()))
            async with aclosing(run_json_child(command, _Line, _bare_environment())) as lines:
                async for last in lines:
                    if last.done:
                        report(_so_far(last.done, last.total))
        if last.refused is not None or last.title is None:
            raise Invalid(last.refused or "the page's recording broke off")
        return last.title or None


class _ProgressMonitor:
    """Reports the progress of a fetch every second, and ends a fetch that is too slow."""

    def __init__(self, report: Report, total: int | None) -> None:
        self._report, self._total = report, total
        self._since, self._before, self._reported = time.monotonic(), 0, 0.0

    def reached(self, size: int) -> None:
        now = time.monotonic()
        if now - self._since > RATE_WINDOW_S:
            if size - self._before < MIN_BYTES_PER_S * RATE_WINDOW_S:
                raise Invalid("the source_url gave its file too slowly")
            self._since, self._before = now, size
        if now - self._reported > 1:
            self._reported = now
            self._report(_so_far(size, self._total))


def _so_far(done: int, total: int | None) -> str:
    of = f" of {total / 1e6:.1f}" if total else ""
    return f"fetched {done / 1e6:.1f}{of} MB"


def _is_page(block: bytes) -> bool:
    head = block[:SNIFFED].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html"))


def _bare_environment() -> dict[str, str]:
    """The page child's environment, without the server's proxies, configuration and plug-ins."""
    kept = {name: os.environ[name] for name in ("LANG", "PYTHONPATH") if name in os.environ}
    # The PATH is empty, because a program that yt-dlp finds there would not use our proxy.
    return {
        **kept,
        "PATH": "",
        "YTDLP_NO_PLUGINS": "1",
        "HOME": "/nonexistent",
        "PYTHONNOUSERSITE": "1",
    }
