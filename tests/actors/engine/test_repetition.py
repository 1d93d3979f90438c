import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.engine.repetition import without_loops
from storage.records import RATE, Segment, Span, Word

SPEECH = [Span(0, 100 * RATE)]


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
    assert without_loops(segments, SPEECH) == segments


def test_a_phrase_said_over_and_over_is_kept_once() -> None:
    (segment,) = without_loops(said("Thanks. " + "Bye bye. " * 20), SPEECH)
    assert segment.text.split() == ["Thanks.", "Bye", "bye."]
    assert [word.text for word in segment.words] == ["Thanks.", "Bye", "bye."]
    assert segment.repair == "a loop of 38 words removed"


def test_a_segment_that_comes_back_and_back_becomes_one() -> None:
    first, loop, last = without_loops(said("Hello.", *["Thank you."] * 5, "Good."), [])
    assert (first.text, last.text) == ("Hello.", "Good.")
    assert (loop.start, loop.end, loop.text) == (1.0, 5.9, "Thank you.")
    assert loop.repair == "said 5 times in a row, kept once"


def test_what_was_really_said_again_and_again_stays() -> None:
    (no,) = said("No " * 8)
    eight = [no, *said(*["No."] * 9)[1:]]
    bursts = [Span(int(n * RATE), int((n + 0.5) * RATE)) for n in range(9)]
    assert without_loops([msgspec.structs.replace(no, end=4.5)], bursts)[0].repair is None
    assert without_loops(eight[1:], bursts) == eight[1:]


def test_of_equal_segments_those_that_nobody_spoke_are_left_out() -> None:
    speech = [Span(RATE, int(1.5 * RATE)), Span(3 * RATE, int(3.5 * RATE))]
    first, second = without_loops(said(*["Thank you."] * 6), speech)
    assert (first.start, second.start) == (1.0, 3.0)
    assert first.repair == "said 6 times in a row, kept where it was spoken"


def test_a_loop_that_shares_the_time_of_what_was_said_is_left_out() -> None:
    """As a roll call that the engine went on with: the last one was cut from the time of the one
    before, others have no speech at all, and the marks differ."""
    times = [(0.0, 0.6), (3.5, 4.2), (14.1, 14.53), (14.53, 14.72), (18.7, 18.7), (18.7, 18.7)]
    texts = ["Present", "Present", "Present", "Present", "Present!", "Present!"]
    segments = [
        Segment(index=n, start=start, end=end, text=text)
        for n, ((start, end), text) in enumerate(zip(times, texts, strict=True))
    ]
    speech = [Span(int(start * RATE), int(end * RATE)) for start, end in times[:4]]
    kept = without_loops(segments, speech)
    assert [(each.start, each.end) for each in kept] == [(0.0, 0.6), (3.5, 4.2), (14.1, 14.72)]
    assert kept[0].repair == "said 6 times in a row, kept where it was spoken"


def test_a_loop_that_is_faster_than_anybody_speaks_is_removed() -> None:
    (segment,) = said("No " * 40)
    (kept,) = without_loops([segment], SPEECH)
    assert kept.text.split() == ["No"]


@given(st.lists(st.sampled_from(["a", "b", "a b", "b b b b b b b"]), max_size=20))
def test_nothing_is_dropped_without_a_note_and_the_time_stays_covered(texts: list[str]) -> None:
    segments = said(*texts)
    kept = without_loops(segments, [])
    assert [s.start for s in kept[:1]] == [s.start for s in segments[:1]]
    assert [s.end for s in kept[-1:]] == [s.end for s in segments[-1:]]
    repaired = sum(s.repair is not None for s in kept)
    assert len(kept) == len(segments) or repaired
