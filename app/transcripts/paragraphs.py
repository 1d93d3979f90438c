"""Where a reader would begin a new paragraph. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage import scripts
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
    return whole and ends_sentence(before.text)


def ends_sentence(text: str) -> bool:
    return text.rstrip().endswith(_ENDS)


@dataclass(frozen=True)
class Paragraph:
    speaker: str | None
    """Whose turn begins with it; None where somebody goes on, or nobody is known."""
    start: float
    text: str


def paragraphs(
    segments: Sequence[Segment], speakers: Sequence[str | None], *, joined: bool = True
) -> list[Paragraph]:
    """The transcript in paragraphs; without ``joined``, each segment is one. Those without text are
    left out."""
    made: list[Paragraph] = []
    before: Segment | None = None
    whose: str | None = None
    for segment, speaker in zip(segments, speakers, strict=True):
        text = " ".join(segment.text.split())
        if not text:
            continue
        if not joined or begins_paragraph(segment, speaker, before, whose):
            made.append(Paragraph(speaker if speaker != whose else None, segment.start, text))
        else:
            last = made[-1]
            made[-1] = Paragraph(last.speaker, last.start, scripts.joined(last.text, text))
        before, whose = segment, speaker
    return made
