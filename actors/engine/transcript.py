"""Makes the segments of a transcript from what the engine gave for a chunk. Pure functions."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

from actors.engine.edges import move_edges_to_speech
from actors.engine.evidence import SILENCE, compression_ratio, speech_share, without_sounds
from actors.engine.protocol import EngineSegment, EngineWord
from actors.engine.repetition import without_loops
from actors.media.planning import file_seconds
from storage.records import RATE, Evidence, LeftOut, Segment, Span, Word


def segments_of(
    heard: Sequence[EngineSegment], spans: Sequence[Span], speech: Sequence[Span]
) -> tuple[list[Segment], list[LeftOut]]:
    """The segments of a chunk, indexed from 0, and what is left out; times in seconds of the file.

    ``spans``: the audio that the engine heard, joined to one piece; ``speech``: where somebody
    speaks in it. A segment that goes across a pause that was cut out
    becomes one on each side, or is cut to the side that has its words. Loops are removed.
    """
    unsure = [
        LeftOut(
            start=file_seconds(spans, each.start),
            end=file_seconds(spans, each.end, end=True),
            text=each.text,
            reason=SILENCE,
        )
        for each in heard
        if each.is_silence and each.text
    ]
    joins = list(_joins(spans, speech))
    spoken = [each for each in heard if not each.is_silence]
    pieces = [piece for each in spoken for piece in _cut_at_pauses(each, joins) if piece.text]
    segments = [
        Segment(
            index=n,
            start=(start := file_seconds(spans, piece.start)),
            end=max(start, file_seconds(spans, piece.end, end=True)),
            text=piece.text,
            words=tuple(_word(spans, *msgspec.structs.astuple(word)) for word in piece.words),
            language=piece.language,
        )
        for n, piece in enumerate(pieces)
    ]
    moved = list(move_edges_to_speech(segments, speech))
    kept, left_out = without_sounds(without_loops(moved, speech))
    indexed = [
        msgspec.structs.replace(each, index=n, evidence=_evidence(pieces[each.index], each, speech))
        for n, each in enumerate(kept)
    ]
    return indexed, sorted(unsure + left_out, key=lambda each: each.start)


def _evidence(heard: EngineSegment, segment: Segment, speech: Sequence[Span]) -> Evidence:
    """``segment`` is what has become of ``heard``: its edges may have moved."""
    return Evidence(
        avg_logprob=heard.avg_logprob,
        no_speech_prob=heard.no_speech_prob,
        compression_ratio=compression_ratio(heard.text),
        speech_share=speech_share(segment, speech),
    )


def _joins(spans: Sequence[Span], speech: Sequence[Span]) -> Iterator[tuple[float, float]]:
    """Where spans were joined, and where the speech before that ends: in seconds of the window."""
    ends = accumulate(span.length for span in spans)
    for span, end in zip(spans[:-1], ends, strict=False):
        spoken = max((s.end for s in speech if span.start < s.end <= span.end), default=span.end)
        yield end / RATE, (end - (span.end - spoken)) / RATE


def _cut_at_pauses(
    segment: EngineSegment, joins: Sequence[tuple[float, float]]
) -> Iterator[EngineSegment]:
    """The segment, cut where spans were joined; times are in seconds of the window.

    A word that begins before the end of the speech before a join belongs there. Whisper's times of
    words are wrong by some tenths of a second, mostly in pauses.
    """
    rest = segment
    for join, speech_end in joins:
        if not rest.start < join < rest.end:
            continue
        count = sum(word.start < speech_end for word in rest.words)
        before, after = rest.words[:count], rest.words[count:]
        at = _length_of(rest.text, before) if after else len(rest.text)
        first = msgspec.structs.replace(
            rest, text=rest.text[:at].strip(), end=join, words=_within(before, rest.start, join)
        )
        second = msgspec.structs.replace(
            rest, text=rest.text[at:].strip(), start=join, words=_within(after, join, rest.end)
        )
        if not rest.words:
            # Nobody knows where its text was said: the longer side has it.
            longer = first if join - rest.start >= rest.end - join else second
            rest = msgspec.structs.replace(longer, text=rest.text)
        elif before and after:
            yield first
            rest = second
        else:
            rest = first if before else second
    yield rest


def _length_of(text: str, words: Sequence[EngineWord]) -> int:
    """How much of ``text`` these words take, which it begins with."""
    at = 0
    for word in words:
        found = text.find(word.text, at)
        at = at if found < 0 else found + len(word.text)
    return at


def _within(words: Sequence[EngineWord], start: float, end: float) -> tuple[EngineWord, ...]:
    return tuple(
        EngineWord(
            word.text,
            min(max(word.start, start), end),
            min(max(word.end, start), end),
            word.probability,
        )
        for word in words
    )


def _word(spans: Sequence[Span], text: str, start: float, end: float, p: float) -> Word:
    begins = file_seconds(spans, start)
    return Word(text, begins, max(begins, file_seconds(spans, end, end=True)), round(p, 4))
