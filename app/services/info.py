"""What surfaces say of the server itself."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from actors.system import Configuration


@dataclass(frozen=True)
class ServerInfo:
    configuration: Configuration
    base_url: str
    """The address that people open this server by, without a slash at its end."""
    upload_max_mb: int | None
    cookie_lines: int | None
    """Lines of the cookie file for web pages; None where there is no such file."""
    diarizes_voices: bool
    """Whether voices can be told apart, or channels alone."""

    @property
    def base_path(self) -> str:
        """The path of ``base_url``: empty, or ``/whisperbox``."""
        return urlsplit(self.base_url).path

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https:")

    @property
    def default_model(self) -> str:
        return self.configuration.catalogue.default

    @property
    def has_language_model(self) -> bool:
        return self.configuration.language_model.present
