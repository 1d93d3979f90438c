"""Everybody at every route, generated from the routes themselves: who is let in, and who sees what.

A route that is added and that nobody has classified here makes these tests fail.
"""

import io
import re
import sqlite3
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import httpx
import pytest
from litestar.exceptions import LitestarDeprecationWarning
from litestar.routes import ASGIRoute

from app.asgi import litestar_app
from app.settings import Settings
from tests.acceptance.hub_client import PASSWORD, Member
from tests.acceptance.server import Server

Guard = Literal["in_browser", "signed_in", "by_token", "native"]
Way = Literal["nothing", "cookie", "bearer", "token", "token without its scope"]

RIGHTS = ("--grant", "whisper.use", "--grant", "whisper.api")
PEOPLE = {
    "ann": RIGHTS,
    "bob": RIGHTS,
    "manager": (*RIGHTS, "--grant", "whisper.manage"),
    "root": ("--admin",),
}
MANAGERS = ("manager", "root")
WAYS: tuple[Way, ...] = ("cookie", "bearer", "token")
WITHOUT_SCOPE: Way = "token without its scope"
CALLERS: list[tuple[str, Way]] = [
    ("nobody", "nothing"),
    *product(PEOPLE, WAYS),
    ("ann", WITHOUT_SCOPE),
    ("root", WITHOUT_SCOPE),
]

PUBLIC = {
    "/", "/health", "/livez", "/readyz",
    "/docs", "/docs/openapi.json", "/docs/oauth2-redirect.html", "/docs/{path:str}",
    "/assets/{file_path:path}", "/static/{file_path:path}",
    "/api/account/login", "/sign-in", "/sign-out", "/manifest.webmanifest",
    # By the secret in their address, and the share's password:
    "/shared/whisper/transcript/{token:str}",
    "/shared/whisper/transcript/{token:str}/audio",
    "/shared/whisper/transcript/{token:str}/download/{form:str}",
}  # fmt: skip
"""Open to everybody, on purpose."""
OF_MANAGERS = {
    ("GET", "/whisper/server"),
    ("POST", "/whisper/run-now"),
    ("POST", "/api/whisper/run-now"),
}
OF_ADMINISTRATORS = {
    ("POST", "/whisper/server/accounts"),
    ("POST", "/whisper/server/accounts/{number:int}"),
}
NO_JOB = 999_999
VALUES = {"line_number:int": "0", "form:str": "srt", "action:str": "cancel", "wish:str": "load"}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    guard: Guard | None

    @property
    def of_a_job(self) -> bool:
        return "/jobs/{" in self.path

    def filled(self, job: str | int) -> str:
        path = self.path
        for name, value in VALUES.items():
            path = path.replace(f"{{{name}}}", value)
        return path.replace("{number:int}", str(job)).replace("{job_id:str}", str(job))


