"""The form of openai/whisper's JSON."""

from app.transcripts.whisper_json import delta, language_name, text_of
from storage.records import Segment


def segment(text: str, index: int = 0, *, language: str = "en") -> Segment:
    return Segment(index=index, start=index * 2.0, end=index + 1.5, text=text, language=language)


def test_segments_become_one_text() -> None:
    assert text_of([segment("Hello."), segment("Bye.", 1)], None) == "Hello. Bye."


def test_languages_without_spaces_are_joined_without_them() -> None:
    chinese = [segment("恭喜", language="zh"), segment("发财", 1, language="zh")]
    assert text_of(chinese, None) == "恭喜发财"
    assert text_of(chinese, "en") == "恭喜 发财", "it is a translation into English"


def test_the_deltas_of_a_stream_are_the_text() -> None:
    segments = [segment("Hello."), segment("Bye.", 1)]
    deltas = [delta(s, None, is_first=n == 0) for n, s in enumerate(segments)]
    assert "".join(deltas) == text_of(segments, None)


def test_a_language_has_its_english_name() -> None:
    assert [language_name(code) for code in ("de", "xx", None)] == ["german", "xx", ""]
