"""The speakers child, and what it says where it cannot tell."""

import sys
from pathlib import Path

import pytest

from actors.diarization import child
from actors.diarization.process import Diarization, find
from actors.diarization.settings import DiarizationSettings
from actors.media.decode_child import Recording
from tests.audio import a_call, spoken
from tests.scripted_voices import scripted_voices

pytestmark = pytest.mark.anyio

SETTINGS = DiarizationSettings(diarization_timeout_secs=60)


async def diarized(
    recording: Path, models: Path, settings: DiarizationSettings = SETTINGS
) -> Diarization:
    return await find(recording, settings=settings, models=models, threads=1)


async def test_the_child_says_who_speaks_in_a_call_without_any_model(tmp_path: Path) -> None:
    found = await diarized(a_call(tmp_path / "a.wav"), tmp_path / "none")
    assert {turn.label for turn in found.turns} == {"Speaker 1", "Speaker 2"}


async def test_the_child_tells_voices_apart_with_the_models(tmp_path: Path) -> None:
    found = await diarized(spoken(tmp_path / "a.wav", [3.0]), scripted_voices(tmp_path / "models"))
    assert (found.provider, [turn.label for turn in found.turns]) == ("voices", ["Speaker 1"])


async def test_without_the_models_it_says_that_they_are_wanted(tmp_path: Path) -> None:
    found = await diarized(spoken(tmp_path / "a.wav"), tmp_path / "none")
    assert found.needs_voice_models
    assert "one speaker on each channel" in found.unavailable


def test_without_the_extra_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)
    found = child.find(Recording(str(spoken(tmp_path / "a.wav"))), tmp_path, 10, 1)
    assert "the extra 'diarization'" in found.unavailable
    assert not found.needs_voice_models


async def test_a_file_that_cannot_be_decoded_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no audio")
    found = await diarized(tmp_path / "a.wav", tmp_path)
    assert found.unavailable == "the recording could not be looked at"


async def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    hurry = DiarizationSettings(diarization_timeout_secs=0.01)
    with pytest.raises(TimeoutError):
        await diarized(spoken(tmp_path / "a.wav"), tmp_path, hurry)
