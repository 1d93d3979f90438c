"""A server whose PUBLIC_URL has a path, behind a proxy that strips it and one that does not."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.hub_client import PASSWORD, Member
from tests.acceptance.server import Server

BASE = "/whisperbox"
PUBLIC = f"http://box.example{BASE}"
ADDRESS = re.compile(
    r'\b(?:href|src|action|formaction|hx-get|hx-post|data-live|data-more|data-job)="(/[^"]*)"'
)
PASSED_ON, STRIPPED = BASE, ""
"""What is before the path in a request that the proxy makes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scripted: Path) -> Iterator[Server]:
    server = Server(
        tmp_path_factory.mktemp("path"), WHISPER_MODEL_PATH=scripted, PUBLIC_URL=PUBLIC
    ).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def done(server: Server, clip: Path) -> int:
    """The number of a shared job that is done."""
    ada = Member(server, "ada@example.org", "--grant", "whisper.use")
    number: int = ada.upload(clip)["id"]
    ada.ended(number)
    share = ada.ask("POST", f"/jobs/{number}/share", json={}).json()["share"]
    assert share["url"].startswith(f"{PUBLIC}/shared/whisper/transcript/")
    return number


@pytest.mark.parametrize("proxy", [PASSED_ON, STRIPPED])
def test_every_page_and_what_it_names_is_under_the_path(
    server: Server, done: int, proxy: str
) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    with httpx.Client(base_url=server.http.base_url, headers=headers, timeout=30) as browser:

        def get(public_path: str) -> httpx.Response:
            """As the proxy asks for what a browser sees at ``public_path``."""
            assert public_path.startswith(BASE), public_path
            path = proxy + public_path.removeprefix(BASE) or "/"
            return browser.get(path, headers={"Cookie": cookie} if cookie else {})

        cookie = ""
        door = get(get(f"{BASE}/").headers["location"])
        assert door.headers["location"].startswith(f"{BASE}/sign-in?next=")
        signed_in = browser.post(
            f"{proxy}/sign-in",
            data={"email": "ada@example.org", "password": PASSWORD, "next": f"{BASE}/whisper"},
        )
        assert signed_in.headers["location"] == f"{BASE}/whisper"
        assert f"Path={BASE};" in signed_in.headers["set-cookie"]
        cookie = signed_in.headers["set-cookie"].split(";")[0]
        shown = [get(f"{BASE}/whisper"), get(f"{BASE}/whisper/jobs/{done}")]
        shown += [get(f"{BASE}/whisper/account"), get(f"{BASE}/whisper/search?q=hello")]
        found = {address for page in shown for address in ADDRESS.findall(page.text)}
        assert len(found) > 20
        for page in shown:
            assert page.status_code == 200
        for address in found:
            assert address.startswith(f"{BASE}/"), address
        for address in found:
            if "/static/" in address or "/assets/" in address:
                assert get(address).status_code == 200, address


@pytest.mark.parametrize("proxy", [PASSED_ON, STRIPPED])
def test_the_apis_and_their_documentation_are_under_the_path(
    server: Server, done: int, proxy: str
) -> None:
    assert server.http.get(f"{proxy}/health").json()["status"] == "ok"
    docs = server.http.get(f"{proxy}/docs/").text
    assert f'src="{BASE}/assets/swagger-ui/swagger-ui-bundle.js"' in docs
    document = server.http.get(f"{proxy}/docs/openapi.json").json()
    assert document["servers"] == [{"url": BASE}]


def test_a_shared_page_is_under_the_path(server: Server, done: int) -> None:
    ada = Member.__new__(Member)
    ada.server, ada.email, ada.bearer = server, "ada@example.org", ""
    ada.sign_in()
    url = ada.job(done)["share"]["url"]
    page = server.http.get(url.removeprefix("http://box.example"))
    assert page.status_code == 200
    for address in ADDRESS.findall(page.text):
        assert address.startswith(f"{BASE}/"), address
        assert server.http.get(address).status_code == 200, address


def test_an_installed_page_begins_under_the_path(server: Server) -> None:
    told = server.http.get(f"{BASE}/manifest.webmanifest")
    assert told.headers["content-type"].startswith("application/manifest+json")
    manifest = told.json()
    assert (manifest["start_url"], manifest["scope"]) == (f"{BASE}/whisper", f"{BASE}/")
    for icon in manifest["icons"]:
        assert server.http.get(icon["src"]).headers["content-type"].startswith("image/svg")
