"""A window in which two languages are spoken, through both backends, with scripted weights."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.actors.engine.backends.two_languages import CHANGE_S
from tests.scripted import scripted_model
from tests.scripted_folder import scripted_folder

HELLO = "<|0.00|> Hello world.<|5.50|>"


@pytest.fixture(params=["whisper.cpp", "CTranslate2"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "whisper.cpp":
        return scripted_model(tmp_path / "scripted.bin", HELLO)
    return scripted_folder(tmp_path / "scripted", HELLO)


def heard(model: Path, first: str, second: str, *languages: str) -> list[dict[str, Any]]:
    module = "tests.actors.engine.backends.two_languages"
    done = subprocess.run(
        [sys.executable, "-m", module, model, model.parent, first, second, *languages],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    segments: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return segments


def test_each_language_of_a_window_is_transcribed_by_itself(model: Path) -> None:
    first, second = heard(model, "en", "de")
    assert [each["text"] for each in (first, second)] == ["Hello world."] * 2
    assert [each["language"] for each in (first, second)] == ["en", "de"]
    assert first["start"] == pytest.approx(0.0, abs=0.1)
    assert second["start"] == pytest.approx(CHANGE_S, abs=0.1), "in the time of the window"
    assert all(start < CHANGE_S for start in first["words"])
    assert all(CHANGE_S <= start < CHANGE_S + 5.5 for start in second["words"])


def test_a_window_in_one_language_is_transcribed_whole(model: Path) -> None:
    segments = heard(model, "de", "de")
    assert {each["language"] for each in segments} == {"de"}
    assert segments[0]["start"] == 0.0


def test_the_language_that_was_asked_for_holds_for_all(model: Path) -> None:
    assert {each["language"] for each in heard(model, "en", "de", "fr")} == {"fr"}


def test_only_the_languages_that_may_be_spoken_are_heard(model: Path) -> None:
    assert {each["language"] for each in heard(model, "en", "de", "de,fr")} == {"de"}
