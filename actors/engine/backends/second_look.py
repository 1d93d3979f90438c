"""What of a window's speech no text stands for. Pure functions.

Whisper sometimes ends its text before the speech ends, most of all where two sentences that are far
from each other in the recording stand side by side in a window, or leaves a sentence out.
"""

from collections.abc import Iterator, Sequence

from actors.engine.protocol import EngineSegment, Window
from storage.records import RATE, Span

LEAST_S = 1.0
"""Seconds of speech in one stretch that are worth another look. Less is mostly breath, or the edge
of a word."""
REACH_S = 0.5
"""How far beyond a segment's times its words may be."""
PAUSE_S = 1.0
"""Speech on both sides of a shorter pause is one stretch."""
MARGIN_S = 0.2
"""Of sound that is heard with a stretch, before it and after it."""


def unheard(window: Window, segments: Sequence[EngineSegment]) -> list[Span]:
    """The stretches of the window, in its samples, in which somebody speaks and nothing is written.

    None if there are no segments: then the model has heard all of it and found nothing.
    """
    if not segments:
        return []
    length = sum(span.length for span in window.spans)
    covered = [
        (round((s.start - REACH_S) * RATE), round((s.end + REACH_S) * RATE)) for s in segments
    ]
    stretches: list[list[Span]] = []
    for piece in _without(_placed(window), covered):
        if stretches and not _between(stretches[-1][-1].end, piece.start, covered):
            stretches[-1].append(piece)
        else:
            stretches.append([piece])
    margin = round(MARGIN_S * RATE)
    return [
        Span(max(0, pieces[0].start - margin), min(length, pieces[-1].end + margin))
        for pieces in stretches
        if sum(piece.length for piece in pieces) >= LEAST_S * RATE
    ]


def _placed(window: Window) -> Iterator[Span]:
    """The speech, in samples of the window."""
    at = 0
    for span in window.spans:
        for spoken in window.speech:
            start, end = max(span.start, spoken.start), min(span.end, spoken.end)
            if start < end:
                yield Span(at + start - span.start, at + end - span.start)
        at += span.length


def _without(spans: Iterator[Span], covered: Sequence[tuple[int, int]]) -> Iterator[Span]:
    for span in spans:
        pieces = [(span.start, span.end)]
        for start, end in covered:
            pieces = [
                part
                for a, b in pieces
                for part in ((a, min(b, start)), (max(a, end), b))
                if part[0] < part[1]
            ]
        yield from (Span(a, b) for a, b in pieces)


def _between(before: int, after: int, covered: Sequence[tuple[int, int]]) -> bool:
    """Whether something separates two pieces of speech: a segment, or a long pause."""
    return after - before > PAUSE_S * RATE or any(
        before <= start and end <= after for start, end in covered
    )
