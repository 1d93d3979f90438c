"""What can be set from outside. The only reader of the environment."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from storage.errors import Unusable


def _setting(default: Any, about: str, least: float | None = None) -> Any:
    return field(default=default, metadata={"about": about, "least": least})


SECRETS = frozenset({"admin_password", "webhook_secret", "openai_api_key", "whisperbox_token"})


_ORIGIN = re.compile(r"https?://[^/\s?#@]+")


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable of its name in capitals."""

    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all.")
    port: int = _setting(8080, "Port to listen on; 0 lets the system choose.", 0)
    data_dir: Path = _setting(Path("data"), "Where the database and the uploads are kept.")
    whisper_model: str | None = _setting(
        None,
        "A model's name, the path of a ggml file, or `demo` for the bundled one. "
        "Unset: what the hardware runs well.",
    )
    whisper_model_path: Path | None = _setting(
        None, "A ggml file to load, whatever WHISPER_MODEL calls it."
    )
    whisper_models_dir: Path = _setting(Path("models"), "Where models are downloaded to.")
    whisper_cpu_threads: int = _setting(
        0, "Threads of the engine; 0 is one for each physical core that we may use.", 0
    )
    whisper_device: str = _setting("auto", "auto, cpu, or gpu (cuda and vulkan mean the same).")
    cuda_device: int = _setting(0, "Which GPU, as nvidia-smi numbers them, or Vulkan.", 0)
    idle_timeout_secs: float = _setting(
        300, "Seconds without work after which the model is unloaded; 0 is never.", 0
    )
    gpu_poll_interval_secs: int = _setting(
        30, "Seconds between two looks at a GPU that has too little free memory.", 1
    )
    queue_when_unloaded: bool = _setting(
        False, "Accept jobs in every state of the model, instead of answering 503."
    )
    keep_upload_hours: float = _setting(
        24, "How long the submitted file of an ended job is kept; 0 is not at all.", 0
    )
    webhook_secret: str | None = _setting(
        None, "Signs webhooks (Standard Webhooks, `whsec_` and base64, or plain text)."
    )
    webhook_private_networks: bool = _setting(
        True, "Whether webhooks may go to loopback and private addresses."
    )
    public_url: str | None = _setting(
        None, "The address people reach this server by, for links; unset: HOST and PORT."
    )
    admin_email: str | None = _setting(
        None, "With ADMIN_PASSWORD: the first administrator, made where there is no account yet."
    )
    admin_password: str | None = _setting(None, "See ADMIN_EMAIL.")
    require_token: bool = _setting(
        False, "Whether the native API, too, wants a token or a session."
    )
    whisperbox_token: str | None = _setting(
        None, "The token that the `whisperbox` command shows a server that wants one."
    )
    requests_per_minute: int = _setting(
        120, "Requests a minute of each account, token or address; 0 is no limit.", 0
    )
    upload_max_mb: int = _setting(0, "The largest upload, in MB; 0 is no limit.", 0)
    quota_jobs: int = _setting(
        0, "Jobs of one account that may be under way at once; 0 is no limit.", 0
    )
    quota_audio_minutes: float = _setting(
        0, "Minutes of audio of one account in a day; 0 is no limit.", 0
    )
    model_aliases: tuple[str, ...] = _setting(
        ("large=large-v3",), "Other names of models, as NAME=MODEL, separated by commas."
    )
    fetch_max_mb: int = _setting(4096, "The largest file that is fetched from a URL, in MB.", 1)
    fetch_timeout_secs: float = _setting(3600, "How long fetching a file from a URL may take.", 1)
    fetch_networks: tuple[str, ...] = _setting(
        (),
        "Networks (CIDR, separated by commas) that files may be fetched from although they are "
        "private.",
    )
    fetch_pages: bool = _setting(True, "Whether web pages are searched for a recording (yt-dlp).")
    fetch_cookies: Path | None = _setting(
        None, "A Netscape cookie file for web pages that want a sign-in."
    )
    openai_base_url: str | None = _setting(
        None, "A server that speaks OpenAI's protocol; unset: OpenAI's own."
    )
    openai_api_key: str | None = _setting(None, "The key for that server.")
    openai_model: str | None = _setting(
        None, "The language model for analyses and translations; unset: there are none."
    )
    openai_translation_model: str | None = _setting(
        None, "Another model for translations; unset: OPENAI_MODEL."
    )
    openai_part_chars: int = _setting(
        24_000, "Characters of a transcript that the language model reads at once.", 500
    )
    openai_timeout_secs: float = _setting(
        300, "How long the language model may take over one part.", 1
    )
    quota_llm_tokens: int = _setting(
        0, "The language model's tokens of one account in a day; 0 is no limit.", 0
    )
    diarization: bool = _setting(
        True, "Whether speakers are told apart, where a job of the hub API does not say otherwise."
    )
    max_speakers: int = _setting(10, "Speakers that a recording has at the most.", 1)
    diarization_timeout_secs: float = _setting(
        3600, "How long telling the speakers of one recording apart may take.", 1
    )
    cors_origins: tuple[str, ...] = _setting(
        (), "Origins of front ends, separated by commas; * is all of them."
    )
    shutdown_grace_secs: float = _setting(
        10, "How long a stop waits for the chunk at hand before it is given back.", 0
    )
    log_format: str = _setting("text", "text or json.")
    log_level: str = _setting("info", "debug, info, warning or error.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """
        Raises:
            Unusable: a value does not fit; the message names the variable.
        """
        hints = get_type_hints(cls)
        given = {}
        for each in fields(cls):
            name = each.name.upper()
            if (text := environment.get(name, "").strip()) != "":
                given[each.name] = _parsed(name, text, hints[each.name])
                _check_least(name, given[each.name], each.metadata["least"])
        settings = cls(**given)
        _one_of("WHISPER_DEVICE", settings.whisper_device, "auto cpu gpu cuda vulkan")
        _one_of("LOG_FORMAT", settings.log_format, "text json")
        _one_of("LOG_LEVEL", settings.log_level, "debug info warning error")
        for origin in settings.cors_origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise Unusable(
                    f"CORS_ORIGINS has '{origin}', but an origin is http://HOST or https://HOST, "
                    "with a port where it is not the usual one, and nothing after it"
                )
        if settings.port > 65535:
            raise Unusable(f"PORT is {settings.port}, but ports end at 65535")
        return settings


def documented() -> list[tuple[str, str, str]]:
    """Name, default and meaning of every setting."""
    return [(f.name.upper(), _shown(f.default), f.metadata["about"]) for f in fields(Settings)]


def in_force(settings: Settings) -> list[tuple[str, str, str]]:
    """Name, value and meaning of every setting, for people; secrets are not told."""
    return [
        (
            each.name.upper(),
            _told(each.name, getattr(settings, each.name)),
            each.metadata["about"].replace("`", ""),
        )
        for each in fields(Settings)
    ]


def _told(name: str, value: Any) -> str:
    if name in SECRETS:
        return "" if value is None else "(set)"
    return re.sub(r"//[^/@]*@", "//…@", _shown(value))


def _parsed(name: str, text: str, hint: Any) -> Any:
    wanted = get_args(hint)[0] if isinstance(hint, UnionType) else hint
    if wanted is bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise Unusable(f"{name} is '{text}', but must be true or false")
    if wanted in (int, float):
        try:
            return wanted(text)
        except ValueError:
            kind = "a whole number" if wanted is int else "a number"
            raise Unusable(f"{name} is '{text}', but must be {kind}") from None
    if wanted in (str, Path):
        return wanted(text)
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _check_least(name: str, value: Any, least: float | None) -> None:
    if least is not None and not value >= least:
        raise Unusable(f"{name} is {value}, but must be at least {least:g}")


def _one_of(name: str, value: str, choices: str) -> None:
    if value not in choices.split():
        raise Unusable(f"{name} is '{value}', but must be one of {', '.join(choices.split())}")


def _shown(default: Any) -> str:
    if default is None or default is MISSING:
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)
