import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from actors.media.silence import FRAME, levels
from actors.media.speech import UNIT, speech
from actors.media.voice import VoiceActivity
from storage.records import RATE
from tests.actors.media.recordings import Samples
from tests.audio import babble

PARTS = (1.0, False), (3.0, True), (2.0, False), (4.0, True), (1.0, False)
EDGES = [(1.0, 4.0), (6.0, 10.0)]


def heard(samples: Samples) -> list[tuple[float, float]]:
    whole = np.pad(samples, (0, -len(samples) % UNIT))
    found = speech(levels(samples.tobytes()), VoiceActivity().of(whole))
    return [(round(span.start / RATE, 1), round(span.end / RATE, 1)) for span in found]


def mixed(speech: Samples, noise: np.ndarray) -> Samples:
    return (speech + noise).clip(-32768, 32767).astype(np.int16)


def test_speech_is_found_where_it_begins_and_ends() -> None:
    assert heard(babble(*PARTS)) == EDGES


@pytest.mark.parametrize("offset", [600, 3000])
def test_a_constant_offset_hides_nothing(offset: int) -> None:
    samples = babble(*PARTS)
    assert heard(mixed(samples, np.full(len(samples), offset))) == EDGES


def test_mains_hum_hides_nothing() -> None:
    samples = babble(*PARTS)
    time = np.arange(len(samples)) / RATE
    hum = sum(2000 / k * np.sin(2 * np.pi * 50 * k * time) for k in (1, 3, 5))
    found = heard(mixed(samples, hum))
    assert np.allclose(found, EDGES, atol=0.25)


def test_noise_and_tones_and_knocks_are_no_speech() -> None:
    rng = np.random.default_rng(1)
    time = np.arange(20 * RATE) / RATE
    noise = rng.standard_normal(len(time)) * 3000
    knocks = noise * 3 * (time % 0.5 < 0.03)
    for sound in (noise, 8000 * np.sin(2 * np.pi * 440 * time), knocks):
        assert heard(sound.clip(-32768, 32767).astype(np.int16)) == []


def test_the_model_gives_the_same_for_a_recording_in_parts() -> None:
    samples = np.resize(babble((10.0, True)), 300 * UNIT)
    parts = VoiceActivity()
    found = np.concatenate([parts.of(samples[: 100 * UNIT]), parts.of(samples[100 * UNIT :])])
    assert np.abs(found.astype(int) - VoiceActivity().of(samples)).max() <= 1


@given(arrays(np.uint8, st.integers(0, 200)), st.data())
def test_spans_are_in_order_apart_and_inside(likelihood: np.ndarray, data: st.DataObject) -> None:
    frames = len(likelihood) * UNIT // FRAME
    level = data.draw(arrays(np.float32, frames, elements=st.floats(-100, 0, width=32)))
    found = speech(level, likelihood)
    edges = [edge for span in found for edge in (span.start, span.end)]
    assert edges == sorted(set(edges))
    assert not edges or (edges[0] >= 0 and edges[-1] <= frames * FRAME)
    if likelihood.max(initial=0) < 0.15 * 255:
        assert not found
