"""Removes loops: in silence, Whisper sometimes repeats one phrase many times. Pure functions."""

import re
from collections.abc import Sequence
from itertools import groupby

from storage.records import Segment, Word

MOST_WORDS = 8
"""The longest phrase, in words, whose repetitions within a segment are found."""
TIMES_IN_SEGMENT = 6
TIMES_IN_A_ROW = 4
"""How often a phrase must come in a row before it counts as a loop: within a segment, and as whole
segments. The numbers are not smaller because people do repeat themselves."""

_LOOP = re.compile(
    rf"(?<!\S)(\S+(?:\s+\S+){{0,{MOST_WORDS - 1}}}?)(?:\s+\1){{{TIMES_IN_SEGMENT - 1},}}(?!\S)",
    re.IGNORECASE,
)


def without_loops(segments: Sequence[Segment]) -> list[Segment]:
    """``segments`` with only one repetition of each loop; ``repair`` says what was removed.

    The segments keep their indices, so that there may be gaps: the caller numbers them again.
    """
    joined: list[Segment] = []
    for _, run in groupby(segments, key=lambda s: s.text.casefold()):
        same = list(run)
        if len(same) >= TIMES_IN_A_ROW:
            joined.append(_joined(same))
        else:
            joined.extend(same)
    return [_collapsed(segment) for segment in joined]


def _joined(same: Sequence[Segment]) -> Segment:
    first, last = same[0], same[-1]
    return Segment(
        index=first.index,
        start=first.start,
        end=last.end,
        text=first.text,
        words=first.words,
        repair=f"said {len(same)} times in a row, kept once",
    )


def _collapsed(segment: Segment) -> Segment:
    text, count = _LOOP.subn(r"\1", segment.text)
    if not count:
        return segment
    dropped = len(segment.text.split()) - len(text.split())
    return Segment(
        index=segment.index,
        start=segment.start,
        end=segment.end,
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
