"""The unit file for systemd says what the server needs of its surroundings."""

import tomllib
from pathlib import Path

import pytest

from app.main import CONNECTIONS_GRACE_S
from app.settings import ServerSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def service() -> dict[str, str]:
    """The settings of the section [Service]; of one that stands twice, the last."""
    unit = (ROOT / "deploy" / "whisperbox.service").read_text()
    _, _, section = unit.partition("[Service]\n")
    lines, _, _ = section.partition("\n[")
    return dict(line.split("=", 1) for line in lines.splitlines() if "=" in line and line[0] != "#")


def test_nobody_else_can_read_what_the_service_writes(service: dict[str, str]) -> None:
    assert service["UMask"] == "0077"
    assert service["StateDirectoryMode"] == "0700"
    assert service["User"] == "whisperbox"


def test_systemd_waits_until_the_server_has_stopped_in_order(service: dict[str, str]) -> None:
    grace = ServerSettings().shutdown_grace_secs
    assert int(service["TimeoutStopSec"]) > grace + CONNECTIONS_GRACE_S


def test_a_server_that_ended_is_started_again(service: dict[str, str]) -> None:
    assert service["Restart"] == "always"


def test_each_open_stream_may_be_a_file(service: dict[str, str]) -> None:
    assert int(service["LimitNOFILE"]) >= 10_000


def test_the_unit_starts_the_command_that_the_package_installs(service: dict[str, str]) -> None:
    program, command = service["ExecStart"].split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert Path(program).name in project["scripts"]
    assert command == "serve"
