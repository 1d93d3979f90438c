from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.media.planning import LEAD, LONGEST_PAUSE, TAIL, WINDOW, file_seconds, plan
from actors.media.silence import FRAME, Levels
from storage.records import RATE, Chunk, Span

SECOND = RATE


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[Span], Levels, int]:
    """Speech and pauses of any length, on the grid of 20 ms frames."""
    at, speech = draw(st.integers(0, 500)), []
    for _ in range(draw(st.integers(0, 25))):
        length = draw(st.integers(3, 250) | st.integers(250, 5000))
        speech.append(Span(at * FRAME, (at + length) * FRAME))
        at += length + draw(st.integers(8, 60) | st.integers(60, 4000))
    length = at * FRAME + draw(st.integers(0, FRAME - 1))
    seed = draw(st.integers(0, 99))
    return speech, np.random.default_rng(seed).uniform(-60, 0, at).astype(np.float32), length


def flat(length: int) -> Levels:
    return np.full(length // FRAME, -20, np.float32)


def samples(chunk: Chunk) -> int:
    return sum(span.length for span in chunk.spans)


@given(recordings())
def test_chunks_hold_all_speech_and_never_overlap_or_exceed_the_window(
    recording: tuple[list[Span], Levels, int],
) -> None:
    speech, level, length = recording
    chunks = plan(speech, level, length)
    spans = [span for chunk in chunks for span in chunk.spans]
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(0 < samples(chunk) <= WINDOW for chunk in chunks)
    assert all(0 <= span.start < span.end <= length for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    heard = np.zeros(length, bool)
    for span in spans:
        heard[span.start : span.end] = True
    assert all(heard[stretch.start : stretch.end].all() for stretch in speech)


@given(recordings())
def test_long_silence_never_reaches_the_engine(recording: tuple[list[Span], Levels, int]) -> None:
    speech, level, length = recording
    spoken = np.zeros(length, bool)
    for stretch in speech:
        spoken[stretch.start : stretch.end] = True
    for chunk in plan(speech, level, length):
        for span in chunk.spans:
            edges = np.flatnonzero(np.diff(spoken[span.start : span.end]))
            silences = np.diff(edges)[~spoken[span.start + 1 + edges[:-1]]] if len(edges) else []
            assert all(silence <= LONGEST_PAUSE for silence in silences)


@given(recordings(), st.floats(0, 30), st.booleans())
def test_times_come_back_within_the_spans(
    recording: tuple[list[Span], Levels, int], seconds: float, end: bool
) -> None:
    for chunk in plan(*recording):
        at = round(file_seconds(chunk.spans, seconds, end=end) * RATE)
        assert any(span.start <= at <= span.end for span in chunk.spans)


def test_silence_is_no_chunk() -> None:
    assert plan([], flat(60 * SECOND), 60 * SECOND) == []


def test_short_speech_is_one_chunk_with_a_little_silence_around() -> None:
    (chunk,) = plan([Span(5 * SECOND, 8 * SECOND)], flat(60 * SECOND), 60 * SECOND)
    assert chunk.spans == (Span(5 * SECOND - LEAD, 8 * SECOND + TAIL),)


def test_the_longest_pause_is_cut_and_not_the_last() -> None:
    # Pauses of 0.3 s all along, one of 0.9 s at 22 s, none that must be cut before 30 s.
    bounds = [0.0, 5, 10, 15, 22, 26, 29, 34, 40]
    gaps = [0.3, 0.3, 0.3, 0.9, 0.3, 0.3, 0.3]
    speech, at = [], 0.0
    for (start, end), gap in zip(pairwise(bounds), [*gaps, 0], strict=True):
        at = end - gap
        speech.append(Span(round(start * SECOND), round(at * SECOND)))
    first, second = plan(speech, flat(40 * SECOND), 40 * SECOND)
    assert first.spans[-1].end <= 22 * SECOND <= second.spans[0].start + LEAD


def test_where_nobody_pauses_the_quietest_moment_is_cut() -> None:
    level = flat(40 * SECOND)
    level[int(15 / 0.02)] = -45
    chunks = plan([Span(0, 40 * SECOND)], level, 40 * SECOND)
    assert len(chunks) == 2
    cuts = [chunk.spans[-1].end for chunk in chunks[:-1]]
    assert all(0 < cut < 40 * SECOND for cut in cuts)
    assert chunks[0].spans[-1].end == chunks[1].spans[0].start


def test_no_more_windows_than_needed() -> None:
    # An hour of sentences of 4.7 s and pauses of 0.3 s: 120 windows would hold it without a rest.
    speech = [Span(n * 5 * SECOND, n * 5 * SECOND + int(4.7 * SECOND)) for n in range(720)]
    chunks = plan(speech, flat(3600 * SECOND), 3600 * SECOND)
    assert len(chunks) <= 121


def test_a_start_at_a_seam_belongs_to_what_follows_and_an_end_to_what_came_before() -> None:
    spans = (Span(0, SECOND), Span(10 * SECOND, 12 * SECOND))
    assert file_seconds(spans, 1.0) == 10.0
    assert file_seconds(spans, 1.0, end=True) == 1.0
    assert file_seconds(spans, 1.5) == 10.5
    assert file_seconds(spans, 99.0) == 12.0
