"""The page child: ``python -m actors.media.page_child URL FILE PROXY MAX_BYTES [COOKIES]``.

Finds the recording on a web page and downloads it to FILE through PROXY. It prints one JSON object
on each line: ``{"done": bytes, "total": bytes or null}`` while it runs, then ``{"title": …}`` or
``{"refused": sentence}``. It is a child process because yt-dlp has many extractors, and a web site
may make one of them hang or crash; a child can be killed then.
"""

import json
import resource
import sys
import time
from typing import Any

EVERY_S = 1.0
CPU_S = 1800
ADDRESS_SPACE = 4 << 30


class _Quiet:
    """A logger that drops what yt-dlp would print to a terminal."""

    def debug(self, _: str) -> None: ...
    def info(self, _: str) -> None: ...
    def warning(self, _: str) -> None: ...
    def error(self, _: str) -> None: ...


def main(url: str, file: str, proxy: str, max_bytes: str, cookies: str | None = None) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(max_bytes), int(max_bytes)))
    # Imported here, so that a parent that imports this module does not load the library.
    from yt_dlp import YoutubeDL
    from yt_dlp.utils import YoutubeDLError

    class Downloader(YoutubeDL):  # type: ignore[misc]
        def save_cookies(self) -> None:
            """Do nothing: the cookie file is the operator's, and pages must not change it."""

    try:
        with Downloader(_options(file, proxy, int(max_bytes), cookies)) as downloader:
            found = downloader.extract_info(url, download=False, process=False)
            if found is None or found.get("_type") in ("playlist", "multi_video"):
                return say(refused="the page has several recordings: give the URL of one of them")
            done = downloader.process_ie_result(found, download=True)
    except YoutubeDLError as error:
        reason = _short(error).replace(file, "the file")
        return say(refused=f"no recording could be had from this page: {reason}")
    return say(title=str(done.get("title") or "")[:255])


def _options(file: str, proxy: str, max_bytes: int, cookies: str | None) -> dict[str, Any]:
    return {
        "format": "bestaudio/best",
        "outtmpl": {"default": file.replace("%", "%%")},
        "paths": {},
        "proxy": proxy,
        "noplaylist": True,
        "match_filter": _one_recording,
        "max_filesize": max_bytes,
        "nopart": True,
        "overwrites": True,
        "cachedir": False,
        "cookiefile": cookies,
        "enable_file_urls": False,
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "fixup": "never",
        "js_runtimes": {},
        "remote_components": [],
        "socket_timeout": 20,
        "retries": 3,
        "fragment_retries": 3,
        "quiet": True,
        "noprogress": True,
        "logger": _Quiet(),
        "progress_hooks": [_Progress()],
    }


def _one_recording(info: dict[str, Any], *, incomplete: bool = False) -> str | None:
    """The reason why this entry must not be downloaded; None if it may be."""
    if info.get("is_live"):
        return "it is live"
    return "it is one of several" if info.get("playlist") else None


class _Progress:
    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, state: dict[str, Any]) -> None:
        if time.monotonic() - self._said > EVERY_S:
            self._said = time.monotonic()
            total = state.get("total_bytes") or state.get("total_bytes_estimate")
            say(done=int(state.get("downloaded_bytes") or 0), total=total and int(total))


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.removeprefix("ERROR: ").split("; please report")[0][:200]


def say(**line: object) -> int:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return 1 if "refused" in line else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
