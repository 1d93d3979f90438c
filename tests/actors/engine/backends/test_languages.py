"""A window in which two languages are spoken, through both backends, with scripted weights.

Scripted weights hear one language. So the test says what the model finds likely in each part.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.engine import protocol
from actors.engine.backends import Backend, backend_for
from actors.engine.protocol import Result, Window
from storage.records import RATE, Span
from tests.audio import babble
from tests.scripted import scripted_model
from tests.scripted_folder import scripted_folder

HELLO = "<|0.00|> Hello world.<|2.00|>"
EN, DE = {"en": 0.98, "de": 0.01}, {"en": 0.01, "de": 0.98}
CHANGE_S = 6.5
"""In the middle of the pause after the first speaker."""
SPEECH = (Span(0, 6 * RATE), Span(7 * RATE, 12 * RATE))


@pytest.fixture(params=["whisper.cpp", "CTranslate2"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "whisper.cpp":
        model = scripted_model(tmp_path / "scripted.bin", HELLO)
    else:
        model = scripted_folder(tmp_path / "scripted", HELLO)
    return backend_for(protocol.Load(str(model), use_gpu=False, threads=2), threading.Event())


def window(folder: Path, language: str | None = None) -> Window:
    pcm = folder / "a.pcm"
    pcm.write_bytes(babble((6.0, True), (1.0, False), (5.0, True)).tobytes())
    return Window(1, str(pcm), (Span(0, 12 * RATE),), SPEECH, language, {}, False, None, True)


def hears(monkeypatch: pytest.MonkeyPatch, engine: Backend, first: Any, second: Any) -> None:
    """Before `CHANGE_S` the model finds ``first`` likely, and after it ``second``."""

    def at(part: Span) -> Mapping[str, float]:
        found: Mapping[str, float] = first if part.start < CHANGE_S * RATE else second
        return found

    def in_one(_: Window, part: Span) -> Mapping[str, float]:
        return at(part)

    def in_all(_: object, parts: Mapping[int, Sequence[Span]], *__: object) -> dict[int, Any]:
        if len(parts) == 2:  # the two are windows of their own now
            return {0: [first], 1: [second]}
        return {n: [at(part) for part in each] for n, each in parts.items()}

    likely = in_all if engine.batch > 1 else in_one
    monkeypatch.setattr(engine, "_likely", likely)


def heard(engine: Backend, window: Window) -> list[tuple[str, float, str, list[float]]]:
    (result,) = engine.transcribe([window])
    assert isinstance(result, Result)
    return [
        (s.language, s.start, s.text, [word.start for word in s.words]) for s in result.segments
    ]


def test_each_language_of_a_window_is_transcribed_by_itself(
    engine: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hears(monkeypatch, engine, EN, DE)
    first, second = heard(engine, window(tmp_path))
    assert (first[0], first[2]) == ("en", "Hello world.")
    assert (second[0], second[2]) == ("de", "Hello world.")
    assert first[1] == pytest.approx(0.0, abs=0.1)
    assert second[1] == pytest.approx(CHANGE_S, abs=0.1), "in the time of the window"
    assert [start - CHANGE_S for start in second[3]] == pytest.approx(first[3], abs=0.1)


def test_a_window_in_one_language_is_transcribed_whole(
    engine: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hears(monkeypatch, engine, DE, DE)
    assert [each[:2] for each in heard(engine, window(tmp_path))] == [("de", 0.0)]


def test_the_language_that_was_asked_for_holds_for_all(
    engine: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hears(monkeypatch, engine, EN, DE)
    assert [each[0] for each in heard(engine, window(tmp_path, "fr"))] == ["fr"]
