"""Every page against axe, and a picture of each for a person to look at.

The pictures go where SCREENS says (`make screens` has them in docs/screens), or nowhere lasting.
"""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.acceptance.server import Server
from tests.browser.conftest import Visit, transcribed

SERIOUS = ("serious", "critical")
WIDE, PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, object]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True, "is_mobile": True},
}
HOW = {
    "locale": "en-GB",
    "reduced_motion": "reduce",
    "bypass_csp": True,
}  # pictures are taken with a style of their own
PAGES = {
    "queue": "/whisper",
    "search": "/whisper/search?q=morning",
    "account": "/whisper/account",
    "server": "/whisper/server",
}


@pytest.fixture
def screens(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("SCREENS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious_on_any_page(
    box: Server, visit: Visit, screens: Path, look: str
) -> None:
    page = visit(box, signed_in=False, **HOW, **LOOKS[look])
    page.goto("/sign-in")
    _look(page, screens / f"sign-in-{look}.png")
    page = visit(box, **HOW, **LOOKS[look])
    job = transcribed(page)
    expect(page.locator("#people")).not_to_contain_text("Being identified", timeout=30_000)
    page.reload()
    page.wait_for_timeout(300)  # the waveform is drawn in a frame of its own
    _look(page, screens / f"job-{look}.png")
    page.click("#export")
    page.wait_for_selector("#preview pre")
    _look(page, screens / f"export-{look}.png")
    page.click("#export-dialog [data-leave]")
    page.click("label[for=view-edit]")
    page.locator("#line-2 .text").click()
    _look(page, screens / f"editing-{look}.png")
    page.keyboard.press("F2")
    page.wait_for_selector("#line-dialog [data-leave]")
    _look(page, screens / f"line-{look}.png")
    page.click("#line-dialog [data-leave]")
    page.click("#keys")
    _check(page)
    page.keyboard.press("Escape")
    page.click("#find-and-replace")
    page.fill("#find", "coffee")
    expect(page.locator("#found li")).not_to_have_count(0)
    _check(page)
    page.keyboard.press("Escape")
    page.click("label[for=view-read]")
    for name, path in PAGES.items():
        page.goto(path)
        _look(page, screens / f"{name}-{look}.png")
    page.click("text=Add an account")
    _check(page)
    page.goto("/whisper")
    page.click("#options > summary")
    _check(page)
    page.click("#record")
    _look(page, screens / f"record-{look}.png")
    page.click("#recorder >> text=Cancel")
    page.goto(job)
    page.locator("#share button:has-text('Share')").click()
    page.goto(page.input_value("#share-url"))
    _look(page, screens / f"share-{look}.png")
    page.goto("/whisper/jobs/999999")
    _look(page, screens / f"trouble-{look}.png")


def _look(page: Page, picture: Path) -> None:
    _check(page)
    page.screenshot(path=picture)


def _check(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    bad = [
        f"{each['id']}: {each['help']}: {node['html']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]
    assert not bad, f"{page.url}\n" + "\n".join(bad)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{page.url} is {wide} px wider than the screen"
