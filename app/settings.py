"""What can be set from outside. The only reader of the environment."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, get_args, get_type_hints
from urllib.parse import urlsplit

from actors.diarization.settings import DiarizationSettings
from actors.engine.settings import EngineSettings
from actors.jobs.settings import RetentionSettings
from actors.kernel.folders import DATA, MODELS, usual
from actors.kernel.setting import setting
from actors.llm.settings import LanguageModelSettings
from actors.media.settings import FetchSettings
from actors.models.settings import ModelSettings
from actors.webhooks.settings import WebhookSettings
from app.auth.settings import AccessSettings
from app.services.settings import SubmissionSettings
from app.watch.settings import WatchSettings
from storage.errors import Unusable

_ORIGIN = re.compile(r"https?://[^/\s?#@]+")
HIGHEST_PORT = 65535


def parse_origins(text: str) -> tuple[str, ...]:
    """
    Raises:
        ValueError: one is not an origin.
    """
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"has '{origin}', but an origin is http://HOST or https://HOST, with a port where "
                "it is not the usual one, and nothing after it"
            )
    return origins


def parse_public_url(text: str) -> str:
    """
    Raises:
        ValueError: it is not an address that a browser could open.
    """
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError(
            f"is '{text}', but must be an address such as https://box.example or "
            "https://box.example/whisperbox"
        )
    return text.rstrip("/")


def parse_port(text: str) -> int:
    """
    Raises:
        ValueError: it is not a port.
    """
    port = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= port <= HIGHEST_PORT:
        raise ValueError(f"is '{text}', but must be a whole number from 0 to {HIGHEST_PORT}")
    return port


@dataclass(frozen=True)
class ServerSettings:
    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all.")
    port: int = setting(8080, "Port to listen on; 0 lets the system choose.", parse=parse_port)
    wyoming_port: int | None = setting(
        None,
        "Port for Home Assistant and other clients of the Wyoming protocol, on the address of "
        "HOST; unset: none. The protocol has no passwords: whoever reaches the port may use it.",
        parse=parse_port,
    )
    data_dir: Path = setting(DATA, "Where the database and the recordings are kept.")
    public_url: str | None = setting(
        None,
        "The address that people open this server by, with its path if it has one "
        "(`https://box.example/whisperbox`). Unset: made from HOST and PORT.",
        parse=parse_public_url,
    )
    cors_origins: tuple[str, ...] = setting(
        (),
        "Origins of front ends, separated by commas; * is all of them.",
        parse=parse_origins,
    )
    forwarded_allow_ips: str = setting(
        "127.0.0.1",
        "Addresses and networks of reverse proxies, separated by commas: only they may say in "
        "X-Forwarded-For who the client is. * is everybody.",
    )
    shutdown_grace_secs: float = setting(
        10,
        "Seconds that a stop waits for the chunk at hand; after that the chunk is repeated at the "
        "next start.",
        minimum=0,
    )
    log_format: str = setting("text", "text or json.", choices=("text", "json"))
    log_level: str = setting(
        "info",
        "debug, info, warning or error.",
        choices=("debug", "info", "warning", "error"),
    )


@dataclass(frozen=True)
class Settings:
    """Every group, by feature. The titles are those of the guide and the Server page."""

    server: ServerSettings
    models: ModelSettings
    engine: EngineSettings
    submissions: SubmissionSettings
    watch: WatchSettings
    retention: RetentionSettings
    access: AccessSettings
    webhooks: WebhookSettings
    fetch: FetchSettings
    diarization: DiarizationSettings
    language_model: LanguageModelSettings

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """
        Raises:
            Unusable: a value does not fit; the message names the variable.
        """
        read = {name: _read(group, environment) for name, group in get_type_hints(cls).items()}
        return cls(**{name: _at_home(group, environment) for name, group in read.items()})


TITLES = {
    "server": "The server",
    "models": "Models",
    "engine": "The engine",
    "submissions": "Submissions",
    "watch": "A watched folder",
    "retention": "How long things are kept",
    "access": "Access",
    "webhooks": "Webhooks",
    "fetch": "Recordings by URL",
    "diarization": "Speakers",
    "language_model": "The language model",
}


def documented() -> list[tuple[str, str, str]]:
    """Name, default and meaning of every setting."""
    return [
        (each.name.upper(), _shown(each.default), each.metadata["about"])
        for group in get_type_hints(Settings).values()
        for each in fields(group)
    ]


class Shown(NamedTuple):
    """A setting, for people."""

    name: str
    value: str
    """Secrets are not told."""
    about: str
    is_usual: bool
    """Whether it has its default."""


def values_in_use(settings: Settings) -> list[tuple[str, list[Shown]]]:
    """Every setting, by the titles of the groups."""
    return [
        (TITLES[name], list(_told(getattr(settings, name)))) for name in get_type_hints(Settings)
    ]


def _told(group: Any) -> Iterator[Shown]:
    for each in fields(group):
        value = getattr(group, each.name)
        if each.metadata["secret"]:
            shown = "" if value is None else "(set)"
        else:
            shown = re.sub(r"//[^/@]*@", "//…@", _shown(value))
        about = each.metadata["about"].replace("`", "")
        yield Shown(each.name.upper(), shown, about, value == each.default)


def _read(group: type, environment: Mapping[str, str]) -> Any:
    hints = get_type_hints(group)
    given = {
        each.name: _value(each, hints[each.name], text)
        for each in fields(group)
        if (text := environment.get(each.name.upper(), "").strip())
    }
    return group(**given)


def _at_home(group: Any, environment: Mapping[str, str]) -> Any:
    """The group with the folders of this computer and this user."""
    homes = {
        each.name: usual(folder, environment)
        for each in fields(group)
        if (folder := getattr(group, each.name)) in (DATA, MODELS)
    }
    return replace(group, **homes)


def _value(each: Field[Any], hint: Any, text: str) -> Any:
    name, rules = each.name.upper(), each.metadata
    try:
        value = (rules["parse"] or _parser(hint))(text)
    except ValueError as error:
        raise Unusable(f"{name} {error}") from None
    if rules["choices"] and value not in rules["choices"]:
        raise Unusable(f"{name} is '{value}', but must be one of {', '.join(rules['choices'])}")
    if rules["minimum"] is not None and not value >= rules["minimum"]:
        raise Unusable(f"{name} is {value}, but must be at least {rules['minimum']:g}")
    return value


def _parser(hint: Any) -> Any:
    wanted = get_args(hint)[0] if isinstance(hint, UnionType) else hint
    return {bool: _flag, int: _whole_number, float: _number}.get(wanted, wanted)


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"is '{text}', but must be true or false")


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"is '{text}', but must be a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"is '{text}', but must be a number") from None


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join("=".join(each) if isinstance(each, tuple) else str(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
