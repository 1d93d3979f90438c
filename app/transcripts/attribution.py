"""Whose words they are. Pure functions of segments and turns."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby

import msgspec

from storage.records import Segment, Turn

NEAR_S = 0.5
"""Words that nobody is heard at belong to a turn that is so near."""


def labels(segments: Sequence[Segment], turns: Sequence[Turn]) -> list[str | None]:
    """The label of each segment: who people say it is, else that of the turn that it overlaps most,
    word by word where it has words; None where nobody is heard."""
    voices = {label: _Voice(turns, label) for label in sorted({turn.label for turn in turns})}
    return [segment.speaker or _label(segment, voices) for segment in segments]


class _Voice:
    """How long somebody speaks in any span, in logarithmic time: a day of words is a lot."""

    def __init__(self, turns: Sequence[Turn], label: str) -> None:
        own = _apart(sorted((t.start, t.end) for t in turns if t.label == label))
        self._starts = [start for start, _ in own]
        self._ends = [end for _, end in own]
        self._before = [0.0, *accumulate(end - start for start, end in own)]

    def within(self, start: float, end: float) -> float:
        return self._until(end) - self._until(start)

    def _until(self, moment: float) -> float:
        n = bisect_right(self._starts, moment)
        if n == 0:
            return 0.0
        return self._before[n - 1] + min(moment, self._ends[n - 1]) - self._starts[n - 1]


def _apart(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans that overlap as one."""
    made: list[tuple[float, float]] = []
    for start, end in spans:
        if made and start <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((start, end))
    return made


def _label(segment: Segment, voices: Mapping[str, _Voice]) -> str | None:
    spans = [(word.start, word.end) for word in segment.words] or [(segment.start, segment.end)]
    for reach in (0.0, NEAR_S):
        shares = {
            label: sum(voice.within(start - reach, end + reach) for start, end in spans)
            for label, voice in voices.items()
        }
        if shares and max(shares.values()) > 0:
            return max(shares, key=lambda label: shares[label])
    return None


def attributed(segments: Sequence[Segment], turns: Sequence[Turn]) -> list[Segment]:
    """The segments with their speakers, and ``Name: `` before each that another speaker begins."""
    made, before = [], None
    for segment, label in zip(segments, labels(segments, turns), strict=True):
        begins = label is not None and label != before and segment.text.strip()
        text = f"{label}: {segment.text.strip()}" if begins else segment.text
        made.append(msgspec.structs.replace(segment, text=text, speaker=label))
        before = label if segment.text.strip() else before
    return made


def dialogue(segments: Sequence[Segment], named: Sequence[str | None]) -> str:
    """The transcript with a paragraph for each turn: ``Speaker 1: Hello. How are you?``"""
    paragraphs = []
    for label, run in groupby(zip(named, segments, strict=True), key=lambda pair: pair[0]):
        text = " ".join(words for _, segment in run if (words := segment.text.strip()))
        paragraphs.append(f"{label}: {text}" if label else text)
    return "\n\n".join(paragraphs)
