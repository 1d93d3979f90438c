"""Which speech of a window has no text."""

from hypothesis import given
from hypothesis import strategies as st

from actors.engine.backends.second_look import LEAST_S, MARGIN_S, REACH_S, unheard
from actors.engine.protocol import EngineSegment
from storage.records import RATE
from tests.actors.engine.backends.windows import Times, window


def texts(*times: tuple[float, float]) -> list[EngineSegment]:
    return [EngineSegment("…", start, end, "en", ()) for start, end in times]


def missing(spans: Times, speech: Times, *times: tuple[float, float]) -> list[tuple[float, float]]:
    """What is unheard, in seconds of the window."""
    found = unheard(window(spans, speech), texts(*times))
    return [(round(each.start / RATE, 2), round(each.end / RATE, 2)) for each in found]


def test_a_text_that_ends_before_the_speech_leaves_the_rest() -> None:
    assert missing([(0, 20)], [(0, 5), (7, 19)], (0, 5)) == [(6.8, 19.2)]


def test_a_second_sentence_from_far_away_stands_where_it_is_in_the_window() -> None:
    found = missing([(0, 2.3), (41.6, 44.2)], [(0, 1.8), (41.9, 43.7)], (0, 1.64))
    assert found == [(2.4, 4.6)]


def test_a_sentence_that_was_left_out_between_two_others_is_found() -> None:
    found = missing([(0, 30)], [(0, 5), (8, 12), (15, 20)], (0, 5), (15, 20))
    assert found == [(7.8, 12.2)]


def test_speech_that_has_its_text_is_left_alone() -> None:
    assert missing([(0, 10)], [(0.2, 9.6)], (0, 4), (4.2, 9.2)) == []


def test_a_word_at_an_edge_is_not_worth_another_look() -> None:
    assert missing([(0, 10)], [(0, 4), (5.2, 6.1)], (0, 4)) == []


def test_words_with_short_pauses_between_them_count_together() -> None:
    names = [(6.0, 6.6), (7.0, 7.6), (8.0, 8.6)]
    assert missing([(0, 10)], [(0, 4), *names], (0, 4)) == [(5.8, 8.8)]


def test_a_window_without_any_text_has_been_heard() -> None:
    assert missing([(0, 10)], [(0, 10)]) == []


times = st.lists(
    st.tuples(st.integers(0, 280), st.integers(1, 60)).map(lambda t: (t[0] / 10, sum(t) / 10)),
    max_size=8,
)


@given(speech=times, heard=times)
def test_what_is_unheard_is_speech_and_under_no_text(speech: Times, heard: Times) -> None:
    ordered = sorted((a, min(b, 30.0)) for a, b in speech)
    apart = [t for n, t in enumerate(ordered) if all(t[0] > u[1] for u in ordered[:n])]
    found = missing([(0, 30)], apart, *heard)
    for start, end in found:
        assert 0 <= start < end <= 30
        assert end - start >= LEAST_S
        spoken = sum(max(0, min(b, end) - max(a, start)) for a, b in apart)
        assert spoken >= LEAST_S - 0.01
        middle = [t for t in heard if start + MARGIN_S < t[0] - REACH_S < end - MARGIN_S]
        assert not any(a - REACH_S < start + MARGIN_S + 0.05 < b + REACH_S for a, b in heard)
        assert all(
            not (start + MARGIN_S < a - REACH_S and b + REACH_S < end - MARGIN_S) for a, b in middle
        )
