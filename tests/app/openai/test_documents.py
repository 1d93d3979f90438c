"""OpenAI's answers."""

import math

import pytest

from app.openai import documents
from app.openai.orders import Format, Wanted
from storage.records import Evidence, Job, Order, Segment, Status, Task, Turn, Word
from tests.records import job as made


def job(task: Task = Task.TRANSCRIBE, language: str = "en") -> Job:
    return made(
        status=Status.DONE, order=Order(task=task), detected_language=language, duration_secs=10.2
    )


def segment(
    text: str, index: int = 0, *, language: str = "en", words: tuple[Word, ...] = ()
) -> Segment:
    evidence = Evidence(avg_logprob=-0.25, compression_ratio=0.8)
    return Segment(
        index=index, start=index * 2.0, end=index * 2.0 + 1.5, text=text, language=language,
        words=words, evidence=evidence,
    )  # fmt: skip


def test_the_short_answer_has_the_text_and_the_seconds() -> None:
    assert documents.document(Wanted(), job(), [segment("Hello.")]) == {
        "text": "Hello.",
        "usage": {"type": "duration", "seconds": 11},
    }


def test_the_long_answer_has_the_name_of_the_language_and_the_evidence() -> None:
    found = documents.document(Wanted(Format.VERBOSE_JSON), job(language="de"), [segment("Hallo.")])
    assert (found["task"], found["language"], found["duration"]) == ("transcribe", "german", 10.2)
    assert found["segments"] == [
        {
            "id": 0, "seek": 0, "start": 0.0, "end": 1.5, "text": "Hallo.", "tokens": [],
            "temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 0.8,
            "no_speech_prob": 0.0, "language": "en", "speech_share": None,
        }
    ]  # fmt: skip
    assert "words" not in found


@pytest.mark.parametrize(
    ("granularities", "has"),
    [
        ((), {"segments"}),
        (("segment",), {"segments"}),
        (("word",), {"words"}),
        (("word", "segment"), {"words", "segments"}),
    ],
)
def test_the_long_answer_has_the_times_that_were_asked_for(
    granularities: tuple[str, ...], has: set[str]
) -> None:
    wanted = Wanted(Format.VERBOSE_JSON, granularities=granularities)
    spoken = segment("Hi.", words=(Word("Hi.", 0.1, 0.5, 0.9),))
    found = documents.document(wanted, job(), [spoken])
    assert found.keys() & {"segments", "words"} == has
    if "words" in has:
        assert found["words"] == [{"word": "Hi.", "start": 0.1, "end": 0.5}]


def test_each_word_has_its_probability_where_it_is_asked_for() -> None:
    words = (Word("Hé", 0.1, 0.5, 0.5), Word("oh", 0.5, 0.6, 0.0))
    found = documents.document(
        Wanted(include=("logprobs",)), job(), [segment("Hé oh", words=words)]
    )
    first, second = found["logprobs"]
    assert first == {"token": "Hé", "bytes": [72, 195, 169], "logprob": round(math.log(0.5), 4)}
    assert second["logprob"] < -20


def test_speakers_are_letters_in_the_order_in_which_they_speak() -> None:
    segments = [segment("a", 0), segment("b", 1), segment("c", 2), segment("d", 8)]
    turns = [Turn(0.0, 1.5, "Speaker 2"), Turn(2.0, 3.5, "Ada"), Turn(4.0, 5.5, "Speaker 2")]
    found = documents.speaker_segments(segments, turns)
    assert [each["speaker"] for each in found] == ["A", "B", "A", "A"]
    assert (found[1]["id"], found[1]["type"]) == ("seg_001", "transcript.text.segment")


def test_there_are_letters_for_any_number_of_speakers() -> None:
    assert [documents._letter(n) for n in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]


def test_the_other_forms_are_files() -> None:
    segments = [segment("Hello."), segment("Bye.", 1)]
    assert documents.plain(Format.TEXT, job(), segments)[0] == "Hello. Bye.\n"
    assert documents.plain(Format.SRT, job(), segments)[0].startswith("1\n00:00:00,000 --> ")
    assert documents.plain(Format.VTT, job(), segments)[0].startswith("WEBVTT\n")
