"""Makes words from tokens. It works on bytes, because a token may end inside a character."""

from collections.abc import Sequence
from dataclasses import dataclass

from actors.engine.protocol import EngineWord

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "km", "bo", "yue"})
"""Languages that are written without spaces. In these, every token that begins with a letter or a
digit begins a word."""


@dataclass(frozen=True)
class Token:
    data: bytes
    start: float
    end: float
    probability: float


@dataclass
class _Word:
    data: bytes
    start: float
    end: float
    probabilities: list[float]


def words_of(
    tokens: Sequence[Token], language: str, start: float, end: float
) -> tuple[EngineWord, ...]:
    """The words of a segment. Their times lie between ``start`` and ``end``, in order.

    A word's probability is the mean of its tokens' probabilities.
    """
    words: list[_Word] = []
    for token in tokens:
        if words and not _begins_word(words[-1].data, token.data, language):
            words[-1].data += token.data
            words[-1].end = token.end
            words[-1].probabilities.append(token.probability)
        else:
            words.append(_Word(token.data, token.start, token.end, [token.probability]))
    heard: list[EngineWord] = []
    for word in words:
        text = word.data.decode(errors="replace").strip()
        if not text:
            continue
        start = min(max(start, word.start), end)
        until = min(max(start, word.end), end)
        heard.append(
            EngineWord(text, start, until, sum(word.probabilities) / len(word.probabilities))
        )
        start = until
    return tuple(heard)


def _begins_word(before: bytes, data: bytes, language: str) -> bool:
    try:
        before.decode()
        text = data.decode()
    except UnicodeDecodeError:  # in the middle of a character
        return False
    if text.startswith(" "):
        return True
    return language in UNSPACED and text[:1].isalnum()
