from pathlib import Path

import pytest

from actors.models.catalogue import Catalogue, suitable_models
from actors.models.sources import GGML_NAMES, NAMES, Form
from storage.errors import Invalid

GGML, FOLDER = Form.GGML, Form.CTRANSLATE2


def place_file(folder: Path, name: str) -> Path:
    path = folder / f"ggml-{name}.bin"
    path.touch()
    return path


def place_folder(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    (path / "model.bin").touch()
    return path


def test_every_name_has_its_place_in_the_better_of_its_forms(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, forms=(GGML, FOLDER))
    for name in NAMES:
        found = catalogue.find(name)
        is_file = name in GGML_NAMES
        assert found.path == tmp_path / (f"ggml-{name}.bin" if is_file else name)
        assert (found.form, found.can_be_pulled) == (GGML if is_file else FOLDER, True)
    assert Catalogue(tmp_path, forms=(FOLDER, GGML)).find("base").path == tmp_path / "base"
    assert Catalogue(tmp_path, forms=(FOLDER, GGML)).find("base-q8_0").form is GGML


def test_a_file_placed_by_hand_is_a_model(tmp_path: Path) -> None:
    path = place_file(tmp_path, "mine")
    model = Catalogue(tmp_path).find("mine")
    assert (model.path, model.can_be_pulled) == (path, False)


@pytest.mark.parametrize(("forms", "used"), [((FOLDER, GGML), "tiny"), ((GGML, FOLDER), "file")])
def test_of_two_forms_of_a_model_the_better_one_is_used(
    tmp_path: Path, forms: tuple[Form, ...], used: str
) -> None:
    file, folder = place_file(tmp_path, "tiny"), tmp_path / "tiny"
    folder.mkdir()
    catalogue = Catalogue(tmp_path, forms=forms)
    assert catalogue.find("tiny").path == file, "an empty folder is no model"
    (folder / "model.bin").touch()
    wanted = folder if used == "tiny" else file
    assert catalogue.find("tiny").path == wanted
    assert [each.path for each in catalogue.installed()] == [wanted]
    assert catalogue.may_be_requested("tiny")


@pytest.mark.parametrize("forms", [(FOLDER, GGML), (GGML, FOLDER)])
def test_a_model_that_is_here_in_one_form_is_not_downloaded_in_the_better_one(
    tmp_path: Path, forms: tuple[Form, ...]
) -> None:
    file = place_file(tmp_path, "tiny")
    folder = place_folder(tmp_path, "base")
    catalogue = Catalogue(tmp_path, forms=forms)
    assert catalogue.find("tiny").path == file
    assert catalogue.find("base").path == folder


def test_an_engine_that_is_set_uses_its_own_form_alone(tmp_path: Path) -> None:
    place_file(tmp_path, "mine")
    place_folder(tmp_path, "yours")
    place_folder(tmp_path, "base")
    whisper_cpp = Catalogue(tmp_path, forms=(GGML,))
    assert [model.name for model in whisper_cpp.installed()] == ["mine"]
    assert whisper_cpp.find("base").path == tmp_path / "ggml-base.bin"
    for catalogue, name, form in (
        (whisper_cpp, "yours", "CTranslate2"),
        (whisper_cpp, "distil-large-v3", "CTranslate2"),
        (Catalogue(tmp_path, forms=(FOLDER,)), "mine", "ggml"),
        (Catalogue(tmp_path, forms=(FOLDER,)), "base-q8_0", "ggml"),
    ):
        with pytest.raises(Invalid, match=f"ENGINE .* cannot load '{name}', which is {form}"):
            catalogue.find(name)
        assert not catalogue.may_be_requested(name)


def test_what_can_be_downloaded_is_not_here_and_has_a_form_that_may_be_used(tmp_path: Path) -> None:
    place_file(tmp_path, "tiny")
    names = [model.name for model in Catalogue(tmp_path, forms=(GGML,)).pullable()]
    assert set(names) == set(GGML_NAMES) - {"tiny"}
    assert {model.name for model in Catalogue(tmp_path).pullable()} == set(NAMES) - {"tiny"}


def test_clients_may_ask_for_what_is_there_and_for_no_download(tmp_path: Path) -> None:
    place_file(tmp_path, "tiny")
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
    ("vram_mb", "cores", "form", "names"),
    [
        (24_000, 2, GGML, ("large-v3-turbo",)),
        (1000, 8, GGML, ("small-q8_0",)),
        (None, 8, FOLDER, ("small", "small-q8_0")),
        (None, 2, FOLDER, ("base", "base-q8_0")),
        (None, 2, GGML, ("base-q8_0",)),
    ],
)
def test_the_default_fits_the_box(
    vram_mb: int | None, cores: int, form: Form, names: tuple[str, ...]
) -> None:
    assert suitable_models(vram_mb, cores, form) == names
    assert set(names) <= set(NAMES)
