from hypothesis import given
from hypothesis import strategies as st

from actors.engine.inference import in_file_time
from actors.engine.protocol import EngineSegment, EngineWord
from storage.records import RATE, Span

SPANS = (Span(10 * RATE, 12 * RATE), Span(50 * RATE, 55 * RATE))


def test_what_was_heard_in_a_chunk_is_told_in_the_time_of_the_file() -> None:
    first, second = in_file_time(
        (
            EngineSegment("one", 0.5, 2.0, (EngineWord("one", 0.5, 2.0, 0.9),)),
            EngineSegment("two", 2.0, 3.0, ()),
        ),
        SPANS,
    )
    assert (first.start, first.end) == (10.5, 12.0)
    assert (first.words[0].start, first.words[0].end) == (10.5, 12.0)
    assert (second.start, second.end, second.index) == (50.0, 51.0, 1)


def test_empty_segments_leave_no_gap_in_the_indices() -> None:
    heard = tuple(EngineSegment(text, 0, 1, ()) for text in ("a", "", "b"))
    assert [(s.index, s.text) for s in in_file_time(heard, SPANS)] == [(0, "a"), (1, "b")]


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0, 40)), max_size=10))
def test_no_segment_runs_backwards_or_leaves_its_spans(times: list[tuple[float, float]]) -> None:
    heard = tuple(EngineSegment(f"s{n}", min(t), max(t), ()) for n, t in enumerate(times))
    for segment in in_file_time(heard, SPANS):
        assert 10 <= segment.start <= segment.end <= 55
