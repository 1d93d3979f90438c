"""The box tells nobody how it is used."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os
from actors.media.voice import VoiceActivity
VoiceActivity()
print(len(os.listdir("/proc/self/task")))
"""


def test_the_voice_models_library_keeps_no_notes_for_its_maker(tmp_path: Path) -> None:
    """Where it reports, it has a thread for that, and a database of what is still to be sent."""
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    quiet = {"OPENBLAS_NUM_THREADS": "1", "CI": "", "GITHUB_ACTIONS": ""}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=_without_ours() | home | quiet, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert not list(tmp_path.rglob("*")), "it writes nothing"
    assert done.stdout.strip() == "1", "it has no thread of its own"


def _without_ours() -> dict[str, str]:
    """The environment as it was before this process loaded ours."""
    return {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
