"""The API of whisper-asr-webservice, with the requests that Bazarr sends."""

import wave
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.server import Server

TEXT = "Hello world. How are you?"


def ask(server: Server, path: str, content: bytes, **parameters: str) -> httpx.Response:
    return server.http.post(path, files={"audio_file": content}, params=parameters)


def samples(recording: Path) -> bytes:
    with wave.open(str(recording)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return file.readframes(file.getnframes())


def test_bazarr_gets_the_language_and_then_the_subtitles(shared: Server, clip: Path) -> None:
    """It sends samples without a header, and what it gets with a 200 it saves as the subtitle."""
    pcm = samples(clip)
    language = ask(shared, "/detect-language", pcm, encode="false").json()
    assert language["detected_language"] == "german"
    assert language["language_code"] == "de"
    assert language["confidence"] == 1.0
    answer = ask(
        shared, "/asr", pcm, task="transcribe", language="de", output="srt", encode="false",
        video_file="/films/A film (1999).mkv",
    )  # fmt: skip
    assert answer.status_code == 200
    assert answer.text.startswith("1\n00:00:00,")
    assert "How are you?" in answer.text
    assert answer.headers["asr-engine"] == "whisperbox"
    assert 'filename="A film (1999).mkv.srt"' in answer.headers["content-disposition"]


def test_a_file_with_a_header_is_decoded_even_where_none_is_promised(
    shared: Server, clip: Path
) -> None:
    answer = ask(shared, "/asr", clip.read_bytes(), encode="false", language="da")
    assert answer.text == "Hello world.\nHow are you?\n"


@pytest.mark.parametrize(
    ("output", "begins"),
    [("txt", "Hello"), ("vtt", "WEBVTT"), ("srt", "1\n"), ("tsv", "start\tend\ttext\n0\t")],
)
def test_the_transcript_comes_in_each_form(
    shared: Server, clip: Path, output: str, begins: str
) -> None:
    answer = ask(shared, "/asr", clip.read_bytes(), output=output)
    assert answer.text.startswith(begins)


def test_the_json_is_that_of_whisper(shared: Server, clip: Path) -> None:
    found = ask(shared, "/asr", clip.read_bytes(), output="json", word_timestamps="true").json()
    assert (found["text"], found["language"]) == (TEXT, "de")
    assert [segment["text"] for segment in found["segments"]] == ["Hello world.", "How are you?"]
    words = [word["word"] for segment in found["segments"] for word in segment["words"]]
    assert words == TEXT.split()


def test_a_translation_is_a_task(shared: Server, clip: Path) -> None:
    assert ask(shared, "/asr", clip.read_bytes(), task="translate").status_code == 200
    assert shared.http.get("/jobs").json()["jobs"][0]["task"] == "translate"


def test_a_recording_without_speech_has_no_language(shared: Server) -> None:
    found = ask(shared, "/detect-language", bytes(64_000), encode="false").json()
    assert found == {"detected_language": None, "language_code": None, "confidence": 0.0}


@pytest.mark.parametrize("path", ["/asr", "/detect-language"])
@pytest.mark.parametrize(
    ("files", "parameters", "sentence"),
    [
        ({"file": b"x"}, {}, "audio_file"),
        ({"audio_file": ("a.wav", b"")}, {}, "audio_file is empty"),
        ({"audio_file": b"no audio at all" * 99}, {}, "is not audio or video"),
        ({"audio_file": b"x"}, {"encode": "maybe"}, "encode must be 'true' or 'false'"),
    ],
)
def test_no_error_can_be_taken_for_a_subtitle(
    shared: Server, path: str, files: Any, parameters: dict[str, str], sentence: str
) -> None:
    answer = shared.http.post(path, files=files, params=parameters)
    assert 400 <= answer.status_code < 500
    assert sentence in answer.json()["detail"]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"language": "xx"}, "language 'xx' is not a code"),
        ({"task": "sing"}, "task must be 'transcribe' or 'translate'"),
        ({"output": "docx"}, "output 'docx' is unknown; it may be txt, vtt, srt, tsv, json"),
        ({"min_speakers": "many"}, "min_speakers must be a whole number"),
    ],
)
def test_a_wrong_parameter_is_refused_before_the_upload(
    shared: Server, parameters: dict[str, str], sentence: str
) -> None:
    answer = ask(shared, "/asr", b"x", **parameters)
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]


def test_a_token_may_come_in_the_address(start: Start) -> None:
    server = start(REQUIRE_TOKEN="true")
    answer = ask(server, "/asr", b"x", apikey="wrong")
    assert answer.status_code == 401
    assert answer.json().keys() == {"detail"}


def test_fields_of_the_body_are_no_parameters(shared: Server, clip: Path) -> None:
    files = {"audio_file": clip.read_bytes()}
    answer = shared.http.post("/asr", files=files, data={"output": "srt", "language": "xx"})
    assert answer.text == "Hello world.\nHow are you?\n"


def test_speakers_where_nobody_speaks_are_not_waited_for(shared: Server) -> None:
    silence = bytes(64_000)
    answer = ask(shared, "/asr", silence, encode="false", diarize="true", output="json")
    assert answer.json() == {"text": "", "segments": [], "language": None}


def test_speakers_are_not_told_apart_where_that_is_off(start: Start, clip: Path) -> None:
    answer = ask(start(DIARIZATION="false"), "/asr", clip.read_bytes(), diarize="true")
    assert (answer.status_code, answer.json()["detail"]) == (
        422, "diarize is not possible: DIARIZATION is off on this server",
    )  # fmt: skip
