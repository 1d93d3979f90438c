"""A real recording with Whisper's real weights, through the whole server.

The recordings with faults are made here from the good one. They are of kinds that users of servers
like this one reported.
"""

import wave
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from storage.records import RATE
from tests.acceptance.heard import CLOSE_S, KENNEDY, said, transcribed, words
from tests.acceptance.server import Server
from tests.audio import write_wav
from tools.demo_model.evaluate import errors
from tools.real_weights import RealWeights

SAID = words(KENNEDY)
BEGINS, ENDS = 0.3, 10.6
"""Seconds: when the first word of the recording begins and the last one ends, by ear."""
MOST_WRONG = 2

Samples = NDArray[np.float32]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server(real_weights: RealWeights, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with CTranslate2, which is the faster engine."""
    yield from serving(real_weights.ctranslate2, tmp_path_factory.mktemp("ctranslate2"))


@pytest.fixture(scope="module")
def with_whisper_cpp(
    real_weights: RealWeights, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    yield from serving(real_weights.ggml, tmp_path_factory.mktemp("whisper_cpp"))


def serving(model: Path, folder: Path) -> Iterator[Server]:
    with Server(folder, WHISPER_MODEL_PATH=model, QUEUE_WHEN_UNLOADED="true").start() as server:
        yield server


@pytest.fixture(scope="module")
def speech(real_weights: RealWeights) -> Samples:
    with wave.open(str(real_weights.recording)) as file:
        assert file.getframerate() == RATE
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").astype(np.float32) / 2**15


def heard(server: Server, folder: Path, samples: Samples, **fields: str) -> dict[str, Any]:
    """The job of a recording; ``samples`` has one row for each channel, if there are several."""
    pcm = (np.clip(samples.T, -1, 1) * (2**15 - 1)).astype(np.int16)
    return transcribed(server, write_wav(folder / "recording.wav", pcm), **fields)


def check_words(job: dict[str, Any]) -> None:
    timed = [word for segment in job["segments"] for word in segment["words"]]
    assert len(timed) == len(said(job))
    assert all(a["start"] <= a["end"] <= b["start"] + 0.01 for a, b in pairwise(timed))
    assert all(0 < word["probability"] <= 1 for word in timed)


def check_evidence(job: dict[str, Any]) -> None:
    for segment in job["segments"]:
        assert segment["language"] == "en"
        assert -0.6 < segment["avg_logprob"] < 0
        assert segment.get("no_speech_prob", 0) < 0.6
        assert 0 < segment["compression_ratio"] < 2.4
        assert segment["speech_share"] > 0.7


def silence(secs: float) -> Samples:
    return np.zeros(round(secs * RATE), np.float32)


def noise(secs: float, level: float) -> Samples:
    return np.random.default_rng(0).normal(0, level, round(secs * RATE)).astype(np.float32)


def hum(samples: Samples) -> Samples:
    time_s = np.arange(len(samples)) / RATE
    return samples + 0.1 * np.sin(2 * np.pi * 50 * time_s).astype(np.float32)


FAULTS: dict[str, tuple[Callable[[Samples], Samples], float]] = {
    "none": (lambda speech: speech, 0.0),
    "a constant offset": (lambda speech: speech + 0.1, 0.0),
    "mains hum": (hum, 0.0),
    "one channel upside down": (lambda speech: np.stack([speech, -speech]), 0.0),
    "one channel silent": (lambda speech: np.stack([0 * speech, speech]), 0.0),
    "clipping": (lambda speech: np.clip(speech * 8, -1, 1), 0.0),
    "20 s of silence before it": (lambda speech: np.concatenate([silence(20), speech]), 20.0),
    "20 s of noise before it": (lambda speech: np.concatenate([noise(20, 0.05), speech]), 20.0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_all_that_was_said_comes_out_in_its_place(
    server: Server, speech: Samples, tmp_path: Path, fault: str
) -> None:
    change, shift_s = FAULTS[fault]
    job = heard(server, tmp_path, change(speech))
    assert errors(SAID, said(job)) <= MOST_WRONG, said(job)
    assert job["language"] == "en"
    assert job["segments"][0]["start"] == pytest.approx(shift_s + BEGINS, abs=CLOSE_S)
    assert job["segments"][-1]["end"] == pytest.approx(shift_s + ENDS, abs=CLOSE_S)


def test_whisper_cpp_hears_the_same_and_has_evidence_for_it(
    with_whisper_cpp: Server, speech: Samples, tmp_path: Path
) -> None:
    job = heard(with_whisper_cpp, tmp_path, speech, word_timestamps="true")
    assert errors(SAID, said(job)) <= MOST_WRONG, said(job)
    assert job["segments"][0]["start"] == pytest.approx(BEGINS, abs=CLOSE_S)
    assert job["segments"][-1]["end"] == pytest.approx(ENDS, abs=CLOSE_S)
    check_words(job)
    check_evidence(job)


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_both_engines_know_all_qualities(
    server: Server, with_whisper_cpp: Server, speech: Samples, tmp_path: Path, quality: str
) -> None:
    for each in (server, with_whisper_cpp):
        job = heard(each, tmp_path, speech, quality=quality)
        assert errors(SAID, said(job)) <= MOST_WRONG, said(job)


def test_what_is_said_twice_is_written_twice(
    server: Server, speech: Samples, tmp_path: Path
) -> None:
    job = heard(server, tmp_path, np.concatenate([speech, silence(20), speech]))
    assert errors(SAID + SAID, said(job)) <= 2 * MOST_WRONG, said(job)


def test_every_word_has_its_time_and_its_probability(
    server: Server, speech: Samples, tmp_path: Path
) -> None:
    job = heard(server, tmp_path, speech, word_timestamps="true")
    check_words(job)


def test_clear_speech_has_evidence_for_it(server: Server, speech: Samples, tmp_path: Path) -> None:
    check_evidence(heard(server, tmp_path, speech))


@pytest.mark.parametrize("level", [0.001, 0.02, 0.2])
def test_noise_gives_no_text(server: Server, tmp_path: Path, level: float) -> None:
    assert heard(server, tmp_path, noise(15, level))["segments"] == []


def test_english_that_is_to_be_translated_stays_as_it_is(
    server: Server, speech: Samples, tmp_path: Path
) -> None:
    job = heard(server, tmp_path, speech, task="translate", language="en")
    assert errors(SAID, said(job)) <= MOST_WRONG, said(job)
