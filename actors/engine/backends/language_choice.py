"""Which language is spoken where: chosen from what a model finds likely. Pure functions."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import msgspec

from actors.engine.protocol import EngineSegment, Window
from storage.records import RATE, Span

CHANGE = 5
"""How many times as likely another language must be for a change to it to be believed. With base
weights, of 158 pieces of 3 s from 46 recordings 3 are heard as another language by more than this,
and of 158 pieces of 6 s and 12 s none."""
UNLIKELY = 1e-6
"""What counts for a language that the model did not name."""
PART_S, FINE_S = 3.0, 1.5
"""Seconds. The language of parts that are at least this long is looked at by itself: to see whether
several are spoken in a window, and, among those that were found so, to see where."""


def likely_languages(
    heard: Sequence[Mapping[str, float]], history: Mapping[str, float]
) -> list[str]:
    """The language of each of these pieces of a recording, in their order.

    ``heard``: the probability of each language, from the piece alone. ``history``: how many seconds
    of the recording have been heard in each language before. A piece keeps the language of those
    around it unless another is `CHANGE` times as likely: the most likely path through a hidden
    Markov model (Viterbi).
    """
    languages = sorted({language for each in heard for language in each})
    change = math.log(CHANGE)
    scores = {language: max(_log_share(history, language), -change) for language in languages}
    before: list[dict[str, str]] = []
    for number, each in enumerate(heard):
        if number:
            best = max(scores, key=scores.__getitem__)
            least = scores[best] - change
            before.append({k: k if score >= least else best for k, score in scores.items()})
            scores = {k: max(score, least) for k, score in scores.items()}
        scores = {k: score + _log(each.get(k, 0)) for k, score in scores.items()}
    path = [max(scores, key=scores.__getitem__)]
    for origin in reversed(before):
        path.append(origin[path[-1]])
    return path[::-1]


def _log(probability: float) -> float:
    return math.log(max(probability, UNLIKELY))


def _log_share(history: Mapping[str, float], language: str) -> float:
    """Of what has been heard before; 0 for each language where that is nothing."""
    total = sum(history.values())
    return _log(history.get(language, 0) / total) if total else 0.0


def together(heard: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """How likely each language is in several pieces that have the same: their geometric mean."""
    languages = {language for each in heard for language in each}
    logs = {language: sum(_log(each.get(language, 0)) for each in heard) for language in languages}
    return {language: math.exp(total / len(heard)) for language, total in logs.items()}


def only(heard: Mapping[str, float], languages: Collection[str]) -> dict[str, float]:
    """What was heard without all other languages; all of it if the model knows none of these."""
    return {name: heard[name] for name in languages if name in heard} or dict(heard)


def parts_of(window: Window, least_s: float) -> list[Span]:
    """The window cut at its longest pauses into parts of at least this length; samples of it.

    Somebody who speaks another language mostly begins after a pause.
    """
    return list(_cut(whole(window), list(_pauses(window)), round(least_s * RATE)))


def whole(window: Window) -> Span:
    """All samples of the window."""
    return Span(0, sum(span.length for span in window.spans))


def only_part(window: Window, part: Span) -> Window:
    """The window without its other parts; ``part``: in samples of the window."""
    spans, at = [], 0
    for span in window.spans:
        start, end = max(part.start - at, 0), min(part.end - at, span.length)
        if start < end:
            spans.append(Span(span.start + start, span.start + end))
        at += span.length
    return msgspec.structs.replace(window, spans=tuple(spans))


def joined(parts: Sequence[tuple[Span, str]]) -> list[tuple[Span, str]]:
    """Parts with their languages; neighbours in the same language become one."""
    runs = [list(run) for _, run in groupby(parts, key=itemgetter(1))]
    return [(Span(run[0][0].start, run[-1][0].end), run[0][1]) for run in runs]


def later(segment: EngineSegment, secs: float) -> EngineSegment:
    """The segment of a part that begins so many seconds after the window."""
    words = tuple(
        msgspec.structs.replace(word, start=word.start + secs, end=word.end + secs)
        for word in segment.words
    )
    return msgspec.structs.replace(
        segment, start=segment.start + secs, end=segment.end + secs, words=words
    )


def _cut(part: Span, pauses: Sequence[tuple[int, int]], least: int) -> Iterator[Span]:
    """``pauses``: where each is, in samples of the window, and how long."""
    fit = [p for p in pauses if part.start + least <= p[0] <= part.end - least]
    if not fit:
        yield part
        return
    at, _ = max(fit, key=lambda pause: pause[1])
    yield from _cut(Span(part.start, at), fit, least)
    yield from _cut(Span(at, part.end), fit, least)


def _pauses(window: Window) -> Iterator[tuple[int, int]]:
    for before, after in zip(window.speech, window.speech[1:], strict=False):
        middle = (_place(window, before.end) + _place(window, after.start)) // 2
        yield middle, after.start - before.end


def _place(window: Window, sample: int) -> int:
    """Where a sample of the file is in the window, or the next that it has."""
    at = 0
    for span in window.spans:
        if sample < span.end:
            return at + max(0, sample - span.start)
        at += span.length
    return at
