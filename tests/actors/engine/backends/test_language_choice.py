"""Which language is spoken where."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.engine.backends.language_choice import (
    CHANGE,
    PART_S,
    joined,
    likely_languages,
    only_part,
    parts_of,
    together,
    whole,
)
from actors.engine.protocol import Window
from storage.records import RATE, Span
from tests.actors.engine.backends.windows import window


def seconds(parts: list[Span]) -> list[tuple[float, float]]:
    return [(part.start / RATE, part.end / RATE) for part in parts]


EN, DE = {"en": 0.98, "de": 0.01}, {"en": 0.01, "de": 0.98}
PERHAPS_DE = {"en": 0.3, "de": 0.6}


def test_a_recording_in_two_languages_is_heard_in_both() -> None:
    assert likely_languages([EN, EN, DE, DE, EN], {}) == ["en", "en", "de", "de", "en"]


def test_a_doubtful_piece_keeps_the_language_of_those_around_it() -> None:
    assert likely_languages([EN, PERHAPS_DE, EN], {}) == ["en"] * 3
    assert likely_languages([PERHAPS_DE, EN, EN], {}) == ["en"] * 3
    assert likely_languages([EN, EN, PERHAPS_DE], {}) == ["en"] * 3


def test_a_doubtful_piece_keeps_the_language_that_was_heard_before_it() -> None:
    assert likely_languages([PERHAPS_DE], {}) == ["de"]
    assert likely_languages([PERHAPS_DE], {"en": 60.0}) == ["en"]
    assert likely_languages([DE], {"en": 60.0}) == ["de"]


def test_where_two_languages_were_heard_before_the_likelier_one_is_taken() -> None:
    assert likely_languages([PERHAPS_DE], {"en": 60.0, "de": 55.0}) == ["de"]


PROBABILITIES = st.dictionaries(st.sampled_from(["en", "de", "fr"]), st.floats(0, 1), min_size=1)


@given(st.lists(PROBABILITIES, min_size=1, max_size=8), PROBABILITIES)
def test_each_piece_gets_a_language_that_the_model_named(
    heard: list[dict[str, float]], history: dict[str, float]
) -> None:
    found = likely_languages(heard, history)
    assert len(found) == len(heard)
    assert set(found) <= {language for each in heard for language in each}


@given(st.lists(PROBABILITIES, min_size=2, max_size=6), st.data())
def test_no_other_path_is_likelier(heard: list[dict[str, float]], data: st.DataObject) -> None:
    def score(path: list[str]) -> float:
        product = 1.0
        for n, language in enumerate(path):
            product *= max(heard[n].get(language, 0), 1e-6)
            product /= CHANGE if n and path[n - 1] != language else 1
        return product

    languages = sorted({language for each in heard for language in each})
    other = data.draw(st.tuples(*[st.sampled_from(languages) for _ in heard]).map(list))
    assert score(likely_languages(heard, {})) >= score(other) * (1 - 1e-9)


def test_several_pieces_with_the_same_language_are_as_likely_as_their_geometric_mean() -> None:
    found = together([{"en": 0.9, "de": 0.1}, {"en": 0.4, "de": 0.4, "fr": 0.2}])
    assert found["en"] == pytest.approx(0.6)
    assert found["de"] == pytest.approx(0.2)
    assert found["fr"] < 0.001


def test_neighbours_in_the_same_language_are_one_part() -> None:
    parts = [(Span(0, 2), "en"), (Span(2, 5), "en"), (Span(5, 6), "de")]
    assert joined(parts) == [(Span(0, 5), "en"), (Span(5, 6), "de")]


def test_a_window_is_cut_at_its_longest_pauses() -> None:
    speech = [(0.0, 7.0), (7.3, 9.0), (10.0, 20.0)]
    assert seconds(parts_of(window([(0.0, 20.0)], speech), 5.0)) == [(0.0, 9.5), (9.5, 20.0)]


def test_no_part_is_too_short_to_tell_its_language() -> None:
    speech = [(0.0, 3.0), (4.0, 12.0)]
    assert seconds(parts_of(window([(0.0, 12.0)], speech), 5.0)) == [(0.0, 12.0)]


def test_a_pause_that_was_cut_out_counts_with_its_length_in_the_file() -> None:
    spans = [(0.0, 8.0), (60.0, 68.0)]
    speech = [(0.0, 5.5), (6.5, 8.0), (60.0, 68.0)]
    assert seconds(parts_of(window(spans, speech), 5.0)) == [(0.0, 8.0), (8.0, 16.0)]


@st.composite
def windows(draw: st.DrawFn) -> Window:
    edges = sorted(draw(st.sets(st.integers(0, 40 * RATE), min_size=2, max_size=12)))
    spans = tuple(Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False))
    inner = sorted(draw(st.sets(st.integers(edges[0], edges[-1]), max_size=12)))
    speech = tuple(Span(a, b) for a, b in zip(inner[::2], inner[1::2], strict=False))
    return Window(1, "a.pcm", spans, speech, None, {}, False, None, False)


@given(windows())
def test_parts_are_the_whole_window_and_none_is_short(window: Window) -> None:
    parts = parts_of(window, PART_S)
    assert parts[0].start == 0
    assert parts[-1].end == whole(window).end
    assert all(a.end == b.start for a, b in pairwise(parts))
    if len(parts) > 1:
        assert all(part.length >= PART_S * RATE for part in parts)


@given(windows())
def test_the_parts_windows_have_the_samples_of_the_window(window: Window) -> None:
    samples = [n for span in window.spans for n in (span.start, span.end)]
    cut = [only_part(window, part) for part in parts_of(window, PART_S)]
    assert sum(whole(each).length for each in cut) == whole(window).length
    assert cut[0].spans[0].start == samples[0]
    assert cut[-1].spans[-1].end == samples[-1]
