"""docs/architecture.md shows the tree as it is, and the wiring leaves nobody out."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import actors.diarization.messages
import actors.engine.messages
import actors.events.messages
import actors.jobs.messages
import actors.llm.messages
import actors.media.messages
import actors.models.messages
import actors.webhooks.messages
from actors.system import open_system
from tests.records import configuration

ROOT = Path(__file__).parent.parent
HEARD = {
    "lifecycle": actors.models.messages.LifecycleMessage,
    "queue": actors.jobs.messages.QueueMessage,
    "ingest": actors.media.messages.IngestMessage,
    "chunker": actors.media.messages.ChunkerMessage,
    "inference": actors.engine.messages.InferenceMessage,
    "broadcaster": actors.events.messages.BroadcasterMessage,
    "analyst": actors.llm.messages.AnalystMessage,
    "diarizer": actors.diarization.messages.DiarizerMessage,
    "webhooks": actors.webhooks.messages.WebhookMessage,
    "janitor": actors.jobs.messages.JanitorMessage,
    "attendance": actors.jobs.messages.AttendanceMessage,
}
"""What each actor handles, by the name of its mailbox."""


def test_the_tree_on_the_page_is_the_tree_on_the_disk() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    block = re.search(r"```\n(app/ .*?)```", page, re.DOTALL)
    assert block
    shown: set[str] = set()
    folder = ""
    for line in block[1].splitlines():
        if line.startswith(" "):
            shown |= {f"{folder}{module}.py" for module in line.split()}
        else:
            folder = line.split()[0]
    there = {
        str(path.relative_to(ROOT))
        for top in ("app", "actors", "storage")
        for path in (ROOT / top).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert shown == there


@pytest.mark.anyio
async def test_whoever_hears_a_fact_handles_it(tmp_path: Path) -> None:
    async with open_system(configuration(tmp_path), renderer=_nothing) as system:
        listeners = system.publisher.listeners
        assert {mailbox.name for mailbox in system.mailboxes} == HEARD.keys()
        for fact, addresses in listeners.items():
            for address in addresses:
                assert fact in get_args(HEARD[address.name]), f"{address.name} hears {fact}"


def _nothing(_: Any) -> Any:
    raise AssertionError("nothing is delivered here")


def test_the_server_itself_loads_nothing_that_only_its_children_need() -> None:
    heavy = {"av", "onnxruntime", "faster_whisper", "openai", "yt_dlp", "_pywhispercpp"}
    assert not heavy & _loaded_by("import app.main")


def test_no_plugin_for_what_happens_to_be_installed_is_loaded() -> None:
    script = """
from types import SimpleNamespace
from app.asgi import litestar_app
from app.settings import Settings
services = SimpleNamespace(info=SimpleNamespace(base_path=""))
litestar_app(services, None, Settings.from_environment({}))
"""
    assert not {"pydantic", "attr", "docx", "lxml"} & (
        _loaded_by(script) - _loaded_by("import aiohttp")
    )


def _loaded_by(script: str) -> set[str]:
    whole = f"{script}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, check=True, cwd=ROOT)
    return set(done.stdout.decode().split())
