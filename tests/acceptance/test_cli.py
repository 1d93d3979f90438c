"""The command, as a person types it."""

import json
import re
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest

from app.auth.operator import make_pass
from storage.accounts import SESSIONS_KEY, key_in
from storage.database import DATABASE
from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import Member
from tests.acceptance.server import Server
from tests.media_server import MediaServer, gives
from tests.scripted_folder import scripted_folder


def whisperbox(*arguments: object, **environment: object) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", **{name: str(value) for name, value in environment.items()}}
    command = [sys.executable, "-m", "app.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


@pytest.mark.parametrize(
    "command",
    [(), ("serve",), ("transcribe",), ("jobs",), ("models",), ("models", "pull"), ("doctor",),
     ("backup",)],
)  # fmt: skip
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    done = whisperbox(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: whisperbox")


def test_a_file_becomes_text_on_stdout_and_nothing_else(shared: Server, clip: Path) -> None:
    done = whisperbox("transcribe", clip, "--server", shared.http.base_url)
    assert (done.returncode, done.stdout) == (0, "Hello world.\nHow are you?\n")


def test_a_folder_becomes_files(shared: Server, clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes(clip.read_bytes())
    (folder / "notes.txt").touch()
    done = whisperbox(
        "transcribe", tmp_path / "in", "-f", "srt", "-o", tmp_path / "out",
        "--server", shared.http.base_url,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "out" / "deep").iterdir()
    assert sorted(path.name for path in made) == ["a.srt", "b.srt"]


def test_two_files_of_one_name_are_two_transcripts(
    shared: Server, clip: Path, tmp_path: Path
) -> None:
    names = ("x/talk.wav", "y/talk.wav", "y/talk.ogg")
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip.read_bytes())
    out, server = tmp_path / "out", ("--server", shared.http.base_url)
    done = whisperbox("transcribe", tmp_path / "in", "-f", "srt", "-o", out, *server)
    assert done.returncode == 0, done.stderr
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.srt"))
    assert made == ["x/talk.srt", "y/talk.ogg.srt", "y/talk.wav.srt"]
    named = [tmp_path / "in" / name for name in names[:2]]
    done = whisperbox("transcribe", *named, "-o", out, *server)
    assert (done.returncode, "would be one transcript" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("jobs", "--server", "foo"), "--server is 'foo'"),
        (("jobs", "--server", "{other}"), "is no Whisperbox server"),
        (("transcribe", "{clip}", "-o", "{clip}"), "cannot write to"),
        (("models", "pull", "tiny"), "cannot write to WHISPER_MODELS_DIR"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    web: MediaServer, clip: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    other = web.at("/jobs", gives(b"<h1>Another server</h1>")).removesuffix("/jobs")
    given = [each.format(other=other, clip=clip) for each in arguments]
    done = whisperbox(*given, WHISPER_MODELS_DIR=clip)
    assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_with_colons_is_put_in_brackets() -> None:
    done = whisperbox("jobs", HOST="::1", PORT=1)
    assert "no server answers at http://[::1]:1" in done.stderr


def test_json_has_the_words(shared: Server, clip: Path) -> None:
    done = whisperbox("transcribe", clip, "-f", "json", "--words", "--server", shared.http.base_url)
    assert json.loads(done.stdout)["segments"][0]["words"][0]["text"] == "Hello"


def test_a_bad_file_is_named_and_the_others_are_done(
    shared: Server, clip: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    done = whisperbox("transcribe", bad, clip, "--server", shared.http.base_url)
    assert done.returncode == 1
    assert "Hello world." in done.stdout
    assert "bad.wav: the file is not audio or video" in " ".join(done.stderr.split())


def test_the_command_waits_for_the_model(start: Start, clip: Path) -> None:
    done = whisperbox("transcribe", clip, "--server", start().http.base_url)
    assert (done.returncode, done.stdout) == (0, "Hello world.\nHow are you?\n"), done.stderr


def test_jobs_of_all_surfaces_are_listed_and_found_by_how_their_ids_begin(
    shared: Server, clip: Path
) -> None:
    server = ("--server", shared.http.base_url)
    native = shared.submit(clip)
    shared.ended(native)
    with clip.open("rb") as file:
        shared.http.post("/v1/audio/transcriptions", files={"file": ("voice.wav", file)})
    listed = whisperbox("jobs", *server).stdout
    assert native[:8] in listed
    assert "voice.wav" in listed
    shown = whisperbox("jobs", "show", native[:8], *server)
    assert native in shown.stderr
    assert shown.stdout == "00:00:00.000  Hello world.\n00:00:02.500  How are you?\n"
    refused = whisperbox("jobs", "cancel", native, *server)
    assert (refused.returncode, "already in terminal state done" in refused.stderr) == (1, True)
    assert whisperbox("jobs", "rm", native[:8], *server).returncode == 0
    assert whisperbox("jobs", "show", native[:8], *server).stderr == (
        f"whisperbox: there is no job whose id begins with {native[:8]}\n"
    )


def test_on_the_servers_own_box_its_operator_needs_no_token(
    start: Start, clip: Path, tmp_path: Path
) -> None:
    server = start(REQUIRE_TOKEN="true", QUEUE_WHEN_UNLOADED="true")
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    job = ann.upload(clip)
    here = {"DATA_DIR": server.settings["DATA_DIR"], "PORT": server.http.base_url.port}
    done = whisperbox("transcribe", clip, **here)
    assert done.stdout == "Hello world.\nHow are you?\n", done.stderr
    ann.ended(job["id"])
    listed = whisperbox("jobs", **here).stdout.splitlines()
    assert len(listed) == 1 + 2, "the one of the hub, and the operator's own"
    short_id = listed[-1].split()[0]
    assert "Hello world." in whisperbox("jobs", "show", short_id, **here).stdout
    assert whisperbox("jobs", "rm", short_id, **here).returncode == 0
    assert ann.ask("GET", f"/api/whisper/jobs/{job['id']}").status_code == 404
    elsewhere = here | {"DATA_DIR": tmp_path / "other"}
    assert "Unauthenticated." in whisperbox("jobs", **elsewhere).stderr


def test_an_operators_pass_is_no_account(start: Start) -> None:
    server = start(REQUIRE_TOKEN="true")
    key = key_in(server.folder / "data" / DATABASE, SESSIONS_KEY)
    assert key
    headers = {"Authorization": f"Bearer {make_pass(key)}"}
    assert server.http.get("/jobs", headers=headers).status_code == 200
    for path in ("/api/whisper/jobs", "/api/whisper/transcribe/jobs"):
        assert server.http.get(path, headers=headers).status_code == 401


def test_a_waiting_job_is_cancelled(start: Start, tmp_path: Path, clip: Path) -> None:
    server = start(WHISPER_MODEL_PATH=tmp_path / "away.bin", QUEUE_WHEN_UNLOADED="true")
    job_id = server.submit(clip)
    done = whisperbox("jobs", "cancel", job_id[:8], "--server", server.http.base_url)
    assert done.stderr == f"{job_id} is cancelled\n"


@pytest.mark.parametrize("name", ["Team interview.wav", "Grüße 你好.wav", 'a "quote" %20.wav'])
def test_a_file_keeps_its_name(shared: Server, clip: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(clip.read_bytes())
    assert whisperbox("transcribe", path, "--server", shared.http.base_url).returncode == 0
    assert shared.http.get("/jobs").json()["jobs"][0]["filename"] == name


def test_standard_input_is_transcribed(shared: Server, clip: Path) -> None:
    command = [sys.executable, "-m", "app.cli", "transcribe", "-", "--server"]
    done = subprocess.run(
        [*command, str(shared.http.base_url)], input=clip.read_bytes(), capture_output=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == b"Hello world.\nHow are you?\n"


def test_no_transcript_is_written_over_unless_that_is_asked_for(
    shared: Server, clip: Path, tmp_path: Path
) -> None:
    there = tmp_path / "clip.txt"
    there.write_text("corrected")
    command = ("transcribe", clip, "-o", tmp_path, "--server", shared.http.base_url)
    refused = whisperbox(*command)
    assert refused.returncode == 1
    assert f"{there} exists: --force writes over it" in refused.stderr
    assert there.read_text() == "corrected"
    assert whisperbox(*command, "--force").returncode == 0
    assert there.read_text() == "Hello world.\nHow are you?\n"


@pytest.mark.parametrize("command", [(), ("models",), ("user",), ("token",)])
def test_a_command_that_needs_another_prints_its_help(command: tuple[str, ...]) -> None:
    done = whisperbox(*command)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: whisperbox")
    assert "examples:\n  whisperbox" in done.stdout


def test_the_version_is_told() -> None:
    assert whisperbox("--version").stdout == f"whisperbox {metadata.version('whisperbox')}\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(("trancribe", "x"), "transcribe"), (("models", "pul"), "pull"), (("jobs", "shwo"), "show")],
)
def test_a_word_with_a_typing_error_gets_a_suggestion(typed: tuple[str, ...], meant: str) -> None:
    done = whisperbox(*typed)
    assert done.returncode == 2
    assert f"did you mean '{meant}'?" in done.stderr


def test_an_account_may_use_the_server_unless_that_is_not_wanted(tmp_path: Path) -> None:
    for name, words in (("ann", ()), ("bob", ("--not-yet",))):
        added = subprocess.run(
            [sys.executable, "-m", "app.cli", "user", "add", f"{name}@box.example", *words,
             "--password-stdin"],
            input="correct horse battery\n", text=True, timeout=60, check=True,
            env={"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path)},
        )  # fmt: skip
        assert added.returncode == 0
    ann, bob = whisperbox("user", "list", DATA_DIR=tmp_path).stdout.splitlines()[1:]
    assert "whisper.use" in ann
    assert "whisper.use" not in bob


def test_no_server_is_said_in_one_sentence() -> None:
    done = whisperbox("jobs", "--server", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "no server answers at http://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_backup_made_while_running_is_a_data_folder(
    start: Start, talk: Path, tmp_path: Path
) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true")
    job_id = server.submit(talk)
    done = whisperbox("backup", tmp_path / "copy.tar", DATA_DIR=tmp_path / "data")
    assert done.returncode == 0, done.stderr
    server.kill()
    with tarfile.open(tmp_path / "copy.tar") as archive:
        archive.extractall(tmp_path / "restored", filter="data")
    restored = start(DATA_DIR=tmp_path / "restored")
    assert restored.ended(job_id)["status"] == "done"


def test_models_are_listed_and_removed(tmp_path: Path, scripted: Path) -> None:
    (tmp_path / "ggml-tiny.bin").write_bytes(scripted.read_bytes())
    listed = whisperbox("models", "list", WHISPER_MODELS_DIR=tmp_path)
    assert re.search(r"base +140 MiB +CTranslate2 +about 100", listed.stdout)
    assert re.search(r"tiny +\d+ MiB +75 MiB +ggml", listed.stdout)
    assert re.search(r"large-v3-turbo +1,500 MiB +CTranslate2", listed.stdout)
    assert whisperbox("models", "rm", "tiny", WHISPER_MODELS_DIR=tmp_path).returncode == 0
    assert not (tmp_path / "ggml-tiny.bin").exists()
    again = whisperbox("models", "rm", "tiny", WHISPER_MODELS_DIR=tmp_path)
    assert (again.returncode, "has not been downloaded" in again.stderr) == (1, True)


def test_a_model_that_is_a_folder_is_listed_and_removed(tmp_path: Path) -> None:
    models = tmp_path / "models"
    scripted_folder(models / "mine", "<|0.00|> Hello.<|2.00|>")
    elsewhere = scripted_folder(tmp_path / "elsewhere", "<|0.00|> Hello.<|2.00|>")
    (models / "linked").symlink_to(elsewhere)
    listed = whisperbox("models", "list", WHISPER_MODELS_DIR=models)
    assert len(re.findall(r"(mine|linked) +\d+ MiB +CTranslate2", listed.stdout)) == 2
    for name in ("mine", "linked"):
        done = whisperbox("models", "rm", name, WHISPER_MODELS_DIR=models)
        assert done.returncode == 0, done.stderr
        assert not (models / name).exists()
    assert (elsewhere / "model.bin").exists(), "only the link is removed"


def test_the_doctor_names_what_is_wrong_and_the_cure(tmp_path: Path, scripted: Path) -> None:
    whole = whisperbox(
        "doctor", DATA_DIR=tmp_path, WHISPER_MODELS_DIR=tmp_path, WHISPER_MODEL="demo", PORT=0
    )
    assert whole.returncode == 0, whole.stdout
    cut = tmp_path / "ggml-tiny.bin"
    cut.write_bytes(scripted.read_bytes()[:1000])
    done = whisperbox(
        "doctor", DATA_DIR=tmp_path, WHISPER_MODELS_DIR=tmp_path, WHISPER_MODEL="tiny", PORT=0
    )
    assert done.returncode == 1
    assert "is not complete" in " ".join(done.stdout.split())
    assert "→ remove" in done.stdout
