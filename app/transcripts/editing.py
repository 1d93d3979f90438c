"""The words of a corrected text, with the times of those that were said. Pure functions."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from storage.records import Segment, Word

_CHARACTERS = re.compile(r"[A-Za-z0-9]+|\S")
"""Where no spaces are written, every character is a word, but for those of other languages."""
SURE = 1.0
"""The probability of what a person wrote."""


def aligned(segment: Segment, text: str) -> tuple[Word, ...]:
    """``text`` as words: those that stayed keep their times, and those that are new share the time
    of what they replaced. None where the segment has no words itself."""
    if not segment.words:
        return ()
    spaced = len(segment.words) <= 1 + segment.text.strip().count(" ")
    pieces = text.split() if spaced else _CHARACTERS.findall(text)
    before = segment.words
    words: list[Word] = []
    matcher = SequenceMatcher(None, [_bare(w.text) for w in before], [_bare(p) for p in pieces])
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            words += [
                Word(piece, old.start, old.end, old.probability)
                for old, piece in zip(before[a:b], pieces[c:d], strict=True)
            ]
        else:
            start = before[a].start if a < b else words[-1].end if words else segment.start
            end = before[b - 1].end if a < b else _next_start(before, b, segment.end)
            words += _spread(pieces[c:d], start, max(start, end))
    return tuple(words)


def _next_start(words: Sequence[Word], n: int, otherwise: float) -> float:
    return words[n].start if n < len(words) else otherwise


def _spread(pieces: Sequence[str], start: float, end: float) -> list[Word]:
    """Over the time by their lengths."""
    letters = sum(map(len, pieces)) or 1
    words, moment = [], start
    for piece in pieces:
        until = moment + (end - start) * len(piece) / letters
        words.append(Word(piece, round(moment, 3), round(until, 3), SURE))
        moment = until
    return words


def _bare(word: str) -> str:
    return "".join(c for c in word if c.isalnum()).casefold() or word
