from hypothesis import given
from hypothesis import strategies as st

from actors.engine.repetition import without_loops
from storage.records import Segment, Word


def said(*texts: str) -> list[Segment]:
    return [
        Segment(
            index=n, start=float(n), end=n + 0.9, text=text,
            words=tuple(Word(w, float(n), n + 0.9, 0.5) for w in text.split()),
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip


def test_ordinary_speech_is_left_alone() -> None:
    segments = said("No, no, no.", "I said no.", "One two one two.", "Ha ha ha ha ha!")
    assert without_loops(segments) == segments


def test_a_phrase_said_over_and_over_is_kept_once() -> None:
    (segment,) = without_loops(said("Thanks. " + "Bye bye. " * 20))
    assert segment.text.split() == ["Thanks.", "Bye", "bye."]
    assert [word.text for word in segment.words] == ["Thanks.", "Bye", "bye."]
    assert segment.repair == "a loop of 38 words removed"


def test_a_segment_that_comes_back_and_back_becomes_one() -> None:
    first, loop, last = without_loops(said("Hello.", *["Thank you."] * 5, "Good."))
    assert (first.text, last.text) == ("Hello.", "Good.")
    assert (loop.start, loop.end, loop.text) == (1.0, 5.9, "Thank you.")
    assert loop.repair == "said 5 times in a row, kept once"


@given(st.lists(st.sampled_from(["a", "b", "a b", "b b b b b b b"]), max_size=20))
def test_nothing_is_dropped_without_a_note_and_the_time_stays_covered(texts: list[str]) -> None:
    segments = said(*texts)
    kept = without_loops(segments)
    assert [s.start for s in kept[:1]] == [s.start for s in segments[:1]]
    assert [s.end for s in kept[-1:]] == [s.end for s in segments[-1:]]
    repaired = sum(s.repair is not None for s in kept)
    assert len(kept) == len(segments) or repaired
