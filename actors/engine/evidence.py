"""Tells what was said from what the engine wrote for sounds. Pure functions."""

import re
import zlib
from collections.abc import Sequence

from actors.engine.repetition import spoken_secs
from storage.records import RATE, LeftOut, Segment, Span

SOUND = "it describes a sound"
SILENCE = "the model is unsure of it, and hears no speech there"
_TAG = re.compile(r"(\[[^][]*\]|\([^()]*\)|\*[^*]*\*|[♪♫🎵🎶\s.…\-–—]+)+")
"""``[Music]``, ``(applause)``, ``*laughs*``, ``♪``: how the captions that Whisper learned from
write sounds. Of 104 recordings of game music and effects, the base model gave such a tag for seven,
and no word for any."""


def without_sounds(segments: Sequence[Segment]) -> tuple[list[Segment], list[LeftOut]]:
    """The segments that have words, and what is left out.

    The segments keep their indices, so that there may be gaps: the caller numbers them again.
    """
    kept, left_out = [], []
    for segment in segments:
        if _TAG.fullmatch(segment.text):
            left_out.append(
                LeftOut(start=segment.start, end=segment.end, text=segment.text, reason=SOUND)
            )
        else:
            kept.append(segment)
    return kept, left_out


def compression_ratio(text: str) -> float:
    """How many times shorter zlib makes the text; see `storage.records.Evidence`."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def speech_share(segment: Segment, speech: Sequence[Span]) -> float:
    """The part of the segment's time that lies in ``speech``: 0 to 1.

    For a segment without length: 1 if it lies in speech, else 0.
    """
    length = segment.end - segment.start
    if length <= 0:
        return float(any(span.start <= segment.start * RATE <= span.end for span in speech))
    return min(1.0, spoken_secs(segment, speech) / length)
