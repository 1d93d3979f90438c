from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from actors.media.timeline import FRAMES_OF_PROOF, LONGEST_GAP_S, Timeline

FRAME_S = 0.02


@dataclass
class Frame:
    """As PyAV has them: 20 ms at 48 kHz."""

    pts: int | None
    samples: int = 960
    sample_rate: int = 48_000
    time_base: Fraction = Fraction(1, 48_000)


def silences(*times: float | None) -> list[float]:
    """The silence before each frame; ``times``: the frames' stamps in seconds."""
    frames = [Frame(None if at is None else round(at * 48_000)) for at in times]
    placed = list(Timeline(0.0).placed(iter(frames)))
    assert [frame for frame, _ in placed] == frames
    return [round(silence, 3) for _, silence in placed]


def steady(count: int, start: float = 0.0) -> list[float]:
    return [start + FRAME_S * n for n in range(count)]


def test_a_gap_is_silence_before_the_first_frame_after_it() -> None:
    assert silences(*steady(10), *steady(10, 3.2)) == [0.0] * 10 + [3.0] + [0.0] * 9


def test_what_begins_late_has_silence_before_it() -> None:
    assert silences(*steady(10, 4.84))[0] == 4.84


def test_a_clock_that_goes_back_is_set_anew() -> None:
    assert silences(*steady(10, 0.0), *steady(10, -7.0), *steady(10, -6.3)) == (
        [0.0] * 20 + [0.5] + [0.0] * 9
    )


def test_a_clock_that_leaps_ahead_is_set_anew() -> None:
    assert silences(*steady(10), *steady(10, 2 * LONGEST_GAP_S)) == [0.0] * 20


def test_frames_without_stamps_follow_one_another() -> None:
    assert silences(0.0, None, None, 0.06, None) == [0.0] * 5


@given(st.integers(0, 29), st.integers(1, FRAMES_OF_PROOF - 1), st.floats(-10_000, 10_000))
def test_a_few_damaged_stamps_make_no_silence(at: int, count: int, off: float) -> None:
    times = [time + off if at <= n < at + count else time for n, time in enumerate(steady(40))]
    assert silences(*times) == [0.0] * 40
