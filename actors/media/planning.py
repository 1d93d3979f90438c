"""Plans the chunks of a recording: as few windows as possible, with cuts in long pauses.

Pure functions. Lengths are in samples at 16 kHz unless their name says otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from actors.media.silence import FRAME, Levels
from storage.records import RATE, Chunk, Span

WINDOW = 30 * RATE
"""The audio that Whisper processes at once. A longer chunk would need a second window."""
LEAD = RATE // 4
TAIL = RATE // 2
"""Silence that is kept before and after speech. Without it, Whisper loses first and last words."""
LONGEST_PAUSE = RATE
"""Of a longer pause only LEAD and TAIL are kept, because Whisper invents text for silence, and
because silence takes time."""
LONGEST_UNIT = 8 * RATE
"""Longer speech without a pause may be cut at its quietest moments."""

WINDOW_COST = 1.0
PAUSE_COST = 0.35
"""The cost of a cut in the shortest pause. It falls to 0 for a pause of GOOD_PAUSE. Compared with
WINDOW_COST: to cut in a longer pause is worth at most about a third of a window."""
SPEECH_COST = 1.5
"""The cost of a cut within speech."""
GOOD_PAUSE = 0.7 * RATE


@dataclass(frozen=True)
class _Unit:
    """Speech that is not cut any further, and the lengths of the pauses before and after it.

    A pause of 0 means that continuous speech was cut there, at a quiet moment.
    """

    speech: Span
    before: int
    after: int

    @property
    def heard(self) -> Span:
        """The speech with the silence around it that is always kept."""
        lead, tail = min(LEAD, self.before // 3), min(TAIL, self.after * 2 // 3)
        return Span(self.speech.start - lead, self.speech.end + tail)

    @property
    def pause_kept(self) -> bool:
        return self.after <= LONGEST_PAUSE


def plan(speech: Sequence[Span], level: Levels, length: int) -> list[Chunk]:
    """The chunks that contain all of ``speech``, in order, none longer than a window.

    ``speech``: spans in order that do not touch; ``level``: dBFS of each 20 ms frame; ``length``:
    of the whole audio. The cuts are those with the lowest cost: the number of windows plus the cost
    of cutting in short pauses. They are found by dynamic programming over all pauses.
    """
    units = _units(speech, level, length)
    if not units:
        return []
    # reach[n]: the length from the start of unit 0 to the start of unit n, if all are in one chunk.
    steps = [unit.heard.length + _kept(unit, after) for unit, after in pairwise(units)]
    reach = [0, *accumulate(steps)]
    best, cut_before = [0.0], [0]
    for end in range(1, len(units) + 1):
        costs = []
        for start in range(end - 1, -1, -1):
            if reach[end - 1] - reach[start] + units[end - 1].heard.length > WINDOW:
                break
            cost = best[start] + WINDOW_COST + (_cut_cost(units[start].before) if start else 0)
            costs.append((cost, start))
        cost, start = min(costs)
        best.append(cost)
        cut_before.append(start)
    bounds = [len(units)]
    while bounds[-1]:
        bounds.append(cut_before[bounds[-1]])
    groups = [units[a:b] for a, b in pairwise(reversed(bounds))]
    return [
        Chunk(ordinal=n, spans=_spans(group), speech=_speech(group))
        for n, group in enumerate(groups)
    ]


def file_seconds(spans: Sequence[Span], seconds: float, *, end: bool = False) -> float:
    """Convert a time within a chunk to a time of the file; both are in seconds.

    At the exact point where two spans of the chunk meet, the end of a segment (``end``) belongs to
    the earlier span, and a start to the later one.
    """
    rest = max(0, round(seconds * RATE))
    for span in spans:
        if rest < span.length or (end and rest == span.length):
            return (span.start + rest) / RATE
        rest -= span.length
    return spans[-1].end / RATE


def _units(speech: Sequence[Span], level: Levels, length: int) -> list[_Unit]:
    units: list[_Unit] = []
    for n, stretch in enumerate(speech):
        before = stretch.start - (speech[n - 1].end if n else 0)
        after = (speech[n + 1].start if n + 1 < len(speech) else length) - stretch.end
        cuts = [stretch.start, *_quietest_moments(stretch, level), stretch.end]
        for start, end in pairwise(cuts):
            units.append(
                _Unit(
                    Span(start, end),
                    before if start == stretch.start else 0,
                    after if end == stretch.end else 0,
                )
            )
    return units


def _quietest_moments(stretch: Span, level: Levels) -> list[int]:
    """Places to cut a stretch of speech, in samples, at most LONGEST_UNIT apart."""
    cuts: list[int] = []
    start = stretch.start
    while stretch.end - start > LONGEST_UNIT:
        first, last = (start + LONGEST_UNIT // 2) // FRAME, (start + LONGEST_UNIT) // FRAME
        quietest = first + int(level[first:last].argmin())
        start = quietest * FRAME + FRAME // 2
        cuts.append(start)
    return cuts


def _kept(unit: _Unit, following: _Unit) -> int:
    """The length of the pause between two units of a chunk, beyond what each unit keeps itself."""
    return following.heard.start - unit.heard.end if unit.pause_kept else 0


def _cut_cost(pause: int) -> float:
    if pause == 0:
        return SPEECH_COST
    return PAUSE_COST * max(0.0, 1 - pause / GOOD_PAUSE)


def _speech(units: Sequence[_Unit]) -> tuple[Span, ...]:
    spans = [units[0].speech]
    for unit in units[1:]:
        if unit.before:
            spans.append(unit.speech)
        else:
            spans[-1] = Span(spans[-1].start, unit.speech.end)
    return tuple(spans)


def _spans(units: Sequence[_Unit]) -> tuple[Span, ...]:
    spans = [units[0].heard]
    for unit, following in pairwise(units):
        if unit.pause_kept:
            spans[-1] = Span(spans[-1].start, following.heard.end)
        else:
            spans.append(following.heard)
    return tuple(spans)
