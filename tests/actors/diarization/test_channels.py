"""Who speaks when, from files with a speaker on each channel."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.diarization.channels import find
from actors.diarization.process import Diarization
from actors.media.decode_child import Recording
from tests.audio import babble, write_wav

SHARED = Path(__file__).parents[4] / "shared" / "speech" / "multi"
Samples = NDArray[np.int16]


def call(path: Path, left: Samples, right: Samples) -> Path:
    return write_wav(path, np.stack([left, right], axis=1))


def looked_at(path: str) -> Diarization:
    found = find(Recording(path))
    assert found is not None
    return found


def one_and_other() -> tuple[Samples, Samples]:
    """Three seconds of one, a pause, three seconds of the other."""
    one = babble((3.0, True), (4.0, False), seed=1)
    other = babble((4.0, False), (3.0, True), seed=2)
    return one, other


def covers(turns: object, label: str, start: float, end: float) -> bool:
    spans = [(t.start, t.end) for t in turns if t.label == label]  # type: ignore[attr-defined]
    inside = sum(min(e, end) - max(s, start) for s, e in spans if e > start and s < end)
    outside = sum(e - s for s, e in spans) - inside
    return inside > 0.6 * (end - start) and outside < 0.3


def test_each_channel_is_a_speaker(tmp_path: Path) -> None:
    found = looked_at(str(call(tmp_path / "a.wav", *one_and_other())))
    assert found.provider == "channels"
    assert covers(found.turns, "Speaker 1", 0.0, 3.0)
    assert covers(found.turns, "Speaker 2", 4.0, 7.0)


def test_a_channel_hears_the_other_speaker_without_being_taken_for_them(tmp_path: Path) -> None:
    one, other = one_and_other()
    left, right = one + other // 20, other + one // 20
    found = looked_at(str(call(tmp_path / "a.wav", left, right)))
    assert covers(found.turns, "Speaker 1", 0.0, 3.0)
    assert covers(found.turns, "Speaker 2", 4.0, 7.0)


def test_both_may_speak_at_once(tmp_path: Path) -> None:
    quiet = babble((1.0, False), seed=3)
    one = np.concatenate([babble((6.0, True), seed=1), quiet])
    other = np.concatenate([babble((5.0, False), (1.0, True), seed=2), quiet])
    found = looked_at(str(call(tmp_path / "a.wav", one, other)))
    assert covers(found.turns, "Speaker 2", 5.0, 6.0)
    assert covers(found.turns, "Speaker 1", 0.0, 6.0)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_mix_is_not_taken_for_a_call(tmp_path: Path, channels: int) -> None:
    one = babble((5.0, True))
    path = tmp_path / "a.wav"
    file = write_wav(path, one) if channels == 1 else call(path, one, one)
    assert find(Recording(str(file))) is None


def test_a_call_in_which_nobody_speaks_has_no_turns(tmp_path: Path) -> None:
    quiet = babble((3.0, False))
    assert looked_at(str(call(tmp_path / "a.wav", quiet, quiet))).turns == ()


@pytest.mark.skipif(not SHARED.exists(), reason="the shared recordings are not here")
def test_a_real_call_with_one_speaker_on_each_side() -> None:
    turns = looked_at(str(SHARED / "stereo_diarization.wav")).turns
    assert {turn.label for turn in turns} == {"Speaker 1", "Speaker 2"}
    assert all(0 <= turn.start < turn.end <= 5.0 for turn in turns)
