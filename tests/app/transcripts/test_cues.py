import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transcripts.cues import Limits, cues
from storage.records import Segment, Word


def said(text: str, start: float = 0, end: float = 10, *words: Word) -> Segment:
    return Segment(index=0, start=start, end=end, text=text, words=words)


def shown(segment: Segment, **limits: int) -> list[str]:
    return [cue.text for cue in cues([segment], Limits(**limits))]


def test_lines_break_between_words_and_cues_between_lines() -> None:
    segment = said("one two three four five six")
    assert shown(segment, line_chars=9, lines=2) == ["one two\nthree", "four\nfive six"]


def test_a_cue_begins_when_its_first_word_is_spoken() -> None:
    words = (Word("one", 1, 2, 1), Word("two", 2, 3, 1), Word("three", 6, 7, 1))
    first, second = cues([said("one two three", 1, 8, *words)], Limits(line_chars=7, lines=1))
    assert (first.start, first.end) == (1, 3)
    assert (second.start, second.end) == (6, 7)


def test_without_words_the_place_in_the_text_says_when() -> None:
    _, second = cues([said("aaaa bbbb", 0, 9)], Limits(line_chars=4, lines=1))
    assert second.start == 5


def test_what_is_read_too_fast_stays_up_to_the_next_cue() -> None:
    first, second = cues(
        [said("twenty characters or", 0, 0.5), said("more", 1.5, 5)], Limits(chars_per_second=10)
    )
    assert first.end == 1.5
    assert second.end == 5


def test_a_text_without_spaces_is_cut_where_the_line_ends() -> None:
    assert shown(said("一二三四五六七"), line_chars=3, lines=1) == ["一二三", "四五六", "七"]


def test_lines_are_about_as_long_as_each_other() -> None:
    text = "The quick brown fox jumps over the lazy dog"
    assert shown(said(text)) == ["The quick brown fox\njumps over the lazy dog"]
    assert shown(said("Short enough for one line.")) == ["Short enough for one line."]


def spoken(text: str, start: float, *, speaker: str | None = None) -> Segment:
    """A word a second."""
    words = tuple(Word(w, start + n, start + n + 1, 1) for n, w in enumerate(text.split()))
    end = words[-1].end
    return Segment(index=0, start=start, end=end, text=text, words=words, speaker=speaker)


def test_a_sentence_over_two_segments_is_cut_as_one() -> None:
    segments = [spoken("And so my fellow", 0), spoken("Americans ask not.", 4.1)]
    assert [cue.text for cue in cues(segments, Limits())] == ["And so my fellow Americans ask not."]


@pytest.mark.parametrize(
    "second",
    [
        spoken("ask not.", 8),
        spoken("ask not.", 4.1, speaker="Grace"),
        said("ask not.", 4.1),
    ],
    ids=["after a pause", "of somebody else", "without times of words"],
)
def test_what_is_no_sentence_stays_apart(second: Segment) -> None:
    assert len(cues([spoken("And so my fellow", 0), second], Limits())) == 2
    assert len(cues([spoken("And so. My fellow.", 0), spoken("Ask not.", 4.1)], Limits())) == 2


def test_a_short_word_stays_long_enough_to_be_read() -> None:
    [yes] = cues([said("Yes.", 1, 1.1)], Limits())
    assert yes.end == 1.8


def test_nothing_said_is_no_cue() -> None:
    assert cues([said("  ")], Limits()) == []


@st.composite
def transcripts(draw: st.DrawFn) -> list[Segment]:
    segments, at = [], 0.0
    for n in range(draw(st.integers(0, 5))):
        text = draw(st.text("ab cé一 ,.", max_size=60))
        start = at + draw(st.floats(0, 2))
        at = start + draw(st.floats(0, 20))
        pieces = text.split() if draw(st.booleans()) else []
        words = tuple(
            Word(p, draw(st.floats(0, 100)), draw(st.floats(0, 100)), 0.5) for p in pieces
        )
        segments.append(Segment(index=n, start=start, end=at, text=text, words=words))
    return segments


@given(transcripts(), st.integers(1, 50), st.integers(1, 4), st.floats(1, 40))
def test_every_limit_holds_and_no_word_is_lost(
    segments: list[Segment], line_chars: int, lines: int, speed: float
) -> None:
    made = cues(segments, Limits(line_chars, lines, speed))
    for cue in made:
        assert cue.text.strip()
        assert len(cue.text.split("\n")) <= lines
        assert all(len(line) <= line_chars for line in cue.text.split("\n"))
    letters = "".join("".join(s.text.split()) for s in segments)
    assert "".join("".join(cue.text.split()) for cue in made) == letters
    edges = [edge for cue in made for edge in (cue.start, cue.end)]
    assert edges == sorted(edges)
