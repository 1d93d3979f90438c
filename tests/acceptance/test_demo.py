"""The bundled model on the bundled recording, through the whole server."""

import json
from pathlib import Path

from tests.acceptance.conftest import Start
from tests.scripted import DEMO
from tools.demo_model.evaluate import errors
from tools.demo_model.vocabulary import WORDS

RECORDING = DEMO.with_name("demo.wav")
SAID = json.loads(DEMO.with_name("demo.json").read_text())


def words(text: str) -> list[str]:
    return text.lower().replace(".", " ").split()


MOST_WRONG = 0.1
"""Of the words, as the model card has it for unseen voices."""


CLOSE_S = 0.3


def test_the_bundled_dialogue_comes_out_right(start: Start) -> None:
    server = start(WHISPER_MODEL="demo", WHISPER_MODEL_PATH="")
    server.load()
    segments = server.ended(server.submit(RECORDING))["segments"]
    wanted = [word for phrase in SAID for word in words(phrase["text"])]
    heard = [word for segment in segments for word in words(segment["text"])]
    assert errors(wanted, heard) / len(wanted) < MOST_WRONG
    for segment, phrase in zip(segments, SAID, strict=True):
        assert abs(segment["start"] - phrase["start"]) < CLOSE_S, phrase
        assert abs(segment["end"] - phrase["end"]) < CLOSE_S, phrase
    assert {word for word in heard if word in WORDS["en"]}
    assert {word for word in heard if word in WORDS["de"]}


def test_german_words_are_written_in_english_when_a_translation_is_asked_for(start: Start) -> None:
    server = start(WHISPER_MODEL="demo", WHISPER_MODEL_PATH="")
    server.load()
    job = server.ended(server.submit(RECORDING, language="de", task="translate"))
    assert (job["task"], job["language"]) == ("translate", "de")
    heard = [word for segment in job["segments"] for word in words(segment["text"])]
    english = sum(word in WORDS["en"] for word in heard)
    assert english > 0.9 * len(heard) > 40


def test_the_dialogue_is_a_minute_of_two_languages_with_all_their_words() -> None:
    assert SAID[-1]["end"] > 60
    assert {phrase["language"] for phrase in SAID} == {"en", "de"}
    spoken = {word for phrase in SAID for word in words(phrase["text"])}
    assert spoken <= {word for each in WORDS.values() for word in each}


def test_the_model_card_lies_beside_the_model() -> None:
    card = Path(DEMO).with_name("MODEL_CARD.md").read_text()
    for word in (word for each in WORDS.values() for word in each):
        assert word in card
