"""A real server and a real Chromium, where there is one."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from actors.models.sources import SPEAKERS
from tests.acceptance.hub_client import PASSWORD
from tests.acceptance.server import Server
from tests.scripted import DEMO

ADA = "ada@example.org"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
RECORDING = DEMO.with_name("demo.wav")
LATE_MS = 20_000

Visit = Callable[..., Page]


def launch(playwright: Playwright, *args: str) -> Browser:
    """
    Raises:
        pytest.skip.Exception: there is no Chromium here.
    """
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed here (or set CHROMIUM to where it is)")
    return playwright.chromium.launch(
        executable_path=found,
        args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required", *args],
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def serve(folder: Path, **settings: object) -> Server:
    usual = {
        "WHISPER_MODEL": "demo",
        "ADMIN_EMAIL": ADA,
        "ADMIN_PASSWORD": PASSWORD,
        "QUEUE_WHEN_UNLOADED": "true",
    }
    return Server(folder, **usual | settings).start()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that stay out of each other's way.

    With the models for voices, if SPEAKER_MODELS says where they are.
    """
    folder = tmp_path_factory.mktemp("box")
    if voices := os.environ.get("SPEAKER_MODELS"):
        (folder / "models").mkdir()
        (folder / "models" / SPEAKERS).symlink_to(Path(voices).absolute())
    server = serve(folder)
    yield server
    server.kill()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages, and fails the test if a page had an error of its own."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def begin(server: Server, *, signed_in: bool = True, **context: object) -> Page:
        base = str(server.http.base_url)
        made = browser.new_context(base_url=base, **context)  # type: ignore[arg-type]
        contexts.append(made)
        page = made.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda m: errors.append(m.text) if "Content Security Policy" in m.text else None,
        )
        if signed_in:
            sign_in(page)
        return page

    yield begin
    for context in contexts:
        context.close()
    assert not errors


def sign_in(page: Page, email: str = ADA, password: str = PASSWORD) -> None:
    page.goto("/sign-in")
    page.fill("#email", email)
    page.fill("#password", password)
    page.click("text=Sign in >> nth=-1")


def submit(page: Page, *files: Path | dict[str, object]) -> None:
    page.goto("/whisper")
    page.set_input_files("#media_file", list(files))  # type: ignore[arg-type]
    page.click("button.primary")


def transcribed(page: Page) -> str:
    """Submit the bundled dialogue and open its page once it is done; returns the path."""
    page.goto("/whisper")
    before = page.locator("#jobs .job").count()
    submit(page, RECORDING)
    expect(page.locator("#jobs .job")).to_have_count(before + 1)
    page.wait_for_selector("#jobs .job.done:nth-child(1 of .job)")
    page.click("#jobs .job.done:nth-child(1 of .job) a.title")
    page.wait_for_selector("#lines .line")
    page.wait_for_load_state()  # before that, htmx and the player have not taken over
    return page.evaluate("location.pathname")  # type: ignore[no-any-return]


def hide(page: Page, hidden: bool) -> None:
    """As if somebody looked at another tab, or at this one again."""
    page.evaluate(
        "hidden => {"
        "  Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});"
        "  document.dispatchEvent(new Event('visibilitychange'));"
        "}",
        hidden,
    )
