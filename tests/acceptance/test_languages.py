"""Recordings in which two languages are spoken, with real weights through both engines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.records import RATE
from tests.acceptance.heard import KENNEDY, transcribed, words
from tests.acceptance.server import Server
from tests.audio import decoded, write_wav
from tools.demo_model.evaluate import errors
from tools.real_weights import RealWeights

SPEECH = Path(__file__).parents[3] / "shared" / "speech"
ENGLISH, GERMAN = SPEECH / "en" / "jfk.wav", SPEECH / "de" / "picovoice_test_de.wav"
ROOM = "der hinter diesem portal liegende raum wurde als leichenhalle genutzt"

pytestmark = [
    pytest.mark.skipif(not SPEECH.exists(), reason="no recordings in several languages"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module", params=["ctranslate2", "ggml"])
def server(
    request: pytest.FixtureRequest,
    real_weights: RealWeights,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    model = getattr(real_weights, request.param)
    folder = tmp_path_factory.mktemp(request.param)
    with Server(folder, WHISPER_MODEL_PATH=model, QUEUE_WHEN_UNLOADED="true").start() as server:
        yield server


def joined(path: Path, *parts: Path | float) -> Path:
    """A WAV of these recordings and of silences, in seconds."""
    samples = [
        np.zeros(round(part * RATE), np.int16) if isinstance(part, float) else decoded(part)
        for part in parts
    ]
    return write_wav(path, np.concatenate(samples))


def said_in(job: dict[str, Any], language: str) -> list[str]:
    return [w for s in job["segments"] if s["language"] == language for w in words(s["text"])]


@pytest.mark.parametrize("pause", [0.5, 40.0], ids=["in one window", "far apart"])
@pytest.mark.parametrize("first", ["en", "de"])
def test_what_was_said_in_each_language_is_written_in_it(
    server: Server, tmp_path: Path, first: str, pause: float
) -> None:
    order = (ENGLISH, GERMAN) if first == "en" else (GERMAN, ENGLISH)
    job = transcribed(server, joined(tmp_path / "both.wav", order[0], pause, order[1]))
    assert errors(words(KENNEDY), said_in(job, "en")) <= 2, job["segments"]
    assert errors(words(ROOM), said_in(job, "de")) <= 4, job["segments"]
    assert job["language"] == "en", "most of the speech is English"


def test_the_language_that_was_asked_for_holds_for_all_of_it(
    server: Server, tmp_path: Path
) -> None:
    recording = joined(tmp_path / "both.wav", ENGLISH, 40.0, GERMAN)
    job = transcribed(server, recording, language="en")
    assert {segment["language"] for segment in job["segments"]} == {"en"}
