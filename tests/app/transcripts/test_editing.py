from hypothesis import given
from hypothesis import strategies as st

from app.transcripts.editing import aligned
from storage.records import Segment, Word


def segment(*texts: str, joined: str = " ") -> Segment:
    """A second for each word."""
    words = tuple(Word(text, n, n + 1, 0.5) for n, text in enumerate(texts))
    return Segment(index=0, start=0, end=len(texts), text=joined.join(texts), words=words)


def test_what_stayed_keeps_its_times_and_what_is_new_is_sure() -> None:
    words = aligned(segment("wreck", "a", "nice", "beach"), "Wreck a lovely beach.")
    assert words == (
        Word("Wreck", 0, 1, 0.5),
        Word("a", 1, 2, 0.5),
        Word("lovely", 2, 3, 1.0),
        Word("beach.", 3, 4, 0.5),
    )


def test_several_new_words_share_the_time_of_what_they_replace() -> None:
    words = aligned(segment("one", "twofour", "five"), "one two four five")
    assert [(w.text, w.start, w.end) for w in words[1:3]] == [("two", 1, 1.429), ("four", 1.429, 2)]


def test_a_language_without_spaces_stays_in_characters() -> None:
    words = aligned(segment("早", "上", "好", joined=""), "晚上好")
    assert [(w.text, w.start) for w in words] == [("晚", 0), ("上", 1), ("好", 2)]


def test_a_foreign_word_among_characters_stays_whole() -> None:
    words = aligned(segment("今", "天", "很", "好", joined=""), "今天 OpenAI 很好")
    assert [w.text for w in words] == ["今", "天", "OpenAI", "很", "好"]


def test_a_segment_without_words_gets_none() -> None:
    bare = Segment(index=0, start=0, end=1, text="hello")
    assert aligned(bare, "hullo") == ()


@given(
    st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=8), st.text(max_size=60)
)
def test_any_text_comes_out_whole_with_its_words_in_order(texts: list[str], text: str) -> None:
    before = segment(*texts)
    words = aligned(before, text)
    assert "".join(w.text for w in words) == "".join(text.split())
    starts = [w.start for w in words]
    assert starts == sorted(starts)
    assert all(0 <= w.start <= w.end <= len(texts) for w in words)
