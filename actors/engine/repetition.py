"""Removes loops: in silence, Whisper sometimes repeats one phrase many times. Pure functions."""

import re
from collections.abc import Sequence
from itertools import groupby

import msgspec

from storage.records import RATE, Segment, Span, Word

MOST_WORDS = 8
"""The longest phrase, in words, whose repetitions within a segment are found."""
TIMES_IN_SEGMENT = 6
TIMES_IN_A_ROW = 4
"""How often a phrase must come in a row before it counts as a loop: within a segment, and as whole
segments. The numbers are not smaller because people do repeat themselves."""

MOST_WORDS_SAID = 2
FASTEST_WORDS_A_SECOND = 5.0
"""People do say one or two words many times, at up to this rate while they speak; a loop is faster,
or longer."""

SHORTEST_S = 0.15
"""Seconds of speech that a segment must have to count as spoken."""
SHARE = 0.5
"""Of a loop, a repetition is kept if it has this share of the speech that the longest one has: the
same words take about the same time, and a loop that shares one word's time with it has less."""

NEXT_TO_S = 0.05
"""What is left out so near after a repetition that is kept was cut from its time."""

_WORDS = re.compile(r"\w+")
_LOOP = re.compile(
    rf"(?<!\S)(\S+(?:\s+\S+){{0,{MOST_WORDS - 1}}}?)(?:\s+\1){{{TIMES_IN_SEGMENT - 1},}}(?!\S)",
    re.IGNORECASE,
)


def without_loops(segments: Sequence[Segment], speech: Sequence[Span]) -> list[Segment]:
    """``segments`` with only one repetition of each loop; ``repair`` says what was removed.

    What was really said stays: equal segments that each have speech of their own, and a word or two
    that are repeated no faster than people speak. ``speech``: where somebody speaks. The segments
    keep their indices, so that there may be gaps: the caller numbers them again.
    """
    joined: list[Segment] = []
    for _, run in groupby(segments, key=lambda s: _WORDS.findall(s.text.casefold())):
        same = list(run)
        secs = [spoken_secs(segment, speech) for segment in same]
        if len(same) >= TIMES_IN_A_ROW and min(secs) < SHORTEST_S:
            least = max(SHORTEST_S, SHARE * max(secs))
            joined.extend(_kept(same, [each >= least for each in secs]))
        else:
            joined.extend(same)
    return [_collapsed(segment, speech) for segment in joined]


def spoken_secs(segment: Segment, speech: Sequence[Span]) -> float:
    """How many seconds of speech there are under a segment."""
    start, end = segment.start * RATE, segment.end * RATE
    return sum(max(0.0, min(end, s.end) - max(start, s.start)) for s in speech) / RATE


def _kept(same: Sequence[Segment], spoken: Sequence[bool]) -> list[Segment]:
    """Of equal segments in a row those that were spoken, or one where none was."""
    repair = (
        f"said {len(same)} times in a row, kept {'where it was spoken' if any(spoken) else 'once'}"
    )
    if not any(spoken):
        return [msgspec.structs.replace(same[0], end=same[-1].end, repair=repair)]
    kept: list[Segment] = []
    for segment, is_spoken in zip(same, spoken, strict=True):
        if is_spoken:
            kept.append(segment)
        elif kept and segment.start - kept[-1].end < NEXT_TO_S:
            kept[-1] = msgspec.structs.replace(kept[-1], end=max(kept[-1].end, segment.end))
    return [msgspec.structs.replace(kept[0], repair=repair), *kept[1:]]


def _collapsed(segment: Segment, speech: Sequence[Span]) -> Segment:
    spoken = spoken_secs(segment, speech)
    plausible = len(segment.text.split()) <= FASTEST_WORDS_A_SECOND * spoken

    def shorter(loop: re.Match[str]) -> str:
        said = plausible and len(loop[1].split()) <= MOST_WORDS_SAID
        return loop[0] if said else loop[1]

    text = _LOOP.sub(shorter, segment.text)
    dropped = len(segment.text.split()) - len(text.split())
    if not dropped:
        return segment
    return msgspec.structs.replace(
        segment,
        text=text,
        words=_words_left(segment, text),
        repair=f"a loop of {dropped} words removed",
    )


def _words_left(segment: Segment, text: str) -> tuple[Word, ...]:
    """The segment's words that are still in the shorter ``text``, matched in order."""
    left, kept = text.split(), []
    for word in segment.words:
        if left and word.text.casefold() == left[0].casefold():
            kept.append(word)
            left.pop(0)
    return tuple(kept)
