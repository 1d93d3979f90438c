"""Tells what was said from what the engine wrote for sounds. Pure functions."""

import re
from collections.abc import Sequence

from storage.records import LeftOut, Segment

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
