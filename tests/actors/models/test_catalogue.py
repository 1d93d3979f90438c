from pathlib import Path

import pytest

from actors.models.catalogue import NAMES, Catalogue, knows_only_english, suitable_model
from storage.errors import Invalid


def test_every_name_has_its_place(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    for name in NAMES:
        assert catalogue.find(name).path == tmp_path / f"ggml-{name}.bin"
    assert {"tiny", "base.en", "large-v3", "large-v3-turbo-q5_0", "small-q8_0"} <= set(NAMES)


def test_a_file_placed_by_hand_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "ggml-mine.bin").touch()
    model = Catalogue(tmp_path).find("mine")
    assert (model.path, model.can_be_pulled) == (tmp_path / "ggml-mine.bin", False)


def test_of_two_forms_of_a_model_the_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "ggml-tiny.bin").touch()
    (tmp_path / "tiny").mkdir()
    catalogue = Catalogue(tmp_path)
    assert catalogue.find("tiny").path == tmp_path / "ggml-tiny.bin", "an empty folder is no model"
    (tmp_path / "tiny" / "model.bin").touch()
    model = catalogue.find("tiny")
    assert (model.path, model.can_be_pulled) == (tmp_path / "tiny", False)
    assert [each.path for each in catalogue.installed()] == [tmp_path / "tiny"]
    assert catalogue.may_be_requested("tiny")


def test_clients_may_ask_for_what_is_there_and_for_no_download(tmp_path: Path) -> None:
    (tmp_path / "ggml-tiny.bin").touch()
    catalogue = Catalogue(tmp_path)
    assert catalogue.may_be_requested("tiny")
    assert catalogue.may_be_requested("demo")
    assert not catalogue.may_be_requested("medium")


@pytest.mark.parametrize("name", ["", "huge", "../x", "/etc/passwd", "tiny.bin"])
def test_what_is_no_name_is_never_looked_up(tmp_path: Path, name: str) -> None:
    catalogue = Catalogue(tmp_path)
    assert not catalogue.may_be_requested(name)
    with pytest.raises(Invalid, match="there is no model"):
        catalogue.find(name)


@pytest.mark.parametrize(
    ("vram_mb", "cores", "name"),
    [(24_000, 2, "large-v3-turbo"), (1000, 8, "small-q8_0"), (None, 2, "base-q8_0")],
)
def test_the_default_fits_the_box(vram_mb: int | None, cores: int, name: str) -> None:
    assert suitable_model(vram_mb, cores) == name
    assert name in NAMES


@pytest.mark.parametrize(
    ("name", "english"),
    [
        ("tiny.en", True),
        ("small.en-q5_1", True),
        ("faster-distil-whisper-small.en", True),
        ("base", False),
        ("large-v3", False),
        ("my.engine", False),
    ],
)
def test_the_name_of_a_model_says_whether_it_knows_only_english(name: str, english: bool) -> None:
    assert knows_only_english(name) is english
