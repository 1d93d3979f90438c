from hypothesis import given
from hypothesis import strategies as st

from actors.engine.words import Token, words_of


def tokens(*pieces: str | bytes) -> list[Token]:
    return [
        Token(p.encode() if isinstance(p, str) else p, n * 0.5, n * 0.5 + 0.5, 0.5)
        for n, p in enumerate(pieces)
    ]


def texts(*pieces: str | bytes, language: str = "en") -> list[str]:
    return [word.text for word in words_of(tokens(*pieces), language, 0, 99)]


def test_a_space_begins_a_word() -> None:
    assert texts(" Hello", " wor", "ld", ".") == ["Hello", "world."]


def test_a_character_split_over_tokens_stays_whole() -> None:
    euro = "€".encode()
    assert texts(" 5", euro[:1], euro[1:], " left") == ["5€", "left"]


def test_a_language_without_spaces_gives_characters_with_their_punctuation() -> None:
    assert texts("恭", "喜", "。", language="zh") == ["恭", "喜。"]


def test_times_span_the_tokens_of_a_word() -> None:
    hello, world = words_of(tokens(" Hel", "lo", " world"), "en", 0, 99)
    assert (hello.start, hello.end, world.start) == (0.0, 1.0, 1.0)


@given(
    st.lists(
        st.tuples(st.binary(max_size=4), st.floats(-5, 40), st.floats(-5, 40), st.floats(0, 1)),
        max_size=30,
    ),
    st.sampled_from(["en", "ja"]),
)
def test_any_tokens_give_times_in_order_within_the_segment(
    raw: list[tuple[bytes, float, float, float]], language: str
) -> None:
    words = words_of([Token(*each) for each in raw], language, 2, 30)
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert all(2 <= edge <= 30 for edge in edges)
    assert all(word.text and 0 <= word.probability <= 1 for word in words)
