"""What can be set about the watched folder."""

from dataclasses import dataclass
from pathlib import Path

from actors.kernel.setting import setting
from app.transcripts.formats import FORMATS

JSON = "json"


def parse_formats(text: str) -> tuple[str, ...]:
    """
    Raises:
        ValueError: one is none of the formats.
    """
    formats = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for each in formats:
        if each not in (*FORMATS, JSON):
            raise ValueError(f"has '{each}', but may have {', '.join((*FORMATS, JSON))}")
    return formats


@dataclass(frozen=True)
class WatchSettings:
    watch_dir: Path | None = setting(
        None, "A folder whose recordings are transcribed, with its subfolders; unset: none."
    )
    watch_output: Path | None = setting(
        None, "Where the transcripts of these recordings go; unset: beside each recording."
    )
    watch_formats: tuple[str, ...] = setting(
        ("txt",), "txt, srt, vtt, tsv, json, separated by commas.", parse=parse_formats
    )
