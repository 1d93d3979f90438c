"""A watched folder."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.server import Server

TEXT = "Hello world.\nHow are you?\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "recordings"
    path.mkdir()
    return path


def jobs(server: Server) -> int:
    return len(server.http.get("/jobs").json()["jobs"])


def test_a_recording_is_transcribed_once_and_its_transcript_lies_beside_it(
    start: Start, folder: Path, clip: Path
) -> None:
    shutil.copy(clip, folder / "there before.wav")
    server = start(WATCH_DIR=folder, WATCH_FORMATS="txt, srt, json")
    place = folder / "2026" / "Grüße 1.wav"
    place.parent.mkdir()
    with clip.open("rb") as source, place.open("wb") as growing:
        growing.write(source.read(20_000))
        growing.flush()
        server.until((folder / "there before.json").exists)
        growing.write(source.read())
    whole = place.with_suffix(".json")  # it is written last, and again when the copy went on

    def heard() -> list[str]:
        found = json.loads(whole.read_text()) if whole.exists() else {"segments": []}
        return [segment["text"] for segment in found["segments"]]

    server.until(lambda: heard() == TEXT.splitlines())
    assert place.with_suffix(".txt").read_text() == TEXT
    assert place.with_suffix(".srt").read_text().startswith("1\n00:00:00,")
    server.kill()
    (folder / "there before.txt").write_text("corrected by hand")
    server.start()
    server.wait_for_log("watching the folder")
    shutil.copy(clip, folder / "new.wav")
    server.until((folder / "new.json").exists)
    assert (folder / "there before.txt").read_text() == "corrected by hand"
    assert jobs(server) >= 3
    assert {job["filename"] for job in server.http.get("/jobs").json()["jobs"]} == {
        "there before.wav", "Grüße 1.wav", "new.wav",
    }  # fmt: skip


def test_a_kill_at_any_moment_costs_no_recording_and_repeats_none(
    start: Start, folder: Path, clip: Path, tmp_path: Path
) -> None:
    output = tmp_path / "transcripts"
    server = start(WATCH_DIR=folder, WATCH_OUTPUT=output)
    for n in range(3):
        shutil.copy(clip, folder / f"{n}.wav")
    server.until(lambda: jobs(server) > 0)
    server.kill()
    server.start()
    server.until(lambda: len(list(output.glob("*.txt"))) == 3)
    assert jobs(server) == 3
    assert list(folder.glob("*.txt")) == []


def test_a_failure_leaves_its_sentence_until_the_recording_is_mended(
    start: Start, folder: Path, clip: Path
) -> None:
    broken = folder / "a.wav"
    broken.write_bytes(b"no audio" * 100)
    server = start(WATCH_DIR=folder)
    error = folder / "a.error.txt"
    server.until(error.exists)
    assert error.read_text().strip() == (
        "the file is not audio or video in any format FFmpeg understands"
    )
    shutil.copy(clip, broken)
    server.until(lambda: (folder / "a.txt").exists() and not error.exists())
    assert (folder / "a.txt").read_text() == TEXT


def test_a_folder_that_is_away_is_waited_for(start: Start, tmp_path: Path, clip: Path) -> None:
    folder = tmp_path / "share"
    server = start(WATCH_DIR=folder)
    server.wait_for_log(r"cannot read WATCH_DIR .*: No such file or directory")
    assert server.http.get("/health").status_code == 200
    assert server.running


def test_an_unknown_format_is_refused_at_the_start(start: Start, folder: Path) -> None:
    settings = {"WATCH_DIR": folder, "WATCH_FORMATS": "txt,docx"}
    server = Server(folder, **settings)
    server.settings.update(settings)
    with pytest.raises(AssertionError, match="WATCH_FORMATS has 'docx', but may have txt, srt"):
        server.start()


def test_a_recording_that_replaces_another_is_transcribed_anew(
    start: Start, folder: Path, clip: Path, talk: Path
) -> None:
    place = folder / "a.wav"
    shutil.copy(clip, place)
    server = start(WATCH_DIR=folder)
    server.until((folder / "a.txt").exists)
    first = (folder / "a.txt").stat().st_mtime
    shutil.copy(talk, folder / "b.wav.part")
    os.replace(folder / "b.wav.part", place)
    server.until(lambda: (folder / "a.txt").stat().st_mtime > first, within=60)
    assert len((folder / "a.txt").read_text()) > len(TEXT)


def test_a_file_that_is_not_the_servers_is_never_written_over(
    start: Start, folder: Path, clip: Path
) -> None:
    notes = folder / "a.txt"
    notes.write_text("my own notes")
    shutil.copy(clip, folder / "a.wav")
    server = start(WATCH_DIR=folder)
    server.until((folder / "a.transcript.txt").exists)
    assert (folder / "a.transcript.txt").read_text() == TEXT
    assert notes.read_text() == "my own notes"


def test_a_name_that_is_no_utf8_ends_nothing(start: Start, folder: Path, clip: Path) -> None:
    odd = os.fsencode(folder) + b"/caf\xe9.wav"
    shutil.copy(os.fsencode(clip), odd)
    server = start(WATCH_DIR=folder)
    server.until(lambda: os.path.exists(os.fsencode(folder) + b"/caf\xe9.txt"))
    assert server.running
    assert jobs(server) == 1
