from pathlib import Path

import pytest

from actors.models.weights import Unavailable, Weights, inspect
from storage.errors import Invalid
from tests.scripted import DEMO
from tests.scripted_folder import scripted_folder


def test_a_whole_model_is_described(scripted: Path) -> None:
    weights = inspect(scripted)
    assert weights.bytes == scripted.stat().st_size
    assert (weights.audio_state, weights.audio_layers, weights.multilingual) == (64, 1, True)


def test_the_demo_model_is_whole_and_small() -> None:
    assert inspect(DEMO).bytes <= 8 * 2**20


@pytest.mark.parametrize(
    ("name", "mib", "state", "layers", "measured_mb"),
    [("tiny", 74, 384, 4, 273), ("base", 141, 512, 6, 388), ("small", 465, 768, 12, 852),
     ("medium", 1463, 1024, 24, 2150), ("large", 2951, 1280, 32, 3951)],
)  # fmt: skip
def test_the_estimate_fits_what_whisper_cpp_documents(
    name: str, mib: int, state: int, layers: int, measured_mb: int
) -> None:
    weights = Weights(Path(name), mib << 20, state, layers, True)
    assert weights.memory_mb == pytest.approx(measured_mb, rel=0.08)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999])
def test_a_file_cut_short_is_not_complete(scripted: Path, tmp_path: Path, share: float) -> None:
    data = scripted.read_bytes()
    cut = tmp_path / "cut.bin"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(Invalid, match="not complete"):
        inspect(cut)


def test_other_files_are_no_models(tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(b"GGUF" + bytes(1000))
    with pytest.raises(Invalid, match="not in ggml's format"):
        inspect(other)
    with pytest.raises(Invalid, match="No such file"):
        inspect(tmp_path / "missing.bin")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_folder(tmp_path_factory.mktemp("models") / "hello", "<|0.00|> Hello.<|2.00|>")


def test_a_folder_for_ctranslate2_is_described(folder: Path) -> None:
    weights = inspect(folder)
    assert weights.path == folder
    assert weights.bytes == (folder / "model.bin").stat().st_size
    assert (weights.audio_state, weights.multilingual) == (64, True)


@pytest.mark.parametrize("share", [0.00001, 0.01, 0.5, 0.999])
def test_a_folder_whose_weights_are_cut_short_is_not_complete(
    folder: Path, tmp_path: Path, share: float
) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = (folder / "model.bin").read_bytes()
    (tmp_path / "model.bin").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(Unavailable, match="not complete"):
        inspect(tmp_path)


def test_a_folder_that_misses_a_file_says_which(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(Unavailable, match=r"has no tokenizer\.json"):
        inspect(tmp_path)


def test_a_folder_with_another_model_is_not_for_us(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = (folder / "model.bin").read_bytes()
    (tmp_path / "model.bin").write_bytes(data.replace(b"WhisperSpec", b"GPTJaxySpec", 1))
    with pytest.raises(Invalid, match="not a Whisper model"):
        inspect(tmp_path)


def test_absurd_sizes_are_damage_and_allocate_nothing(scripted: Path, tmp_path: Path) -> None:
    data = bytearray(scripted.read_bytes())
    data[4:8] = (1 << 30).to_bytes(4, "little")
    damaged = tmp_path / "damaged.bin"
    damaged.write_bytes(data)
    with pytest.raises(Invalid, match="damaged"):
        inspect(damaged)
