from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.models.catalogue import Catalogue, Model
from actors.models.downloads import PullFailed, pull
from actors.models.sources import Form
from tests.hub import Hub, hub
from tests.probe import dying
from tests.scripted_folder import scripted_folder

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(scripted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub(tiny=scripted.read_bytes(), base=b"no model at all" * 100) as place:
        monkeypatch.setenv("HF_ENDPOINT", place.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield place


def model(folder: Path, name: str = "tiny") -> Model:
    return Catalogue(folder, forms=(Form.GGML,)).find(name)


def in_a_folder(folder: Path, name: str) -> Model:
    return Catalogue(folder, forms=(Form.CTRANSLATE2,)).find(name)


@pytest.fixture
def published(place: Hub, tmp_path: Path) -> dict[str, bytes]:
    """The files of a CTranslate2 model, which the hub has."""
    folder = scripted_folder(tmp_path / "published", "<|0.00|> Hello.<|2.00|>")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    place.files |= files
    return files


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_folder_is_pulled_as_one_model_with_the_progress_of_all_its_files(
    published: dict[str, bytes], tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    await pull(in_a_folder(tmp_path, "base"), lambda done, total: seen.append((done, total)))
    assert files_of(tmp_path / "base") == published
    whole = sum(map(len, published.values()))
    assert seen == sorted(seen)
    assert seen[-1] == (whole, whole)
    assert not list(tmp_path.glob(".*")), "nothing is left beside it"


async def test_the_download_of_a_folder_goes_on_with_the_file_at_which_it_broke_off(
    published: dict[str, bytes], place: Hub, tmp_path: Path
) -> None:
    part = tmp_path / ".base.part"
    part.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (part / name).write_bytes(published[name])
    (part / "model.bin").write_bytes(published["model.bin"][:1000])
    await pull(in_a_folder(tmp_path, "base"), lambda *_: None)
    assert files_of(tmp_path / "base") == published
    assert place.ranges[0] == "bytes=1000-"


async def test_a_folder_with_a_file_that_is_wrong_is_certain_and_leaves_nothing(
    published: dict[str, bytes], place: Hub, tmp_path: Path
) -> None:
    place.files["model.bin"] = b"no model at all" * 100
    with pytest.raises(PullFailed, match="is not a Whisper model for CTranslate2") as failed:
        await pull(in_a_folder(tmp_path, "base"), lambda *_: None)
    assert failed.value.certain
    assert not list(tmp_path.glob("*base*"))


async def test_no_hub_says_where_the_files_of_a_folder_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(PullFailed, match=r"repository Systran/faster-whisper-base into .*/base"):
        await pull(in_a_folder(tmp_path, "base"), lambda *_: None)


async def test_a_model_is_pulled_into_its_place_with_visible_progress(
    place: Hub, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    await pull(model(tmp_path), lambda done, total: seen.append((done, total)))
    whole = place.files["ggml-tiny.bin"]
    assert (tmp_path / "ggml-tiny.bin").read_bytes() == whole
    assert seen[-1] == (len(whole), len(whole))


async def test_a_download_goes_on_where_an_earlier_process_was_ended(
    place: Hub, tmp_path: Path
) -> None:
    whole = place.files["ggml-tiny.bin"]
    (tmp_path / ".ggml-tiny.bin.part").write_bytes(whole[:2_000_000])
    await pull(model(tmp_path), lambda *_: None)
    assert (tmp_path / "ggml-tiny.bin").read_bytes() == whole
    assert place.ranges == ["bytes=2000000-"]


async def test_a_download_that_is_killed_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", dying(tmp_path / "python", '{"done": 1, "total": 2}'))
    with pytest.raises(PullFailed, match="broke off") as failed:
        await pull(model(tmp_path), lambda *_: None)
    assert not failed.value.certain


async def test_a_connection_that_breaks_off_is_taken_up_again(place: Hub, tmp_path: Path) -> None:
    place.breaks_after = 2_000_000
    await pull(model(tmp_path), lambda *_: None)
    assert (tmp_path / "ggml-tiny.bin").read_bytes() == place.files["ggml-tiny.bin"]


async def test_a_wrong_sha256_is_certain_and_leaves_nothing(place: Hub, tmp_path: Path) -> None:
    place.wrong_digest = True
    with pytest.raises(PullFailed, match="wrong sha256") as failed:
        await pull(model(tmp_path), lambda *_: None)
    assert failed.value.certain
    assert not list(tmp_path.rglob("*.bin"))


async def test_what_is_no_model_is_not_kept(place: Hub, tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="not in ggml's format") as failed:
        await pull(model(tmp_path, "base"), lambda *_: None)
    assert failed.value.certain
    assert not list(tmp_path.rglob("*.bin"))


async def test_a_name_that_the_hub_does_not_have_is_certain(place: Hub, tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match=r"the hub refuses ggml-small\.bin") as failed:
        await pull(model(tmp_path, "small"), lambda *_: None)
    assert failed.value.certain


async def test_no_hub_says_how_to_place_a_file_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with pytest.raises(PullFailed, match=r"put ggml-tiny\.bin .* into .*") as failed:
        await pull(model(tmp_path), lambda *_: None)
    assert not failed.value.certain
    assert "ggerganov/whisper.cpp" in failed.value.message
