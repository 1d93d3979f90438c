"""Whose words they are. Pure functions of segments and turns."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

from storage.records import Segment, Turn

NEAR_S = 0.5
"""Words that nobody is heard at belong to a turn that is so near."""


def labels(segments: Sequence[Segment], turns: Sequence[Turn]) -> list[str | None]:
    """The label of each segment: of the turn that it overlaps most, word by word where it has
    words; None where nobody is heard."""
    return [_label(segment, turns) for segment in segments]


def _label(segment: Segment, turns: Sequence[Turn]) -> str | None:
    spans = [(word.start, word.end) for word in segment.words] or [(segment.start, segment.end)]
    for reach in (0.0, NEAR_S):
        shares: defaultdict[str, float] = defaultdict(float)
        for start, end in spans:
            for turn in turns:
                shared = min(end + reach, turn.end) - max(start - reach, turn.start)
                if shared > 0:
                    shares[turn.label] += shared
        if shares:
            return max(shares, key=lambda label: shares[label])
    return None


def dialogue(segments: Sequence[Segment], named: Sequence[str | None]) -> str:
    """The transcript with a paragraph for each turn: ``Speaker 1: Hello. How are you?``"""
    paragraphs = []
    for label, run in groupby(zip(named, segments, strict=True), key=lambda pair: pair[0]):
        text = " ".join(words for _, segment in run if (words := segment.text.strip()))
        paragraphs.append(f"{label}: {text}" if label else text)
    return "\n\n".join(paragraphs)
