"""Who speaks when, by their voices."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.diarization import voices
from actors.diarization.voices import SHORTEST_S, WINDOW_S, complete, find, looks, turns
from actors.media.decode_child import Recording
from storage.records import Turn
from tests.audio import write_wav
from tests.scripted_voices import dull, quiet, scripted_voices, sharp

SHARED = Path(__file__).parents[4] / "shared"
REAL = Path(os.environ.get("SPEAKER_MODELS", SHARED / "models" / "speakers"))
SAMPLE = SHARED / "speech" / "multi" / "pyannote_sample.wav"
EDGE_S = 0.2


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_voices(tmp_path_factory.mktemp("voices"))


def recording(path: Path, *parts: NDArray[np.int16]) -> Recording:
    return Recording(str(write_wav(path / "a.wav", np.concatenate(parts))))


def rough(found: tuple[Turn, ...]) -> list[tuple[float, float, str]]:
    return [(round(turn.start), round(turn.end), turn.label) for turn in found]


def test_two_who_take_turns_are_told_apart(models: Path, tmp_path: Path) -> None:
    path = recording(tmp_path, dull(3), quiet(1), sharp(3), quiet(1), dull(2, seed=1))
    found = find(path, models, 10, 1)
    assert found.provider == "voices"
    assert rough(found.turns) == [
        (0, 3, "Speaker 1"), (4, 7, "Speaker 2"), (8, 10, "Speaker 1"),
    ]  # fmt: skip


def test_who_follows_without_a_pause_is_somebody_else(models: Path, tmp_path: Path) -> None:
    found = find(recording(tmp_path, dull(6), sharp(6)), models, 10, 1)
    first, second = found.turns
    assert (first.label, second.label) == ("Speaker 1", "Speaker 2")
    assert abs(first.end - 6) < voices.STEP_S


def test_there_are_no_more_speakers_than_there_may_be(models: Path, tmp_path: Path) -> None:
    found = find(recording(tmp_path, dull(3), quiet(1), sharp(3)), models, 1, 1)
    assert {turn.label for turn in found.turns} == {"Speaker 1"}


def test_a_speaker_stays_the_same_from_part_to_part(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "BLOCK_S", 10)
    monkeypatch.setattr(voices, "MAX_COMPARED", 4)
    path = recording(tmp_path, dull(4), sharp(4), dull(4, seed=1), sharp(4, seed=1))
    assert [turn.label for turn in find(path, models, 10, 1).turns] == [
        "Speaker 1", "Speaker 2", "Speaker 1", "Speaker 2",
    ]  # fmt: skip


def test_where_nobody_speaks_there_are_no_turns(models: Path, tmp_path: Path) -> None:
    assert find(recording(tmp_path, quiet(5)), models, 10, 1).turns == ()


def test_one_model_of_the_two_is_not_enough(models: Path, tmp_path: Path) -> None:
    assert complete(models)
    (tmp_path / "segmentation.onnx").touch()
    assert not complete(tmp_path)


@given(st.floats(0, 1e5), st.floats(0, 300))
def test_looks_make_up_the_stretch_and_stay_in_it(start: float, length: float) -> None:
    end = start + length
    made = list(looks(start, end))
    if end - start < SHORTEST_S:
        assert not made
        return
    pieces = [piece for piece, _ in made]
    assert (pieces[0][0], pieces[-1][1]) == (start, end)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    for (a, b), (begin, over) in made:
        assert a < b
        assert start - 1e-6 <= begin < over <= end + 1e-6
        assert over - begin <= WINDOW_S + 1e-6


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(0.1, 10), st.integers(0, 4)), max_size=30))
def test_turns_hold_all_that_was_heard_and_begin_in_order(
    heard: list[tuple[float, float, int]],
) -> None:
    pieces = [(start, start + length) for start, length, _ in heard]
    made = turns(pieces, [label for *_, label in heard])
    assert [turn.start for turn in made] == sorted(turn.start for turn in made)
    assert len({turn.label for turn in made}) == len({label for *_, label in heard})
    for start, end in pieces:
        assert any(turn.start <= start and end <= turn.end for turn in made)
    firsts = list(dict.fromkeys(turn.label for turn in made))
    assert firsts == [f"Speaker {n + 1}" for n in range(len(firsts))]


@pytest.mark.skipif(not complete(REAL), reason="the models for voices are not here")
@pytest.mark.skipif(not SAMPLE.exists(), reason="the shared recordings are not here")
def test_a_real_conversation_has_its_two_speakers() -> None:
    found = find(Recording(str(SAMPLE)), REAL, 10, 2).turns
    assert {turn.label for turn in found} == {"Speaker 1", "Speaker 2"}
    rows = [row.split() for row in SAMPLE.with_suffix(".rttm").read_text().splitlines()]
    middles = {float(r[3]) + float(r[4]) / 2: r[7] for r in rows if float(r[4]) > 2}
    names = {who: {t.label for t in found if t.start < at < t.end} for at, who in middles.items()}
    assert len({frozenset(each) for each in names.values()}) == 2
