"""Cues that fit a screen, from segments that do not. Pure functions."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from app.transcripts.paragraphs import ends_sentence
from storage import scripts
from storage.records import Segment

_PIECE = re.compile(r"\S+\s*")


SHORTEST_S = 0.8
"""A cue stays at least so long, where the next one lets it: less cannot be read."""
ONE_BREATH_S = 0.3
"""Segments with less than this between them are one sentence, unless the first one ends it."""


@dataclass(frozen=True)
class Limits:
    """The defaults are those that broadcasters and streaming services ask for most often."""

    line_chars: int = 42
    lines: int = 2
    chars_per_second: float = 20


def cues(segments: Sequence[Segment], limits: Limits) -> list[Segment]:
    """The same words in cues of at most ``limits.lines`` lines of ``limits.line_chars``.

    A sentence that goes on over several segments is cut anew, into lines that are about as long as
    each other. Times come from words where a segment has them, else from how far into its text a
    cue begins. A cue that is read too fast stays longer, up to the next one. Only a word that is
    longer than a line is cut.
    """
    said = [segment for segment in segments if segment.text.strip()]
    made = [cue for sentence in _sentences(said) for cue in _of_sentence(sentence, limits)]
    for n, cue in enumerate(made):
        following = made[n + 1].start if n + 1 < len(made) else float("inf")
        reading = len(cue.text.replace("\n", "")) / limits.chars_per_second
        end = max(cue.end, min(cue.start + max(reading, SHORTEST_S), following))
        made[n] = Segment(index=n, start=cue.start, end=end, text=cue.text)
    return made


def _sentences(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Segments of one sentence as one; not those without times of their words, which would lose
    where they begin."""
    whole: Segment | None = None
    for segment in segments:
        if whole is None:
            whole = segment
        elif _goes_on(whole, segment):
            whole = msgspec.structs.replace(
                whole,
                text=scripts.joined(whole.text, segment.text),
                words=whole.words + segment.words,
                end=max(whole.end, segment.end),
            )
        else:
            yield whole
            whole = segment
    if whole is not None:
        yield whole


def _goes_on(before: Segment, after: Segment) -> bool:
    return (
        bool(before.words and after.words)
        and before.speaker == after.speaker
        and after.start - before.end < ONE_BREATH_S
        and not ends_sentence(before.text)
    )


def _of_sentence(sentence: Segment, limits: Limits) -> Iterator[Segment]:
    lines = _balanced(sentence.text, limits.line_chars)
    clock = _Clock(sentence)
    for n in range(0, len(lines), limits.lines):
        cue = lines[n : n + limits.lines]
        start = clock.at(cue[0][0])
        end = clock.at(cue[-1][0] + len(cue[-1][1].rstrip()), end=True)
        yield _cue([text for _, text in cue], start, end)


def _balanced(text: str, longest: int) -> list[tuple[int, str]]:
    """As few lines as there can be, and the longest of them as short as it can be."""
    lines = _filled(text, longest)
    low, high = 1, longest
    while low < high:
        width = (low + high) // 2
        if len(_filled(text, width)) <= len(lines):
            high = width
        else:
            low = width + 1
    return _filled(text, high)


def _filled(text: str, longest: int) -> list[tuple[int, str]]:
    """Where each line begins in the text, and the line."""
    lines: list[tuple[int, str]] = []
    for at, piece in _pieces(text, longest):
        if lines and len(lines[-1][1]) + len(piece.rstrip()) <= longest:
            lines[-1] = lines[-1][0], lines[-1][1] + piece
        else:
            lines.append((at, piece))
    return lines


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
