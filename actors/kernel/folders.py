"""Where data and models are kept if nobody says so: the same places from whichever folder a command
is run."""

import os
from collections.abc import Mapping
from pathlib import Path

from storage.database import DATABASE

DATA = Path("~/.local/share/whisperbox")
"""Or ``whisperbox`` in XDG_DATA_HOME (https://specifications.freedesktop.org/basedir-spec/)."""
MODELS = DATA / "models"


def usual(folder: Path, environment: Mapping[str, str]) -> Path:
    """`DATA` or `MODELS` on this computer; for data and models that an earlier version has put
    into the folders ``data`` and ``models`` of the current folder: those."""
    before = Path("data") if folder == DATA else Path("models")
    if (before / DATABASE).is_file() if folder == DATA else _has_models(before):
        return before.absolute()
    home = environment.get("XDG_DATA_HOME", "")
    if os.path.isabs(home):  # others are to be ignored, says the specification
        return Path(home) / folder.relative_to(DATA.parent)
    return folder.expanduser()


def _has_models(folder: Path) -> bool:
    return any(folder.glob("*.bin")) or any(folder.glob("*/model.bin"))
