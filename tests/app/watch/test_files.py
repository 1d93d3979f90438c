"""The files of a watched folder."""

import os
from pathlib import Path

import pytest

from app.watch import files
from app.watch.files import Recording, all_since, copy_unchanged, recordings, write_beside


def put(folder: Path, name: str, content: bytes = b"sound") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_recordings_are_found_in_all_subfolders(tmp_path: Path) -> None:
    for name in ("a.mp3", "b/c/Grüße 1.WAV", "d.opus"):
        put(tmp_path, name)
    assert sorted(each.name for each in recordings(tmp_path)) == [
        "a.mp3", "b/c/Grüße 1.WAV", "d.opus",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["a.txt", "a.mp3.part", "a.mp3.crdownload", ".a.mp3", ".trash/a.mp3", "b/.sync/a.mp3", "mp3"],
)
def test_what_is_no_recording_or_not_whole_is_left_alone(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert recordings(tmp_path) == []


def test_an_empty_file_is_no_recording_yet(tmp_path: Path) -> None:
    put(tmp_path, "a.mp3", b"")
    assert recordings(tmp_path) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        recordings(tmp_path / "unmounted")


def output(recording: Recording, folder: Path | None = None) -> str:
    top = folder or recording.folder
    return recording.output(folder, "srt").relative_to(top).as_posix()


def test_the_transcript_has_the_recordings_name(tmp_path: Path) -> None:
    put(tmp_path, "films/A film.2024.mkv")
    (found,) = recordings(tmp_path)
    assert output(found) == "films/A film.2024.srt"
    assert output(found, tmp_path / "elsewhere") == "films/A film.2024.srt"


def test_of_two_recordings_with_one_name_each_has_its_own_transcript(tmp_path: Path) -> None:
    put(tmp_path, "a.mp3")
    put(tmp_path, "a.wav")
    put(tmp_path, "b/a.wav")
    assert sorted(map(output, recordings(tmp_path))) == ["a.mp3.srt", "a.wav.srt", "b/a.srt"]


def test_a_recording_that_is_changed_while_it_is_copied_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "a.mp3")
    (found,) = recordings(tmp_path)
    target = tmp_path / "copy"
    assert copy_unchanged(found, target)
    assert target.read_bytes() == b"sound"

    def copy_and_grow(source: Path, to: Path) -> None:
        to.write_bytes(source.read_bytes())
        path.write_bytes(b"sound and more")

    monkeypatch.setattr(files.shutil, "copyfile", copy_and_grow)
    assert not copy_unchanged(found, target)
    assert not target.exists()


def test_whoever_may_read_the_recording_may_read_its_transcript(tmp_path: Path) -> None:
    put(tmp_path, "a.mp3").chmod(0o754)
    (found,) = recordings(tmp_path)
    write_beside(found, tmp_path / "new" / "a.txt", "Grüße\n")
    (path,) = (tmp_path / "new").iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("a.txt", 0o644)


def test_files_are_told_apart_by_when_they_were_written(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt")
    os.utime(path, (1000, 1000))
    assert all_since([path], 1000)
    assert not all_since([path], 1001)
    assert not all_since([path, tmp_path / "b.txt"], 0)