def routes() -> list[Route]:
    services = cast(Any, SimpleNamespace(info=SimpleNamespace(base_path="")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LitestarDeprecationWarning)
        app = litestar_app(services, cast(Any, None), Settings.from_environment({}))
    found = []
    for route in app.routes:
        if isinstance(route, ASGIRoute):
            continue  # files of ours, and /mcp, whose tests ask who may see what
        for handler in cast(Any, route).route_handlers:
            guards = [guard.__name__ for guard in handler.resolve_guards()]
            assert len(guards) <= 1
            methods = sorted(handler.http_methods - {"OPTIONS", "HEAD"})
            guard = guards[0] if guards else None
            found += [Route(method, route.path, guard) for method in methods]
    return found


ROUTES = routes()


@dataclass(frozen=True)
class Job:
    id: str
    number: int
    owner: str
    channel: str


class House:
    """A server with accounts, and a finished job of each kind."""

    def __init__(self, folder: Path, scripted: Path, clip: Path, *, closed: bool) -> None:
        self.closed = closed
        self.server = Server(
            folder, WHISPER_MODEL_PATH=scripted, REQUESTS_PER_MINUTE=0, QUEUE_WHEN_UNLOADED="true",
            REQUIRE_TOKEN=closed,
        ).start()  # fmt: skip
        self._headers: dict[tuple[str, Way], dict[str, str]] = {("nobody", "nothing"): {}}
        owners = []
        for name, words in PEOPLE.items():
            member = Member(self.server, f"{name}@box.example", *words)
            program = member.token()
            self._headers |= {
                (name, "cookie"): self._cookie(member),
                (name, "bearer"): {"Authorization": f"Bearer {member.bearer}"},
                (name, "token"): {"Authorization": f"Bearer {program.secret}"},
            }
            if (name, WITHOUT_SCOPE) in CALLERS:
                self._headers[name, WITHOUT_SCOPE] = {"X-Api-Key": member.token().secret}
                self._take_scopes_of_newest_token()
                member.upload(clip)
                program.upload(clip, "http://127.0.0.1:9/")
                self._submit(clip, self._headers[name, "token"] if closed else {})
                owners += [name, name, name if closed else "nobody"]
        self.server.until(lambda: not self._rows("SELECT 1 FROM jobs WHERE status <> 'done'"))
        found = self._rows("SELECT id, number, channel FROM jobs ORDER BY number")
        self.jobs = [
            Job(job_id, number, owner, channel)
            for (job_id, number, channel), owner in zip(found, owners, strict=True)
        ]

    def _cookie(self, member: Member) -> dict[str, str]:
        form = {"email": member.email, "password": PASSWORD}
        answer = self.server.http.post("/sign-in", data=form)
        (cookie,) = answer.headers.get_list("set-cookie")
        self.server.http.cookies.clear()
        return {"Cookie": cookie.partition(";")[0]}

    def _take_scopes_of_newest_token(self) -> None:
        """The command line makes no token without a scope."""
        with closing(sqlite3.connect(self._database, timeout=10)) as db, db:
            db.execute(
                "UPDATE tokens SET scopes = '[]' WHERE number = (SELECT max(number) FROM tokens)"
            )

    def _submit(self, clip: Path, headers: dict[str, str]) -> None:
        files = {"audio": (clip.name, clip.read_bytes())}
        assert self.server.http.post("/jobs", files=files, headers=headers).status_code == 202

    @property
    def _database(self) -> Path:
        return self.server.folder / "data" / "whisperbox.db"

    def _rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self._database, timeout=10)) as db:
            return db.execute(query).fetchall()

    def everything(self) -> list[Any]:
        """What nobody may change who is turned away."""
        return [
            self._rows(f"SELECT * FROM {table}")
            for table in ("jobs", "segments", "edits", "line_versions", "shares", "texts")
        ] + [
            self._rows("SELECT number, email, password_hash, disabled_at FROM accounts"),
            self._rows("SELECT number, revoked_at FROM tokens"),
        ]

    def ask(
        self, caller: tuple[str, Way], method: str, path: str, **headers: str
    ) -> httpx.Response:
        """The answer, of which an endless one is not read on."""
        headers |= self._headers[caller]
        with self.server.http.stream(method, path, headers=headers) as answer:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.read()
        self.server.http.cookies.clear()
        return answer

    # The policy: what the guide says, in one place.

    def refusal(self, caller: tuple[str, Way], route: Route) -> int | None:
        """The status with which somebody is turned away, whatever they ask for; None: let in."""
        name, way = caller
        if self._unknown(way, route.guard):
            return 401
        if way == WITHOUT_SCOPE and (route.guard != "native" or self.closed):
            return 403
        asked = (route.method, route.path)
        if asked in OF_MANAGERS and name not in MANAGERS:
            return 403
        if asked in OF_ADMINISTRATORS and name != "root":
            return 403
        return None

    def _unknown(self, way: Way, guard: Guard | None) -> bool:
        match guard:
            case "in_browser":
                return way != "cookie"
            case "signed_in":
                return way not in ("cookie", "bearer")
            case "by_token":
                return not way.startswith("token")
            case "native":
                return self.closed and way in ("nothing", "cookie")
        return False

    def sees(self, name: str, route: Route, job: Job) -> bool:
        own = job.owner == name
        match route.guard:
            case "by_token":
                return own and job.channel == "api"
            case "native":
                open_to = not self.closed or own or name in MANAGERS
                return job.channel == "native" and open_to
        return name in MANAGERS or (own and job.channel != "native")


