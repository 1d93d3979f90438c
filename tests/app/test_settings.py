import re
from pathlib import Path

import pytest

from app.settings import Settings, documented
from storage.errors import Unusable

GUIDE = Path(__file__).parent.parent.parent / "docs" / "guide.md"


def test_the_defaults_fit_a_single_box() -> None:
    settings = Settings.from_environment({})
    assert (settings.server.host, settings.server.port, settings.models.idle_timeout_secs) == (
        "127.0.0.1",
        8080,
        300,
    )
    assert settings.submissions.queue_when_unloaded is False


def test_every_kind_of_value_is_read() -> None:
    settings = Settings.from_environment(
        {
            "PORT": "9000",
            "DATA_DIR": "/srv/x",
            "IDLE_TIMEOUT_SECS": "1.5",
            "QUEUE_WHEN_UNLOADED": "Yes",
            "CORS_ORIGINS": "https://a, https://b",
            "WHISPER_MODEL": "  ",
        }
    )
    assert settings.server.port == 9000
    assert settings.server.data_dir == Path("/srv/x")
    assert settings.models.idle_timeout_secs == 1.5
    assert settings.submissions.queue_when_unloaded is True
    assert settings.server.cors_origins == ("https://a", "https://b")
    assert settings.models.whisper_model is None


def test_the_folders_are_the_same_wherever_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")

    def folders(**environment: str) -> tuple[Path, Path]:
        settings = Settings.from_environment(environment)
        return settings.server.data_dir, settings.models.whisper_models_dir

    home = Path("/home/ada/.local/share/whisperbox")
    assert folders() == (home, home / "models")
    assert folders(DATA_DIR="/srv/x") == (Path("/srv/x"), home / "models")
    elsewhere = Path("/mnt/share/whisperbox")
    assert folders(XDG_DATA_HOME="/mnt/share") == (elsewhere, elsewhere / "models")
    assert folders(XDG_DATA_HOME="no/path") == (home, home / "models")


def test_what_an_earlier_version_left_in_the_current_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "models" / "base").mkdir(parents=True)
    home = Path("~/.local/share/whisperbox").expanduser()
    settings = Settings.from_environment({})
    assert settings.server.data_dir == home
    assert settings.models.whisper_models_dir == home / "models"
    (tmp_path / "data" / "whisperbox.db").touch()
    (tmp_path / "models" / "base" / "model.bin").touch()
    settings = Settings.from_environment({})
    assert settings.server.data_dir == tmp_path / "data"
    assert settings.models.whisper_models_dir == tmp_path / "models"


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("PORT", "-1"), ("GPU_POLL_INTERVAL_SECS", "0"), ("LOG_LEVEL", "loud"),
     ("IDLE_TIMEOUT_SECS", "nan"), ("WHISPER_CPU_THREADS", "2.5"),
     ("CORS_ORIGINS", "front.example"), ("PUBLIC_URL", "box.example"),
     ("MODEL_ALIASES", "large"), ("FETCH_NETWORKS", "10.0.0.0/99"), ("WEBHOOK_SECRET", "whsec_!"),
     ("PUBLIC_URL", "https://box.example/?a=b"), ("CORS_ORIGINS", "https://front.example/")],
)  # fmt: skip
def test_a_value_that_does_not_fit_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(Unusable, match=f"^{name} (is|has|begins) "):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(("name", "default", "about"), documented())
def test_the_guide_describes_every_setting(name: str, default: str, about: str) -> None:
    row = re.search(rf"^\| `{name}` \| (.*?) \| (.*?) \|$", GUIDE.read_text(), re.MULTILINE)
    assert row, f"docs/guide.md has no row for {name}"
    assert row[1].strip("` ") == default
