import errno
from pathlib import Path

import pytest

from storage.blobs import REMOVING_SUFFIX, Spool
from storage.errors import NoSpace


def test_an_upload_that_was_kept_has_its_name_and_bytes(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with spool.receiving("a") as file:
        file.write(b"one ")
        file.write(b"two")
        file.keep()
    assert spool.input("a").read_bytes() == b"one two"
    assert [path.name for path in spool.files()] == ["a.input"]


def test_an_upload_that_broke_off_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Spool(tmp_path).receiving("a") as file:
        file.write(b"half")
        raise RuntimeError("the client is gone")
    assert Spool(tmp_path).files() == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoSpace), Spool(tmp_path).receiving("a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert Spool(tmp_path).files() == []


def test_what_was_on_its_way_in_goes_and_what_was_on_its_way_out_is_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for name in ("a.input", "a.1234.part", "a.1234.page", f"b.input{REMOVING_SUFFIX}"):
        (tmp_path / name).touch()
    spool.clean_up()
    assert {path.name for path in spool.files()} == {"a.input", "b.input"}
