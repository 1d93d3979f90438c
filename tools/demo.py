"""``make demo``: starts a server and transcribes a recording.

The model is Whisper base and the recording a real one where they can be had; elsewhere both are the
bundled toys.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

import anyio

from app.auth.passwords import hashed, verify
from app.cli.client import ServerSaid, connect
from app.cli.terminal import bar, terminal, transcribe
from app.settings import Settings
from storage.accounts import Accounts
from storage.database import DATABASE, open_database
from storage.times import utc
from tools import real_weights

START_S = 30.0
STOP_S = 20.0
PORTS = 20
EMAIL = "demo@whisperbox.example"


@dataclass(frozen=True)
class Show:
    """What the demo transcribes, and with which model."""

    settings: dict[str, str]
    recording: Path
    about: str


def main() -> int:
    show = _show_of_real_weights() or _bundled_show()
    settings = Settings.from_environment(os.environ)
    port = _free_port(settings.server.port)
    server = f"http://127.0.0.1:{port}"
    data_dir = (
        settings.server.data_dir / "demo"
    )  # a folder of its own: the demo shows its password, which must not work anywhere else
    password = anyio.run(_account, data_dir)
    environment = os.environ | {
        "DATA_DIR": str(data_dir),
        **show.settings,
        "PORT": str(port),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "warning"),
    }
    child = subprocess.Popen([sys.executable, "-m", "app.cli", "serve"], env=environment)
    try:
        anyio.run(_transcribe, server, child, show)
        terminal.print(
            f"\nThe server is running. Open {server} and sign in as\n\n"
            f"    {EMAIL}\n    {password or '(the password that you have set)'}\n\n"
            f"Every route can be tried at {server}/docs\nCtrl-C stops it.",
            highlight=False,
        )
        return child.wait()
    except ServerSaid as error:
        terminal.print(f"the demo failed: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(STOP_S)


async def _account(data_dir: Path) -> str | None:
    """Make the demo's administrator account, if there is none yet.

    Returns its password; None if somebody has changed the password.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    shown = data_dir / "password"
    async with open_database(data_dir / DATABASE) as database:
        accounts = Accounts(database)
        found = await accounts.find(EMAIL)
        if found is None:
            password, now = secrets.token_urlsafe(9), utc(time.time())
            await accounts.add(EMAIL, hashed(password), admin=True, may=(), now=now)
            shown.write_text(password)
            return password
        password = shown.read_text() if shown.exists() else ""
        return password if await verify(found[1], password) else None


def _show_of_real_weights() -> Show | None:
    try:
        weights = real_weights.fetch(partial(terminal.print, markup=False))
    except OSError as error:
        terminal.print(
            f"They cannot be had: {error}\n"
            "This demo uses the bundled model, a toy that knows forty words.",
            markup=False,
        )
        return None
    return Show(
        {"WHISPER_MODEL_PATH": str(weights.ctranslate2)},
        weights.recording,
        "11 s of President Kennedy's inaugural address, with Whisper base",
    )


def _bundled_show() -> Show:
    return Show(
        {"WHISPER_MODEL": "demo", "WHISPER_MODEL_PATH": ""},
        Path(str(resources.files("actors.engine") / "demo" / "demo.wav")),
        "a dialogue in English and German, with the bundled model",
    )


async def _transcribe(server: str, child: subprocess.Popen[bytes], show: Show) -> None:
    terminal.print(f"Starting the server at {server} …")
    await _until_it_answers(server, child)
    terminal.print(f"Transcribing {show.recording.name}: {show.about}.\n")
    async with connect(server) as client:
        with bar() as progress:
            job = await transcribe(client, show.recording, {}, progress, live=True)
    terminal.print(f"\n{len(job['segments'])} segments, language {job['language']}.")


async def _until_it_answers(server: str, child: subprocess.Popen[bytes]) -> None:
    with anyio.move_on_after(START_S):
        while child.poll() is None:
            try:
                async with connect(server) as client:
                    await client.get("/health")
                    return
            except OSError:
                await anyio.sleep(0.1)
    raise ServerSaid("the server did not start; its messages are above")


def _free_port(wanted: int) -> int:
    """``wanted``, or the next port that no program uses."""
    for port in range(wanted, wanted + PORTS):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    return wanted


if __name__ == "__main__":
    sys.exit(main())
