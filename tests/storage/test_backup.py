import tarfile
from pathlib import Path

import anyio
import pytest

from storage.backup import backup
from storage.database import DATABASE, open_database
from storage.jobs import Jobs
from storage.records import Order

NOW = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Three queued jobs: one with its recording, one without, one that is not downloaded yet."""
    folder = tmp_path / "data"
    (folder / "spool").mkdir(parents=True)

    async def fill() -> None:
        async with open_database(folder / DATABASE) as database:
            jobs = Jobs(database)
            await jobs.insert("here", Order(), 5, NOW)
            await jobs.insert("gone", Order(), 5, NOW)
            await jobs.insert("linked", Order(source_url="http://host/a.wav"), None, NOW)

    anyio.run(fill)
    (folder / "spool" / "here.input").write_bytes(b"sound")
    return folder


def test_a_recording_that_is_gone_is_left_out_and_said(data_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.tar"
    written = backup(data_dir, target)
    assert written.left_out == ("gone",)
    assert written.size == target.stat().st_size
    with tarfile.open(target) as archive:
        assert sorted(archive.getnames()) == ["spool/here.input", DATABASE]
        content = archive.extractfile("spool/here.input")
        assert content
        assert content.read() == b"sound"


def test_a_recording_that_is_deleted_while_it_is_copied_is_copied_whole(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = tarfile.TarFile.addfile

    def deleted_first(self: tarfile.TarFile, info: tarfile.TarInfo, file: object = None) -> None:
        if info.name != DATABASE:
            (data_dir / info.name).unlink()
        add(self, info, file)  # type: ignore[arg-type]

    monkeypatch.setattr(tarfile.TarFile, "addfile", deleted_first)
    backup(data_dir, tmp_path / "copy.tar")
    with tarfile.open(tmp_path / "copy.tar") as archive:
        assert archive.getmember("spool/here.input").size == 5
