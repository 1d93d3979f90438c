import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transcripts.editing import MOST_COMPARED, aligned, joined, moved, pattern, replaced, split
from storage.errors import Invalid
from storage.records import Change, Segment, Word


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


def test_what_stayed_around_a_very_long_change_keeps_its_times() -> None:
    count = 2 * MOST_COMPARED
    before = segment("first", *(f"a{n % 50}" for n in range(count)), "last")
    words = aligned(before, " ".join(["First", *(f"b{n % 50}" for n in range(count)), "last."]))
    assert (words[0].start, words[0].end) == (0, 1)
    assert (words[-1].start, words[-1].end) == (count + 1, count + 2)
    assert (words[1].start, round(words[-2].end, 1)) == (1, count + 1)


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


def after(changes: list[Change]) -> list[Segment]:
    return [change.after for change in changes if change.after is not None]


def test_a_line_is_split_where_its_words_were_said() -> None:
    first, second = after(split(segment("one", "two", "three"), len("one two")))
    assert (first.text, first.start, first.end) == ("one two", 0, 2)
    assert (second.text, second.start, second.end) == ("three", 2, 3)
    assert [word.text for word in second.words] == ["three"]


def test_a_line_without_words_is_split_by_its_letters() -> None:
    bare = Segment(index=0, start=10, end=20, text="abc def")
    first, second = after(split(bare, 3))
    assert (first.text, first.end, second.text, second.start) == ("abc", 15, "def", 15)


def test_a_word_is_split_too() -> None:
    first, second = after(split(segment("to", "gether"), len("to ge")))
    assert (first.text, second.text) == ("to ge", "ther")


@pytest.mark.parametrize("at", [0, 3, 4])
def test_no_line_is_left_empty(at: int) -> None:
    with pytest.raises(Invalid, match="nothing to split off"):
        split(Segment(index=0, start=0, end=1, text="one "), at)


def test_two_lines_become_one() -> None:
    one, two = segment("one"), Segment(index=1, start=1, end=2, text=" two")
    change, gone = joined(one, two)
    assert change.after
    assert (change.after.text, change.after.end, change.after.words) == ("one two", 2, ())
    assert (gone.before, gone.after) == (two, None)


def test_words_stay_where_both_lines_have_them_or_one_has_no_text() -> None:
    one = segment("one")
    [both] = after(joined(one, segment("two")))
    assert [word.text for word in both.words] == ["one", "two"]
    [alone] = after(joined(one, Segment(index=1, start=1, end=2, text="")))
    assert alone.words == one.words


def test_no_space_comes_into_a_language_without() -> None:
    [both] = after(joined(segment("早"), segment("上")))
    assert both.text == "早上"


@given(st.lists(st.sampled_from(["one", "two", "早", "上"]), min_size=2, max_size=8), st.data())
def test_what_is_split_and_joined_is_what_it_was(texts: list[str], data: st.DataObject) -> None:
    line = segment(*texts)
    cut = data.draw(st.integers(1, len(texts) - 1))
    first, second = after(split(line, len(" ".join(texts[:cut]))))
    assert line.start <= first.start <= first.end <= second.start <= second.end == line.end
    assert second.start > first.start, "or their order would not be known"
    [whole] = after(joined(first, second))
    assert whole.text.replace(" ", "") == line.text.replace(" ", "")
    assert [word.text for word in whole.words] == [word.text for word in line.words]


def test_a_moved_line_takes_its_words_along() -> None:
    line = moved(segment("one", "two"), 0.5, 1.5)
    assert [(word.start, word.end) for word in line.words] == [(0.5, 1), (1, 1.5)]
    with pytest.raises(Invalid, match="ends after it begins"):
        moved(line, 2, 1)


@pytest.mark.parametrize(
    ("find", "flags", "texts"),
    [
        ("cat", {}, ["A dog", "condogenate", "dog  nap"]),
        ("cat", {"match_case": True}, ["A Cat", "condogenate", "dog  nap"]),
        ("cat", {"whole_words": True}, ["A dog", "concatenate", "dog nap"]),
        ("cat nap", {}, ["A Cat", "concatenate", "dog"]),
        (".", {}, ["A Cat", "concatenate", "cat  nap"]),
    ],
)
def test_what_is_found_is_replaced_in_every_line(
    find: str, flags: dict[str, bool], texts: list[str]
) -> None:
    lines = [
        Segment(index=n, start=n, end=n + 1, text=text)
        for n, text in enumerate(["A Cat", "concatenate", "cat  nap"])
    ]
    options = {"match_case": False, "whole_words": False} | flags
    changes = replaced(lines, pattern(find, **options), "dog")
    changed = {c.before.index: c.after.text for c in changes if c.before and c.after}
    made = [changed.get(line.index, line.text) for line in lines]
    assert [" ".join(text.split()) for text in made] == [" ".join(text.split()) for text in texts]


def test_what_stands_for_itself_in_a_pattern_does_so_in_a_replacement() -> None:
    [change] = replaced([segment("a.b")], pattern(".", match_case=False, whole_words=False), r"\1")
    assert change.after
    assert change.after.text == r"a\1b"


def test_no_replacement_makes_a_line_longer_than_lines_can_be() -> None:
    lines = [Segment(index=0, start=0, end=1, text="o" * 100)]
    with pytest.raises(Invalid, match="more than 5000 characters"):
        replaced(lines, pattern("o", match_case=True, whole_words=False), "x" * 60)


def test_chinese_is_joined_without_spaces_also_after_its_stops() -> None:
    lines = [
        Segment(index=n, start=n, end=n + 1, text=text)
        for n, text in enumerate("天气很好。 我们".split())
    ]
    [change, _] = joined(*lines)
    assert change.after is not None
    assert change.after.text == "天气很好。我们"
