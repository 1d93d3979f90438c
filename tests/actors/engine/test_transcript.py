import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.engine.protocol import EngineSegment, EngineWord
from actors.engine.transcript import segments_of
from storage.records import RATE, Span

SPANS = (Span(10 * RATE, 12 * RATE), Span(50 * RATE, 55 * RATE))


def heard(text: str, start: float, end: float, *words: tuple[str, float, float]) -> EngineSegment:
    return EngineSegment(text, start, end, "en", tuple(EngineWord(*word, 0.9) for word in words))


def told(*segments: EngineSegment) -> list[tuple[str, float, float]]:
    return [(s.text, s.start, s.end) for s in segments_of(segments, SPANS, SPANS)[0]]


def test_what_was_heard_in_a_chunk_is_told_in_the_time_of_the_file() -> None:
    (first, second), _ = segments_of(
        [heard("one", 0.5, 2.0, ("one", 0.5, 2.0)), heard("two", 2.0, 3.0)], SPANS, ()
    )
    assert (first.start, first.end) == (10.5, 12.0)
    assert (first.words[0].start, first.words[0].end) == (10.5, 12.0)
    assert (second.start, second.end, second.index) == (50.0, 51.0, 1)


def test_empty_segments_leave_no_gap_in_the_indices() -> None:
    segments, _ = segments_of([heard(text, 0, 1) for text in ("a", "", "b")], SPANS, SPANS)
    assert [(s.index, s.text) for s in segments] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    "tag", ["[Music]", "(applause)", "*laughs*", "♪ ♪", "[BLANK_AUDIO]", "..."]
)
def test_what_describes_a_sound_is_left_out_with_its_reason(tag: str) -> None:
    (said,), (left,) = segments_of([heard("Hello.", 0, 1), heard(tag, 1, 2)], SPANS, SPANS)
    assert (said.text, left.text, left.reason) == ("Hello.", tag, "it describes a sound")


def test_what_the_engine_takes_for_silence_is_left_out_with_its_reason() -> None:
    unsure = EngineSegment("Thank you.", 2.5, 3.0, "en", (), is_silence=True)
    (said,), (left,) = segments_of([heard("Hello.", 0, 1), unsure], SPANS, SPANS)
    assert (said.text, left.text, left.start, left.end) == ("Hello.", "Thank you.", 50.5, 51.0)
    assert left.reason == "the model is unsure of it, and hears no speech there"


@pytest.mark.parametrize("text", ["Yes (no).", "[He] said so.", "2 * 3 * 4", "- Well"])
def test_what_has_words_of_its_own_stays(text: str) -> None:
    assert [text for text, *_ in told(heard(text, 0, 1))] == [text]


def test_a_segment_across_a_pause_that_was_cut_out_becomes_two() -> None:
    segment = heard(
        "Yes, no, well.", 0.0, 5.0, ("Yes,", 0.0, 1.0), ("no,", 1.0, 2.2), ("well.", 3.0, 4.0)
    )
    (first, second), _ = segments_of([segment], SPANS, SPANS)
    assert (first.text, first.start, first.end) == ("Yes, no,", 10.0, 12.0)
    assert (second.text, second.start) == ("well.", 50.0)
    assert [word.text for word in first.words] == ["Yes,", "no,"]
    assert max(word.end for word in first.words) <= 12.0
    assert [(word.text, word.start) for word in second.words] == [("well.", 51.0)]


def test_a_segment_across_a_pause_is_cut_to_the_side_that_has_its_words() -> None:
    assert told(heard("Hi.", 0.2, 5.0, ("Hi.", 2.5, 3.0))) == [("Hi.", 50.0, 53.0)]
    assert told(heard("Hi.", 0.2, 5.0, ("Hi.", 0.2, 1.0))) == [("Hi.", 10.0, 12.0)]


def test_a_word_that_begins_in_the_silence_before_a_pause_belongs_behind_it() -> None:
    segment = heard("Hi there.", 1.8, 5.0, ("Hi", 1.8, 1.9), ("there.", 3.0, 4.0))
    speech = (Span(10 * RATE, int(11.5 * RATE)), Span(int(50.2 * RATE), 55 * RATE))
    (found,), _ = segments_of([segment], SPANS, speech)
    assert (found.text, found.start) == ("Hi there.", 50.2)


def test_without_words_the_longer_side_has_the_text() -> None:
    assert told(heard("Hi.", 1.5, 5.0)) == [("Hi.", 50.0, 53.0)]


def test_text_without_spaces_is_cut_between_its_words() -> None:
    segment = heard("你好再见", 0.0, 5.0, ("你好", 0.0, 1.5), ("再见", 3.0, 4.0))
    assert [text for text, *_ in told(segment)] == ["你好", "再见"]


@given(
    st.lists(
        st.tuples(st.floats(0, 7), st.floats(0, 7), st.lists(st.floats(0, 7), max_size=4)),
        max_size=6,
    )
)
def test_every_word_is_told_and_no_segment_crosses_the_pause(
    times: list[tuple[float, float, list[float]]],
) -> None:
    segments = [
        heard(
            " ".join(f"w{n}_{k}" for k in range(len(starts))) or f"s{n}",
            min(start, end),
            max(start, end),
            *((f"w{n}_{k}", at, at + 0.1) for k, at in enumerate(sorted(starts))),
        )
        for n, (start, end, starts) in enumerate(sorted(times))
    ]
    found, _ = segments_of(segments, SPANS, ())
    assert " ".join(s.text for s in found) == " ".join(s.text for s in segments)
    for segment in found:
        assert segment.start <= segment.end
        assert segment.end <= 12.0 or segment.start >= 50.0


def test_a_segment_says_what_speaks_for_it() -> None:
    doubtful = EngineSegment("no no no no", 0.0, 4.0, "sv", (), False, -1.5, 0.25)
    (segment,), _ = segments_of([doubtful], SPANS, [Span(11 * RATE, 12 * RATE)])
    assert segment.language == "sv"
    assert segment.evidence is not None
    assert segment.evidence.avg_logprob == -1.5
    assert segment.evidence.no_speech_prob == 0.25
    assert segment.evidence.speech_share == pytest.approx(1 / (segment.end - segment.start))
