"""A transcript in the formats that people want. Pure functions of its segments."""

from collections.abc import Callable, Sequence
from urllib.parse import quote

from storage.records import Segment


def attachment(name: str) -> dict[str, str]:
    """The header that has a browser keep an answer as a file of that name (RFC 6266)."""
    name = name.replace("/", "_")
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    whole = quote(name, safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"}


def txt(segments: Sequence[Segment]) -> str:
    return "".join(f"{segment.text}\n" for segment in _said(segments))


def srt(segments: Sequence[Segment]) -> str:
    """SubRip, as its players expect it: numbered from 1, a comma before the milliseconds."""
    return "\n".join(
        f"{n}\n{clock(s.start, ',')} --> {clock(s.end, ',')}\n{_cue(s.text)}\n"
        for n, s in enumerate(_said(segments), start=1)
    )


def vtt(segments: Sequence[Segment]) -> str:
    """WebVTT, https://www.w3.org/TR/webvtt1/."""
    cues = (
        f"{clock(s.start)} --> {clock(s.end)}\n{_escaped(_cue(s.text))}\n" for s in _said(segments)
    )
    return "\n".join(["WEBVTT\n", *cues])


def tsv(segments: Sequence[Segment]) -> str:
    """Milliseconds, as openai/whisper writes it."""
    rows = [
        f"{round(s.start * 1000)}\t{round(s.end * 1000)}\t{_flat(s.text)}" for s in _said(segments)
    ]
    return "".join(f"{row}\n" for row in ["start\tend\ttext", *rows])


FORMATS: dict[str, tuple[Callable[[Sequence[Segment]], str], str]] = {
    "txt": (txt, "text/plain"),
    "srt": (srt, "application/x-subrip; charset=utf-8"),
    "vtt": (vtt, "text/vtt"),
    "tsv": (tsv, "text/tab-separated-values"),
}
"""Writer and media type by name; the answer adds the charset to a type of text. JSON is the
dialect's own document."""


def clock(seconds: float, point: str = ".") -> str:
    """``01:02:03.456``"""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def _said(segments: Sequence[Segment]) -> list[Segment]:
    """Without those that somebody has emptied."""
    return [segment for segment in segments if segment.text.strip()]


def _cue(text: str) -> str:
    """An empty line would end the cue."""
    return "\n".join(line for line in text.splitlines() if line.strip()).replace("-->", "→")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _flat(text: str) -> str:
    return " ".join(text.split())
