import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.media.silence import FRAME, levels, speech, take_whole, waveform
from storage.records import RATE
from tests.audio import babble


def seconds(*parts: tuple[float, bool], floor: float = 0.0005) -> list[tuple[float, float]]:
    found = speech(levels(babble(*parts, floor=floor).tobytes()))
    return [(round(s.start / RATE, 1), round(s.end / RATE, 1)) for s in found]


def tone(hertz: float) -> bytes:
    wave = 32767 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)
    return wave.astype(np.int16).tobytes()


def test_a_full_scale_tone_is_at_3_dbfs_below_a_square_wave() -> None:
    assert levels(tone(1000)) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("hertz", [0, 50, 60])
def test_hum_and_offsets_have_no_level(hertz: float) -> None:
    sound = tone(hertz) if hertz else np.full(RATE, 3000, np.int16).tobytes()
    assert levels(sound).max() < -40


def test_digital_silence_has_a_level() -> None:
    assert levels(bytes(2 * RATE)) == pytest.approx(-100)


def test_pauses_are_found_in_a_quiet_room() -> None:
    parts = (1.0, False), (3.0, True), (1.0, False), (2.0, True), (1.0, False)
    assert seconds(*parts) == [(1.0, 4.0), (5.0, 7.0)]


def test_pauses_are_found_in_a_noisy_room() -> None:
    # A floor of -38 dBFS, at which a fixed threshold of -30 dB and the like find none.
    parts = (1.0, False), (3.0, True), (1.0, False), (2.0, True), (1.0, False)
    assert seconds(*parts, floor=10 ** (-38 / 20)) == [(1.0, 4.0), (5.0, 7.0)]


@pytest.mark.parametrize("floor", [0.0, 0.0001, 0.01])
def test_nobody_speaks_in_noise_or_silence(floor: float) -> None:
    assert seconds((30.0, False), floor=floor) == []


def test_a_click_is_no_speech() -> None:
    samples = babble((4.0, False))
    samples[2 * RATE : 2 * RATE + 300] = 20_000
    assert speech(levels(samples.tobytes())) == []


def test_a_call_that_sends_nothing_between_words_keeps_its_quiet_words() -> None:
    call = babble((10.0, True), floor=0.003)
    call[2 * RATE : 4 * RATE] = 0
    call[7 * RATE : 8 * RATE] //= 50
    found = [
        (round(s.start / RATE, 1), round(s.end / RATE, 1)) for s in speech(levels(call.tobytes()))
    ]
    assert found == [(0.0, 2.0), (4.0, 10.0)]


@given(st.lists(st.floats(-100, 0, width=32), max_size=300))
def test_stretches_are_in_order_apart_and_inside(values: list[float]) -> None:
    level = np.array(values, np.float32)
    found = speech(level)
    edges = [edge for span in found for edge in (span.start, span.end)]
    assert edges == sorted(set(edges))
    assert not edges or (edges[0] >= 0 and edges[-1] <= len(values) * FRAME)


@given(st.lists(st.floats(-100, 0, width=32), min_size=1, max_size=300), st.integers(1, 50))
def test_a_waveform_shows_the_loudest_moment_at_full_height(level: list[float], parts: int) -> None:
    shown = waveform(np.array(level, np.float32), parts)
    assert len(shown) == min(parts, len(level))
    assert max(shown) == (255 if max(level) > -100 else 0)


def test_nothing_has_no_waveform() -> None:
    assert waveform(np.zeros(0, np.float32)) == b""


@given(st.binary(max_size=50), st.integers(1, 9), st.integers(0, 9))
def test_whole_blocks_are_taken_and_the_rest_stays(data: bytes, size: int, keep: int) -> None:
    held = bytearray(data)
    taken = take_whole(held, size, keep)
    assert taken + held == data
    assert len(taken) % size == 0
    assert min(keep, len(data)) <= len(held) < keep + size
