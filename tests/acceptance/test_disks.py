"""A data folder that is read-only, or full. Real file systems, so these need the right to mount."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.server import Server
from tests.audio import spoken
from tests.scripted import scripted_model

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    folder = tmp_path / "disk"
    mounted = []

    def make(options: str) -> Path:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount file systems")
        mounted.append(folder)
        return folder

    yield make
    for each in mounted:
        subprocess.run(["umount", "-l", str(each)], check=True)


def filled(disk: Path) -> Path:
    """Fill a disk; returns the file that does it."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    return ballast


def test_a_read_only_data_folder_is_named(mount: Mount, tmp_path: Path) -> None:
    server = Server(tmp_path, DATA_DIR=mount("ro"))
    with pytest.raises(AssertionError, match="the log has no"):
        server.start()
    assert server.stop() == 1
    assert "cannot write to DATA_DIR" in server.log[-1]
    assert "Read-only file system" in server.log[-1]


def test_a_full_data_folder_refuses_uploads_and_loses_no_job(
    mount: Mount, start: Start, tmp_path: Path
) -> None:
    disk = mount("size=24m")
    server = start(DATA_DIR=disk)
    server.load()
    kept = server.submit(spoken(tmp_path / "small.wav"))
    ballast = filled(disk)
    response = server.http.post("/jobs", files={"audio": bytes(100_000)})
    assert response.status_code == 507
    assert int(response.headers["retry-after"]) > 0
    assert "space" in response.json()["error"]
    assert server.http.get("/health").status_code == 200
    ballast.unlink()
    assert server.ended(kept)["status"] == "done"
    assert server.ended(server.submit(spoken(tmp_path / "next.wav")))["status"] == "done"
    assert not list((disk / "spool").glob("*.part"))


def test_a_server_that_starts_on_a_full_disk_goes_on_with_its_jobs_once_there_is_room(
    mount: Mount, start: Start, tmp_path: Path
) -> None:
    disk = mount("size=24m")
    server = start(DATA_DIR=disk, QUEUE_WHEN_UNLOADED="true", WHISPER_MODEL_PATH="/nowhere.bin")
    kept = server.submit(spoken(tmp_path / "small.wav"))
    server.kill()
    ballast = filled(disk)
    server.settings["WHISPER_MODEL_PATH"] = scripted_model(
        tmp_path / "m.bin", "<|0.00|> Hi.<|1.00|>"
    )
    server.start()
    assert server.http.get("/health").status_code == 200
    assert server.job(kept)["status"] in ("queued", "running")
    ballast.unlink()
    server.until(lambda: server.job(kept)["status"] == "done", within=60)


def test_a_data_folder_that_is_deleted_ends_the_server(start: Start, tmp_path: Path) -> None:
    server = start()
    shutil.rmtree(tmp_path / "data")
    server.wait_for_log("was deleted or replaced while the server was running")
    server.until(lambda: not server.running)
    assert server.stop() == 1
