from hypothesis import given
from hypothesis import strategies as st

from actors.engine.edges import MAX_SHIFT_S, move_edges_to_speech
from storage.records import RATE, Segment, Span, Word


def heard(*edges: tuple[float, float]) -> list[Segment]:
    return [Segment(index=0, text="text", start=start, end=end) for start, end in edges]


def moved(segments: list[Segment], *speech: tuple[float, float]) -> list[tuple[float, float]]:
    spans = [Span(round(start * RATE), round(end * RATE)) for start, end in speech]
    return [(segment.start, segment.end) for segment in move_edges_to_speech(segments, spans)]


def test_edges_in_silence_move_to_the_speech_between_them() -> None:
    assert moved(heard((0, 5)), (1, 2), (3, 4)) == [(1, 4)]


def test_a_missed_first_syllable_and_a_missed_end_are_taken_in() -> None:
    assert moved(heard((1.5, 3.5)), (1, 4)) == [(1, 4)]


def test_an_edge_far_inside_speech_stays() -> None:
    assert moved(heard((3, 5)), (1, 9)) == [(3, 5)]


def test_segments_that_follow_one_another_without_a_pause_stay_apart() -> None:
    assert moved(heard((1, 2), (2.2, 3)), (1, 3)) == [(1, 2), (2.2, 3)]


def test_where_no_speech_was_found_nothing_moves() -> None:
    assert moved(heard((1, 2), (2, 3))) == [(1, 2), (2, 3)]


def test_a_segment_in_silence_moves_to_the_speech_that_it_missed() -> None:
    assert moved(heard((2.3, 2.4)), (1.5, 2), (9, 10)) == [(1.5, 2)]
    assert moved(heard((0, 1)), (1.5, 9)) == [(1.5, 1.5 + 1 + MAX_SHIFT_S)]
    assert moved(heard((3, 4)), (1, 2)) == [(3, 4)]


def test_a_segment_in_silence_takes_nothing_from_its_neighbours() -> None:
    assert moved(heard((1, 2), (2.1, 2.3)), (1, 2)) == [(1, 2), (2.1, 2.3)]


def test_the_first_and_the_last_word_move_with_the_edges() -> None:
    words = (Word("a", 0.0, 1.5, 1), Word("b", 1.5, 5.0, 1))
    (segment,) = move_edges_to_speech(
        [Segment(index=0, text="a b", start=0.0, end=5.0, words=words)], [Span(RATE, 4 * RATE)]
    )
    assert segment.words == (Word("a", 1.0, 1.5, 1), Word("b", 1.5, 4.0, 1))


@st.composite
def times(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Stretches in order and apart."""
    edges = sorted(draw(st.lists(st.integers(0, 1500), unique=True, max_size=20)))
    return [(a / 50, b / 50) for a, b in zip(edges[::2], edges[1::2], strict=False)]


@given(times(), times())
def test_no_segment_is_turned_round_and_none_moves_into_another(
    segments: list[tuple[float, float]], speech: list[tuple[float, float]]
) -> None:
    found = moved(heard(*segments), *speech)
    edges = [edge for segment in found for edge in segment]
    assert edges == sorted(edges)
    for (start, end), (began, ended) in zip(segments, found, strict=True):
        furthest = MAX_SHIFT_S + end - start + MAX_SHIFT_S + 1e-9
        assert start - furthest <= began
        assert ended <= end + furthest