@pytest.fixture(scope="module", params=[False, True], ids=["open", "REQUIRE_TOKEN"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, scripted: Path,
    clip: Path,
) -> Iterator[House]:  # fmt: skip
    house = House(tmp_path_factory.mktemp("matrix"), scripted, clip, closed=request.param)
    yield house
    house.server.kill()


def test_every_route_has_a_guard_or_is_open_on_purpose() -> None:
    assert {route.path for route in ROUTES if route.guard is None} == PUBLIC
    known = {(route.method, route.path) for route in ROUTES}
    assert known >= OF_MANAGERS | OF_ADMINISTRATORS


def test_who_is_not_let_in_gets_the_same_answer_whatever_they_ask_for(house: House) -> None:
    before, cases = house.everything(), 0
    for route, caller in product(ROUTES, CALLERS):
        status = house.refusal(caller, route)
        if route.guard is None or status is None:
            continue
        for job in (house.jobs[0], None):
            place = (job.id if route.guard == "native" else job.number) if job else NO_JOB
            answer = house.ask(caller, route.method, route.filled(place))
            if status == 401 and answer.status_code == 303:
                assert answer.headers["location"].startswith("/sign-in")
            else:
                assert answer.status_code == status, (route, caller)
            cases += 1
    assert house.everything() == before
    assert cases > 900


def test_a_job_that_somebody_may_not_see_is_not_there_for_them(house: House) -> None:
    before, cases = house.everything(), 0
    for route, caller in product(ROUTES, CALLERS):
        if not route.of_a_job or house.refusal(caller, route) is not None:
            continue
        nothing = house.ask(caller, route.method, route.filled(NO_JOB))
        assert nothing.status_code == 404, (route, caller)
        for job in house.jobs:
            if house.sees(caller[0], route, job):
                continue
            place = job.id if route.guard == "native" else job.number
            for ranges in ({}, {"Range": "bytes=0-99"}) if "audio" in route.path else ({},):
                answer = house.ask(caller, route.method, route.filled(place), **ranges)
                assert answer.status_code == 404, (route, caller, job)
                assert answer.text == nothing.text.replace(str(NO_JOB), str(place))
                cases += 1
    assert house.everything() == before
    assert cases > 450


def test_a_job_that_somebody_may_see_is_shown_to_them(house: House) -> None:
    cases = 0
    for route, caller, job in product(ROUTES, CALLERS, house.jobs):
        if route.method != "GET" or not route.of_a_job:
            continue
        if house.refusal(caller, route) is None and house.sees(caller[0], route, job):
            place = job.id if route.guard == "native" else job.number
            answer = house.ask(caller, "GET", route.filled(place))
            assert answer.status_code == 200, (route, caller, job)
            cases += 1
    assert cases > 150


@pytest.mark.parametrize("path", ["/whisper", "/whisper/rows", "/whisper/search?q=hello"])
def test_pages_list_and_find_only_what_somebody_may_see(house: House, path: str) -> None:
    page = Route("GET", path, "in_browser")
    for name in PEOPLE:
        shown = house.ask((name, "cookie"), "GET", path).text
        for job in house.jobs:
            there = re.search(rf"/whisper/jobs/{job.number}(?!\d)", shown) is not None
            assert there == house.sees(name, page, job), (name, job)


@pytest.mark.parametrize(
    ("path", "guard", "way"),
    [
        ("/jobs", "native", "token"),
        ("/api/whisper/jobs", "signed_in", "bearer"),
        ("/api/whisper/transcribe/jobs", "by_token", "token"),
    ],
)
def test_the_apis_list_only_what_somebody_may_see(
    house: House, path: str, guard: Guard, way: Way
) -> None:
    for name in PEOPLE:
        listed = house.ask((name, way), "GET", path).json()
        listed = listed if isinstance(listed, list) else listed.get("jobs", listed.get("data"))
        shown = {each["id"] for each in listed}
        seen = [job for job in house.jobs if house.sees(name, Route("GET", path, guard), job)]
        assert shown == {job.id if guard == "native" else job.number for job in seen}, name


@pytest.mark.parametrize("path", ["/whisper/ended?jobs={ids}", "/whisper/export.zip?jobs={ids}"])
def test_who_asks_for_many_jobs_gets_those_that_they_may_see(house: House, path: str) -> None:
    ids = ",".join(job.id for job in house.jobs)
    for name in PEOPLE:
        answer = house.ask((name, "cookie"), "GET", path.format(ids=ids))
        page = Route("GET", path, "in_browser")
        count = sum(house.sees(name, page, job) for job in house.jobs)
        if answer.headers["content-type"] == "application/zip":
            found = len(zipfile.ZipFile(io.BytesIO(answer.content)).namelist())
        else:
            found = 0 if answer.status_code == 409 else len(answer.json())
        assert found == count, name


FORMS = ("/sign-in", "/sign-out")
"""Forms that are open to everybody, but not for other sites to fill in."""
ELSEWHERE = [
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "{scheme}://{host}:1"},
    {"Origin": "http://{host}.evil.example:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "{base}"},
]


def test_no_form_of_another_site_is_taken_whoever_is_signed_in(house: House) -> None:
    base = house.server.http.base_url
    facts = {"base": str(base), "scheme": base.scheme, "host": base.host, "port": base.port}
    before, cases = house.everything(), 0
    for route, name, headers in product(ROUTES, PEOPLE, ELSEWHERE):
        of_a_browser = route.guard in ("in_browser", "signed_in") or route.path in FORMS
        if route.method == "GET" or not of_a_browser:
            continue
        sent = {key: value.format(**facts) for key, value in headers.items()}
        path = route.filled(house.jobs[0].number)
        answer = house.ask((name, "cookie"), route.method, path, **sent)
        assert answer.status_code == 403, (route, sent)
        cases += 1
    assert house.everything() == before
    assert cases > 600


def test_a_form_of_ours_or_of_a_program_without_an_origin_gets_to_its_fields(house: House) -> None:
    base = str(house.server.http.base_url)
    for headers in ({"Origin": base}, {"Sec-Fetch-Site": "same-origin"}, {}):
        for route in ROUTES:
            if route.method == "POST" and route.of_a_job and route.guard == "in_browser":
                path = route.filled(NO_JOB)
                answer = house.ask(("ann", "cookie"), "POST", path, **headers)
                assert answer.status_code == 404, (route, headers)
