from hypothesis import given
from hypothesis import strategies as st

from app.transcripts.attribution import NEAR_S, attributed, dialogue, labels
from storage.records import Segment, Turn, Word


def said(start: float, end: float, text: str = "words", words: tuple[Word, ...] = ()) -> Segment:
    return Segment(index=0, start=start, end=end, text=text, words=words)


def test_a_segment_is_whose_turn_it_overlaps_most() -> None:
    turns = [Turn(0.0, 2.0, "A"), Turn(2.0, 9.0, "B")]
    assert labels([said(0.0, 1.0), said(1.5, 4.0), said(5.0, 6.0)], turns) == ["A", "B", "B"]


def test_words_decide_where_there_are_words() -> None:
    turns = [Turn(0.0, 1.0, "A"), Turn(1.0, 10.0, "B")]
    early = Word("hello", 0.1, 0.9, 1.0)
    assert labels([said(0.0, 5.0), said(0.0, 5.0, words=(early,))], turns) == ["B", "A"]


def test_a_segment_beside_a_turn_belongs_to_it_and_one_far_off_to_nobody() -> None:
    turns = [Turn(1.0, 2.0, "A")]
    near, far = said(2.0 + NEAR_S / 2, 3.0), said(2.1 + NEAR_S, 5.0)
    assert labels([near, far], turns) == ["A", None]
    assert labels([near], []) == [None]


def test_a_dialogue_has_a_paragraph_for_each_turn() -> None:
    segments = [said(0, 1, " Hello. "), said(1, 2, "You?"), said(2, 3, "Fine."), said(3, 4, "Oh.")]
    text = dialogue(segments, ["A", "A", "B", None])
    assert text == "A: Hello. You?\n\nB: Fine.\n\nOh."


def test_a_speakers_name_stands_before_what_they_begin_to_say() -> None:
    turns = [Turn(0.0, 2.0, "Ada"), Turn(2.0, 9.0, "Bob")]
    segments = [said(0, 1, " Hello. "), said(1, 2, "You?"), said(3, 4, "Fine."), said(5, 6, " ")]
    texts = [segment.text for segment in attributed(segments, turns)]
    assert texts == ["Ada: Hello.", "You?", "Bob: Fine.", " "]


def test_a_day_of_words_is_labelled_while_one_waits() -> None:
    turns = [Turn(10.0 * n, 10.0 * n + 9, "AB"[n % 2]) for n in range(8640)]
    words = [tuple(Word("a", t / 2, t / 2 + 0.4, 1.0) for t in range(20 * n, 20 * n + 20))
             for n in range(8640)]  # fmt: skip
    segments = [said(10.0 * n, 10.0 * n + 10, words=own) for n, own in enumerate(words)]
    assert labels(segments, turns) == ["A", "B"] * 4320


seconds = st.floats(0, 100, allow_nan=False)


@given(st.lists(st.tuples(seconds, seconds, st.sampled_from("AB"))), seconds, seconds)
def test_a_label_is_always_one_of_the_turns(
    spans: list[tuple[float, float, str]], a: float, b: float
) -> None:
    turns = [Turn(min(x, y), max(x, y), label) for x, y, label in spans]
    (label,) = labels([said(min(a, b), max(a, b))], turns)
    assert label is None or label in {turn.label for turn in turns}
