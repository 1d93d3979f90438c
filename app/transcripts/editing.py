"""What an edit makes of the lines of a transcript. Pure functions."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import msgspec

from storage import scripts
from storage.errors import Invalid
from storage.records import Change, LeftOut, Segment, Word

_CHARACTERS = re.compile(r"[A-Za-z0-9]+|\S")
"""Where no spaces are written, every character is a word, but for those of other languages."""
SURE = 1.0
"""The probability of what a person wrote."""
LONGEST_LINE = 5000
"""Characters."""
MOST_COMPARED = 400
"""Words of a line that are compared with each other: a line of a transcript has a hundred."""
SHORTEST_S = 0.01
"""A part of a line, where the line is long enough for two of them."""


def retyped(line: Segment, text: str) -> Segment:
    """The line with another text."""
    return msgspec.structs.replace(line, text=text, words=aligned(line, text))


def split(line: Segment, at: int) -> list[Change]:
    """Two lines out of one; ``at``: of its text, the characters in the first one.

    Raises:
        Invalid: one of the two would be empty.
    """
    left, right = line.text[:at].strip(), line.text[at:].strip()
    if not left or not right:
        raise Invalid("There is nothing to split off: both parts need some text.")
    words, count = aligned(line, f"{left} {right}"), len(aligned(line, left))
    if words:
        start, end = words[min(count, len(words) - 1)].start, words[count - 1].end
    else:
        start = end = line.start + (line.end - line.start) * len(left) / (len(left) + len(right))
    least = min(SHORTEST_S, (line.end - line.start) / 2)
    start = min(max(start, line.start + least), line.end - least)
    first = msgspec.structs.replace(
        line, text=left, words=words[:count], end=min(max(end, line.start), start)
    )
    second = msgspec.structs.replace(line, text=right, words=words[count:], start=start)
    return [Change(line, first), Change(None, second)]


def joined(line: Segment, following: Segment) -> list[Change]:
    """One line out of two."""
    left, right = line.text.strip(), following.text.strip()
    both = (line.words or not left) and (following.words or not right)
    whole = msgspec.structs.replace(
        line,
        text=scripts.joined(left, right),
        words=line.words + following.words if both else (),
        end=max(line.end, following.end),
    )
    return [Change(line, whole), Change(following, None)]


def moved(line: Segment, start: float, end: float) -> Segment:
    """The line at other times; its words keep theirs as far as they are within.

    Raises:
        Invalid: it would end before it begins.
    """
    if not 0 <= start < end:
        raise Invalid("A line ends after it begins.")
    words = tuple(
        msgspec.structs.replace(
            word, start=min(max(word.start, start), end), end=min(max(word.end, start), end)
        )
        for word in line.words
    )
    return msgspec.structs.replace(line, start=start, end=end, words=words)


def put_back(left_out: LeftOut, language: str | None) -> Change:
    """A line of what was left out."""
    line = Segment(
        index=0, start=left_out.start, end=left_out.end, text=left_out.text, language=language
    )
    return Change(None, line)


def pattern(find: str, *, match_case: bool, whole_words: bool) -> re.Pattern[str]:
    """What `replaced` looks for; spaces stand for any number of spaces."""
    text = r"\s+".join(re.escape(part) for part in find.split())
    if whole_words:
        text = rf"(?<!\w){text}(?!\w)"
    return re.compile(text, 0 if match_case else re.IGNORECASE)


def replaced(lines: Sequence[Segment], wanted: re.Pattern[str], by: str) -> list[Change]:
    """All lines in which something is replaced.

    Raises:
        Invalid: a line would be longer than lines can be.
    """
    changes = []
    for line in lines:
        found = [place.end() - place.start() for place in wanted.finditer(line.text)]
        if len(line.text) - sum(found) + len(found) * len(by) > LONGEST_LINE:
            raise Invalid(f"A line would have more than {LONGEST_LINE} characters then.")
        text = " ".join(wanted.sub(lambda _: by, line.text).split())
        if text != " ".join(line.text.split()):
            changes.append(Change(line, retyped(line, text)))
    return changes


def aligned(segment: Segment, text: str) -> tuple[Word, ...]:
    """``text`` as words: those that stayed keep their times, and those that are new share the time
    of what they replaced. None where the segment has no words itself."""
    if not segment.words:
        return ()
    spaced = len(segment.words) <= 1 + segment.text.strip().count(" ")
    pieces = text.split() if spaced else _CHARACTERS.findall(text)
    before = segment.words
    words: list[Word] = []
    for kind, a, b, c, d in _changes([_bare(w.text) for w in before], [_bare(p) for p in pieces]):
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


def _changes(before: list[str], after: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """As `difflib.SequenceMatcher.get_opcodes`, whose time grows with the third power of the
    lengths: what differs at more than MOST_COMPARED places is one change."""
    least = min(len(before), len(after))
    same = zip(before, after, strict=False)
    start = next((n for n, (a, b) in enumerate(same) if a != b), least)
    same = zip(reversed(before[start:]), reversed(after[start:]), strict=False)
    ending = next((n for n, (a, b) in enumerate(same) if a != b), least - start)
    a, b = before[start : len(before) - ending], after[start : len(after) - ending]
    if start:
        yield "equal", 0, start, 0, start
    if len(a) > MOST_COMPARED or len(b) > MOST_COMPARED:
        yield "replace", start, start + len(a), start, start + len(b)
    else:
        for kind, *places in SequenceMatcher(None, a, b).get_opcodes():
            i, j, k, m = (start + place for place in places)
            yield kind, i, j, k, m
    if ending:
        yield "equal", len(before) - ending, len(before), len(after) - ending, len(after)


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
