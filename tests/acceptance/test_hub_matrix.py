"""The hub's words and lists for two users and an administrator; see also test_access_matrix."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.hub_client import Member, Program
from tests.acceptance.server import Server

RIGHTS = ("--grant", "whisper.use", "--grant", "whisper.api", "--grant", "provider_openai")
CALLERS = ("nobody", "ann", "bob", "root", "ann's token", "bob's token", "root's token")
NOBODYS = 999_999


@dataclass
class House:
    server: Server
    members: dict[str, Member]
    programs: dict[str, Program]
    jobs: dict[str, int]
    """Ended jobs by their owner and channel."""
    native: str

    def headers(self, caller: str) -> dict[str, str]:
        if caller == "nobody":
            return {}
        name = caller.removesuffix("'s token")
        secret = self.programs[name].secret if "token" in caller else self.members[name].bearer
        return {"Authorization": f"Bearer {secret}"}

    def ask(self, caller: str, method: str, path: str) -> Any:
        return self.server.http.request(method, path, headers=self.headers(caller))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, scripted: Path, clip: Path) -> Iterator[House]:
    server = Server(
        tmp_path_factory.mktemp("matrix"), WHISPER_MODEL_PATH=scripted, REQUESTS_PER_MINUTE=0,
        QUEUE_WHEN_UNLOADED=True,
    ).start()  # fmt: skip
    names = {"ann": RIGHTS, "bob": RIGHTS, "root": ("--admin",)}
    members = {name: Member(server, f"{name}@box.example", *words) for name, words in names.items()}
    programs = {name: member.token() for name, member in members.items()}
    jobs = {}
    for name, member in members.items():
        jobs[f"{name} web"] = member.upload(clip)["id"]
        jobs[f"{name} api"] = programs[name].upload(clip, "http://127.0.0.1:9/")["id"]
    native = server.submit(clip)
    server.ended(native)
    jobs["nobody native"] = len(jobs) + 1
    for number in jobs.values():
        members["root"].ended(number)
    yield House(server, members, programs, jobs, native)
    server.kill()


def routes(house: House) -> list[tuple[str, str]]:
    """Every hub route and method that the server itself says it has."""
    paths = house.server.http.get("/docs/openapi.json").json()["paths"]
    found = [
        (method.upper(), path)
        for path, operations in paths.items()
        if path.startswith("/api/whisper")
        for method in operations
    ]
    assert len(found) >= 16
    return found


def visible(caller: str, job: str, path: str) -> bool:
    """The contract, in one place."""
    owner, channel = job.split()
    name = caller.removesuffix("'s token")
    if "transcribe" in path:
        return owner == name and channel == "api"
    return name == "root" or (owner == name and channel != "native")


def allowed(caller: str, path: str) -> bool:
    by_token = path.startswith("/api/whisper/transcribe")
    return caller != "nobody" and ("token" in caller) == by_token


@pytest.mark.parametrize("caller", CALLERS)
def test_who_shows_nothing_or_the_wrong_thing_is_turned_away_everywhere(
    house: House, caller: str
) -> None:
    for method, path in routes(house):
        if not allowed(caller, path):
            for number in (1, NOBODYS):
                answer = house.ask(caller, method, path.replace("{number}", str(number)))
                assert answer.status_code == 401, (method, path)
                assert answer.json() == {"ok": False, "message": "Unauthenticated."}


@pytest.mark.parametrize("caller", CALLERS)
def test_what_a_caller_may_see_is_shown_and_listed_and_counted(house: House, caller: str) -> None:
    for path in ("/api/whisper", "/api/whisper/transcribe"):
        if not allowed(caller, path):
            continue
        mine = {number for job, number in house.jobs.items() if visible(caller, job, path)}
        for number in mine:
            answer = house.ask(caller, "GET", f"{path}/jobs/{number}")
            assert answer.json()["job"]["id"] == number
        listed = house.ask(caller, "GET", f"{path}/jobs").json()["jobs"]
        assert {job["id"] for job in listed} == mine
        assert [job["id"] for job in listed] == sorted(mine, reverse=True)
        summary = house.ask(caller, "GET", f"{path}/status").json()["summary"]
        assert summary["completed"] == len(mine)


def test_run_now_is_the_managers(house: House) -> None:
    statuses = {
        caller: house.ask(caller, "POST", "/api/whisper/run-now").status_code for caller in CALLERS
    }
    assert statuses == {"nobody": 401, "ann": 403, "bob": 403, "root": 200} | {
        f"{name}'s token": 401 for name in ("ann", "bob", "root")
    }
