"""A transcript in the form of openai/whisper's JSON, which its API and other servers took over."""

from collections.abc import Sequence
from typing import Any

from actors.engine.languages import LANGUAGES
from actors.engine.words import UNSPACED
from app.transcripts.document import segment_evidence
from storage.records import Segment

Document = dict[str, Any]


def text_of(segments: Sequence[Segment], written_in: str | None) -> str:
    """``written_in``: as `storage.records.Order.written_in`."""
    return "".join(
        delta(segment, written_in, is_first=n == 0) for n, segment in enumerate(segments)
    ).strip()


def delta(segment: Segment, written_in: str | None, *, is_first: bool) -> str:
    """What a segment adds to the text of those before it."""
    spaced = (written_in or segment.language) not in UNSPACED
    return (" " if spaced and not is_first else "") + segment.text.strip()


def language_name(code: str | None) -> str:
    """``english``; a code without a name as it is, and nothing where none is known."""
    return LANGUAGES.get(code or "", code or "").lower()


def segment_of(segment: Segment) -> Document:
    """With our own evidence beside Whisper's. What Whisper has and we do not is what means nothing.

    ``seek`` is in hundredths of a second.
    """
    evidence = segment_evidence(segment)
    return {
        "id": segment.index,
        "seek": round(segment.start * 100),
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        **evidence,
        "avg_logprob": evidence["avg_logprob"] or 0.0,
        "compression_ratio": evidence["compression_ratio"] or 0.0,
        "no_speech_prob": evidence["no_speech_prob"] or 0.0,
    }


def words_of(segments: Sequence[Segment]) -> list[Document]:
    return [
        {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
        for segment in segments
        for word in segment.words
    ]
