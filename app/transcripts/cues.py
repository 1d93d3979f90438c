"""Cues that fit a screen, from segments that do not. Pure functions."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.records import Segment

_PIECE = re.compile(r"\S+\s*")


@dataclass(frozen=True)
class Limits:
    """The defaults are those that broadcasters and streaming services ask for most often."""

    line_chars: int = 42
    lines: int = 2
    chars_per_second: float = 20


def cues(segments: Sequence[Segment], limits: Limits) -> list[Segment]:
    """The same words in cues of at most ``limits.lines`` lines of ``limits.line_chars``.

    Times come from words where a segment has them, else from how far into its text a cue begins.
    A cue that is read too fast stays longer, up to the next one. Only a word that is longer than
    a line is cut.
    """
    made = [
        cue for segment in segments if segment.text.strip() for cue in _of_segment(segment, limits)
    ]
    for n, cue in enumerate(made):
        following = made[n + 1].start if n + 1 < len(made) else float("inf")
        wanted = cue.start + len(cue.text.replace("\n", "")) / limits.chars_per_second
        end = max(cue.end, min(wanted, following))
        made[n] = Segment(index=n, start=cue.start, end=end, text=cue.text)
    return made


def _of_segment(segment: Segment, limits: Limits) -> Iterator[Segment]:
    clock = _Clock(segment)
    lines: list[str] = []
    begins = ends = 0
    for at, piece in _pieces(segment.text, limits.line_chars):
        word = piece.rstrip()
        if lines and len(lines[-1]) + len(word) <= limits.line_chars:
            lines[-1] += piece
        elif lines and len(lines) < limits.lines:
            lines.append(piece)
        else:
            if lines:
                yield _cue(lines, clock.at(begins), clock.at(ends, end=True))
            lines, begins = [piece], at
        ends = at + len(word)
    yield _cue(lines, clock.at(begins), clock.at(ends, end=True))


def _cue(lines: Sequence[str], start: float, end: float) -> Segment:
    text = "\n".join(line.strip() for line in lines)
    return Segment(index=0, start=start, end=max(start, end), text=text)


def _pieces(text: str, longest: int) -> Iterator[tuple[int, str]]:
    """Words with the space after them and where they stand; a longer one in parts."""
    for found in _PIECE.finditer(text):
        piece = found[0]
        for at in range(0, len(piece.rstrip()), longest):
            last = at + longest >= len(piece.rstrip())
            yield found.start() + at, piece[at:] if last else piece[at : at + longest]


class _Clock:
    """When a character of a segment's text is spoken."""

    def __init__(self, segment: Segment) -> None:
        points = [(0, segment.start)]
        cursor = 0
        for word in segment.words:
            at = segment.text.find(word.text, cursor)
            if at < 0:  # the words are not those of the text
                points = [(0, segment.start)]
                break
            cursor = at + len(word.text)
            points += [(at, word.start), (cursor, word.end)]
        points.append((max(len(segment.text), 1), segment.end))
        latest = segment.start
        self._places, self._times = [], []
        for place, moment in points:
            latest = min(max(latest, moment), segment.end)
            self._places.append(place)
            self._times.append(latest)

    def at(self, place: int, *, end: bool = False) -> float:
        """Where two points share a place, an ``end`` takes the earlier time."""
        n = bisect_right(self._places, place - 1 if end else place)
        if end and n < len(self._places) and self._places[n] == place:
            return self._times[n]
        if n == 0 or n == len(self._places):
            return self._times[min(n, len(self._times) - 1)]
        a, b = self._places[n - 1], self._places[n]
        share = (place - a) / (b - a)
        return self._times[n - 1] + share * (self._times[n] - self._times[n - 1])
