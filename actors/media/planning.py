"""What the engine hears in each call: the fewest windows, cut where the silence is longest.

Pure functions. Lengths are in samples at 16 kHz unless their name says otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from actors.media.silence import FRAME, Levels
from storage.records import RATE, Chunk, Span

WINDOW = 30 * RATE
"""What Whisper hears at once; a longer chunk costs a second window."""
LEAD = RATE // 4
TAIL = RATE // 2
"""Silence kept before and after speech: without any, Whisper loses first and last words."""
LONGEST_PAUSE = RATE
"""A longer pause is cut to LEAD and TAIL: Whisper invents text for silence, and it costs time."""
LONGEST_UNIT = 8 * RATE
"""Longer speech without a pause gets places to cut, at its quietest moments."""

WINDOW_COST = 1.0
PAUSE_COST = 0.35
"""Of cutting at a pause of no length, falling to nothing at 0.7 s; against WINDOW_COST this
buys a longer silence with at most a third of a window."""
SPEECH_COST = 1.5
"""Of cutting where nobody pauses."""
GOOD_PAUSE = 0.7 * RATE


@dataclass(frozen=True)
class _Unit:
    """Speech that is not cut, with the pauses around it (0: it was cut at its quietest)."""

    speech: Span
    before: int
    after: int

    @property
    def heard(self) -> Span:
        """The speech with the silence that always stays with it."""
        lead, tail = min(LEAD, self.before // 3), min(TAIL, self.after * 2 // 3)
        return Span(self.speech.start - lead, self.speech.end + tail)

    @property
    def pause_kept(self) -> bool:
        return self.after <= LONGEST_PAUSE


def plan(speech: Sequence[Span], level: Levels, length: int) -> list[Chunk]:
    """Chunks that hold all of ``speech``, in order, none longer than a window.

    ``speech`` is in order and apart; ``level`` in dBFS by 20 ms frame; ``length`` is the whole
    audio's. The cuts minimise the number of windows plus what is lost by cutting in a short
    pause, by dynamic programming over all pauses.
    """
    units = _units(speech, level, length)
    if not units:
        return []
    # reach[n]: the length of units 0 to n heard as one, with the pauses between them.
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
    return [Chunk(ordinal=n, spans=_spans(group)) for n, group in enumerate(groups)]


def file_seconds(spans: Sequence[Span], seconds: float, *, end: bool = False) -> float:
    """A time within a chunk as a time of the file.

    Where two spans meet, an ``end`` belongs to the earlier and a start to the later one.
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
    """Places to cut a stretch, at most LONGEST_UNIT apart."""
    cuts: list[int] = []
    start = stretch.start
    while stretch.end - start > LONGEST_UNIT:
        first, last = (start + LONGEST_UNIT // 2) // FRAME, (start + LONGEST_UNIT) // FRAME
        quietest = first + int(level[first:last].argmin())
        start = quietest * FRAME + FRAME // 2
        cuts.append(start)
    return cuts


def _kept(unit: _Unit, following: _Unit) -> int:
    """What is heard between two units of a chunk, beyond what stays with each."""
    return following.heard.start - unit.heard.end if unit.pause_kept else 0


def _cut_cost(pause: int) -> float:
    if pause == 0:
        return SPEECH_COST
    return PAUSE_COST * max(0.0, 1 - pause / GOOD_PAUSE)


def _spans(units: Sequence[_Unit]) -> tuple[Span, ...]:
    spans = [units[0].heard]
    for unit, following in pairwise(units):
        if unit.pause_kept:
            spans[-1] = Span(spans[-1].start, following.heard.end)
        else:
            spans.append(following.heard)
    return tuple(spans)
