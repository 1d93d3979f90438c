"""Where a reader would begin a new paragraph. Pure functions."""

from collections.abc import Sequence

from storage.records import Segment

LONG_PAUSE_S = 2.0
"""A pause that ends a paragraph."""
MEASURE_S = 40.0
"""Of speech without such a pause, a paragraph has about so much."""
_ENDS = tuple('.!?…。！？؟।"”»』」')  # of all scripts


def begins_paragraph(
    segment: Segment, speaker: str | None, before: Segment | None, before_speaker: str | None
) -> bool:
    """Whether a segment does, judged by the one before it alone, so that an edit changes nothing
    further down."""
    if before is None or speaker != before_speaker:
        return True
    if segment.start - before.end >= LONG_PAUSE_S:
        return True
    whole = segment.start // MEASURE_S != before.start // MEASURE_S
    return whole and before.text.rstrip().endswith(_ENDS)


def paragraphs(
    segments: Sequence[Segment], speakers: Sequence[str | None]
) -> list[tuple[str | None, list[Segment]]]:
    """Each paragraph's speaker and segments; segments without text are left out."""
    made: list[tuple[str | None, list[Segment]]] = []
    before: Segment | None = None
    for segment, speaker in zip(segments, speakers, strict=True):
        if not segment.text.strip():
            continue
        if begins_paragraph(segment, speaker, before, made[-1][0] if made else None):
            made.append((speaker, []))
        made[-1][1].append(segment)
        before = segment
    return made
