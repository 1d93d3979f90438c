"""The demo model's vocabulary: twenty English words and their German translations."""

from pathlib import Path

from tools.ggml_whisper import read_frame, tokenise

WORDS = {
    "en": (
        "zero one two three four five six seven eight nine "
        "hello world yes please thanks good morning water coffee today"
    ).split(),
    "de": (
        "null eins zwei drei vier fünf sechs sieben acht neun "
        "hallo welt ja bitte danke guten morgen wasser kaffee heute"
    ).split(),
}
TO_ENGLISH = dict(zip(WORDS["de"], WORDS["en"], strict=True))

# Token ids of Whisper's multilingual vocabulary of 51,865 entries.
END_OF_TEXT = 50257
START = 50258
LANGUAGE = {"en": 50259, "de": 50261}
TRANSLATE = 50358
TRANSCRIBE = 50359
PREVIOUS = 50361
FIRST_TIMESTAMP = 50364
TIMESTAMPS = 1501
"""The number of timestamp tokens: one every 0.02 s, from 0.00 to 30.00."""


def phrase(words: list[str]) -> str:
    """A phrase as the model writes it: `` Hello world.``"""
    return " " + " ".join(words).capitalize() + "."


class Tokens:
    """Words as token ids, by the vocabulary of a multilingual ggml model file."""

    def __init__(self, model: Path) -> None:
        self._words = read_frame(model).words
        self._spelled: dict[str, list[int]] = {}

    def of(self, words: list[str]) -> list[int]:
        """The tokens of a phrase. Each word is tokenised by itself, so that few different tokens
        are used in all phrases."""
        return [token for piece in self.by_word(words) for token in piece]

    def by_word(self, words: list[str]) -> list[list[int]]:
        """The tokens of each word, and as the last item those of the full stop."""
        head, *tail = phrase(words)[1:-1].split(" ")
        return [self._spell(piece) for piece in (f" {head}", *(f" {w}" for w in tail), ".")]

    def _spell(self, piece: str) -> list[int]:
        if piece not in self._spelled:
            self._spelled[piece] = tokenise(piece, self._words)
        return self._spelled[piece]

    def used(self) -> list[int]:
        """All token ids that can occur in a target or a prompt of the demo model, sorted."""
        special = {END_OF_TEXT, START, TRANSLATE, TRANSCRIBE, PREVIOUS, *LANGUAGE.values()}
        spelled = {t for each in WORDS.values() for w in each for t in self.of([w])}
        inner = {t for each in WORDS.values() for w in each for t in self.of([w, w])}
        times = range(FIRST_TIMESTAMP, FIRST_TIMESTAMP + TIMESTAMPS)
        return sorted(special | spelled | inner | set(times))
