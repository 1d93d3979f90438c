import re
from pathlib import Path

import pytest

from actors.models.sources import (
    GGML_NAMES,
    NAMES,
    Form,
    can_be_pulled,
    download_mib,
    knows_only_english,
    source_of,
)


def test_a_model_comes_from_the_repository_of_its_form(tmp_path: Path) -> None:
    file = source_of(tmp_path / "ggml-base.bin")
    assert (file.repository, file.files) == ("ggerganov/whisper.cpp", ("ggml-base.bin",))
    folder = source_of(tmp_path / "base")
    assert folder.repository == "Systran/faster-whisper-base"
    assert {"model.bin", "config.json", "tokenizer.json"} == set(folder.files)
    distilled = source_of(tmp_path / "distil-large-v3.5")
    assert distilled.repository == "distil-whisper/distil-large-v3.5-ct2"


def test_quantised_models_are_ggml_and_distilled_ones_are_folders() -> None:
    assert {"tiny", "base.en", "large-v3", "large-v3-turbo-q5_0", "small-q8_0"} <= set(GGML_NAMES)
    assert can_be_pulled("base", Form.GGML)
    assert can_be_pulled("base", Form.CTRANSLATE2)
    assert not can_be_pulled("base-q8_0", Form.CTRANSLATE2)
    assert not can_be_pulled("distil-large-v3", Form.GGML)


@pytest.mark.parametrize(
    ("name", "mib"),
    [("tiny.en", 75), ("base-q8_0", 78), ("small-q5_1", 181), ("medium-q5_0", 514),
     ("large-v3-turbo", 1549), ("large-v3-turbo-q8_0", 834), ("large-v2", 2950),
     ("distil-small.en", 317)],
)  # fmt: skip
def test_the_size_of_a_download_is_about_right(name: str, mib: int) -> None:
    about = download_mib(name)
    assert about is not None
    assert abs(about - mib) <= 0.06 * mib


def test_every_name_that_can_be_downloaded_has_a_size_and_no_other_does() -> None:
    assert all(download_mib(name) for name in NAMES)
    assert download_mib("mine") is None
    assert download_mib("tiny-mine") is None
    assert all(re.fullmatch(r"[a-z0-9._-]+", name) for name in NAMES)


@pytest.mark.parametrize(
    ("name", "english"),
    [
        ("tiny.en", True),
        ("small.en-q5_1", True),
        ("faster-distil-whisper-small.en", True),
        ("distil-large-v3", True),
        ("base", False),
        ("large-v3", False),
        ("my.engine", False),
    ],
)
def test_the_name_of_a_model_says_whether_it_knows_only_english(name: str, english: bool) -> None:
    assert knows_only_english(name) is english
