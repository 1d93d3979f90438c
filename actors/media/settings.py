"""What can be set about recordings that are fetched from a URL."""

from dataclasses import dataclass
from pathlib import Path

from actors.kernel.setting import setting
from actors.net.address_policy import Network, parse_networks


@dataclass(frozen=True)
class FetchSettings:
    fetch_max_mb: int = setting(
        4096, "The largest file that is fetched from a URL, in MB.", minimum=1
    )
    fetch_timeout_secs: float = setting(
        3600, "How long fetching a file from a URL may take.", minimum=1
    )
    fetch_networks: tuple[Network, ...] = setting(
        (),
        "Networks (CIDR, separated by commas) that files may be fetched from although they are "
        "private.",
        parse=parse_networks,
    )
    fetch_pages: bool = setting(True, "Whether web pages are searched for a recording (yt-dlp).")
    fetch_cookies: Path | None = setting(
        None, "A Netscape cookie file for web pages that want a sign-in."
    )

    @property
    def most_bytes(self) -> int:
        return self.fetch_max_mb << 20
