import os
import stat
from pathlib import Path

import pytest

from storage.data_folder import locked_data_folder, make_private
from storage.errors import Fatal, Unusable


def test_a_data_folder_has_one_owner(tmp_path: Path) -> None:
    with locked_data_folder(tmp_path / "data"), pytest.raises(Unusable, match="another Whisperbox"):
        with locked_data_folder(tmp_path / "data"):
            pass
    with locked_data_folder(tmp_path / "data"):
        pass


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(Unusable, match="cannot write to DATA_DIR"),
        locked_data_folder(tmp_path / "file"),
    ):
        pass


def test_nobody_else_can_read_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        make_private()
        with locked_data_folder(tmp_path / "data") as folder:
            (folder.path / "spool" / "a.input").touch()
        found = {path: path.stat().st_mode for path in [folder.path, *folder.path.rglob("*")]}
    finally:
        os.umask(before)
    assert len(found) == 4
    assert not any(mode & (stat.S_IRWXG | stat.S_IRWXO) for mode in found.values())


def test_a_folder_that_is_still_there_passes(tmp_path: Path) -> None:
    with locked_data_folder(tmp_path / "data") as folder:
        folder.check()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_was_deleted_or_replaced_is_refused(tmp_path: Path, replaced: bool) -> None:
    path = tmp_path / "data"
    with locked_data_folder(path) as folder:
        path.rename(tmp_path / "elsewhere")
        if replaced:
            path.mkdir()
            (path / "lock").touch()
        with pytest.raises(Fatal, match="was deleted or replaced"):
            folder.check()
