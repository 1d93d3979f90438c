from pathlib import Path
from typing import Any

import pytest

from actors.models.catalogue import Catalogue
from app.services.order_form import (
    LANGUAGE,
    LANGUAGES_SPOKEN,
    MODEL,
    QUALITY,
    TASK,
    Context,
    OrderForm,
)
from storage.records import Quality

POLICY: Any = None  # no field here asks for it
FIELDS = {"language": LANGUAGE, "languages": LANGUAGES_SPOKEN, "task": TASK, "model": MODEL,
          "quality": QUALITY}  # fmt: skip


def filled(folder: Path, default: str, **fields: str | list[str]) -> OrderForm:
    aliases = {"quick": "tiny.en"}
    named = {"base": folder / "base.bin", "tiny.en": folder / "tiny.en.bin"}
    catalogue = Catalogue(folder, named, aliases=aliases, default=default)
    form = OrderForm(FIELDS, Context(catalogue, POLICY))
    for name, value in fields.items():
        form.take(name, value)
    form.check_together()
    return form


@pytest.mark.parametrize("model", ["tiny.en", "quick"])
def test_a_model_for_english_takes_no_other_language(tmp_path: Path, model: str) -> None:
    form = filled(tmp_path, "base", language="de", model=model)
    assert form.errors == {
        "language": ["language 'de' needs another model: 'tiny.en' knows only English"]
    }


def test_a_default_model_for_english_makes_no_translation(tmp_path: Path) -> None:
    form = filled(tmp_path, "tiny.en", task="translate")
    assert form.errors == {
        "task": ["task 'translate' needs another model: 'tiny.en' knows only English"]
    }


@pytest.mark.parametrize(
    ("default", "fields"),
    [
        ("tiny.en", {}),
        ("tiny.en", {"language": "en", "task": "transcribe"}),
        ("tiny.en", {"language": "auto"}),
        ("tiny.en", {"language": "de", "model": "base"}),
        ("base", {"language": "de", "task": "translate"}),
    ],
)
def test_what_the_model_can_do_is_taken(
    tmp_path: Path, default: str, fields: dict[str, str]
) -> None:
    assert filled(tmp_path, default, **fields).errors == {}


def test_one_language_of_a_list_is_the_language_and_several_are_told_apart(tmp_path: Path) -> None:
    assert filled(tmp_path, "base", languages=["de"]).values["language"] == "de"
    several = filled(tmp_path, "base", languages=["de", "fr"])
    assert several.values == {"languages": ("de", "fr")}
    assert filled(tmp_path, "base", languages=["de"], language="fr").values["language"] == "fr"


def test_a_model_for_english_takes_a_list_of_languages_only_with_english(tmp_path: Path) -> None:
    assert filled(tmp_path, "tiny.en", languages=["de", "en"]).errors == {}
    assert filled(tmp_path, "tiny.en", languages=["de", "fr"]).errors == {
        "languages": ["these languages need another model: 'tiny.en' knows only English"]
    }


def test_a_quality_is_one_of_three(tmp_path: Path) -> None:
    assert filled(tmp_path, "base", quality="best").values == {"quality": Quality.BEST}
    assert filled(tmp_path, "base", quality="finest").errors == {
        "quality": ["quality must be 'fast', 'balanced' or 'best'"]
    }
