"""Recording in the browser, with Chromium's fake microphone, which plays the bundled dialogue."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.acceptance.server import Server
from tests.browser.conftest import LATE_MS, RECORDING, Visit, launch


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One that plays the recording to whoever asks for a microphone."""
    with sync_playwright() as playwright:
        browser = launch(
            playwright,
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={RECORDING}",
        )
        yield browser
        browser.close()


def begin(page: Page) -> None:
    page.goto("/whisper")
    page.click("#record")
    page.click("[data-part=start]")
    expect(page.locator("[data-part=time]")).to_have_text("00:07", timeout=LATE_MS)


def test_what_is_said_into_the_microphone_is_transcribed(box: Server, visit: Visit) -> None:
    page = visit(box)
    page.goto("/whisper")
    before = page.locator("#jobs .job").count()
    begin(page)
    assert page.title().startswith("● ")
    page.wait_for_function("() => document.querySelector('[data-part=level]').value > 0.3")
    page.click("text=Pause")
    at = page.locator("[data-part=time]").inner_text()
    page.wait_for_timeout(1200)
    assert page.locator("[data-part=time]").inner_text() == at
    page.click("text=Go on")
    page.click("text=Stop and transcribe")
    expect(page.locator("#jobs .job")).to_have_count(before + 1, timeout=LATE_MS)
    page.wait_for_selector("#jobs .job.done:nth-child(1 of .job)", timeout=60_000)
    page.click("#jobs .job.done:nth-child(1 of .job) a.title")
    expect(page.locator("h1")).to_have_text(re.compile(r"Recording \d{4}-\d\d-\d\d \d\d\.\d\d"))
    expect(page.locator("#lines")).to_contain_text("Hello world.", ignore_case=True)
    page.goto("/whisper")
    assert page.locator("#unsent .job").count() == 0


def test_a_recording_outlasts_its_tab_and_a_server_that_is_away(box: Server, visit: Visit) -> None:
    page = visit(box)
    begin(page)
    page.on("dialog", lambda dialog: dialog.accept())  # that the tab is closed all the same
    page.goto("about:blank")
    page.goto("/whisper")
    left = page.locator("#unsent .job")
    expect(left).to_have_count(1, timeout=LATE_MS)
    expect(left).to_contain_text("kept in this browser alone")
    page.route("**/whisper/jobs", lambda route: route.abort())
    left.get_by_role("button", name="Transcribe").click()
    expect(page.locator("#uploads")).to_contain_text("The server does not answer.")
    expect(left).to_have_count(1)
    page.unroute("**/whisper/jobs")
    before = page.locator("#jobs .job").count()
    left.get_by_role("button", name="Transcribe").click()
    expect(page.locator("#jobs .job")).to_have_count(before + 1, timeout=LATE_MS)
    expect(left).to_have_count(0)
    page.wait_for_selector("#jobs .job.done:nth-child(1 of .job)", timeout=60_000)


def test_a_recording_that_is_discarded_is_gone(box: Server, visit: Visit) -> None:
    page = visit(box)
    begin(page)
    page.keyboard.press("Escape")
    expect(page.locator("#recorder")).to_be_visible()  # Escape ends no recording
    page.click("#recorder >> text=Discard")
    page.locator("#ask").get_by_role("button", name="Discard").click()
    expect(page.locator("#recorder")).to_be_hidden()
    page.reload()
    page.wait_for_timeout(500)
    assert page.locator("#unsent .job").count() == 0
