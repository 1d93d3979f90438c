"""The list of recordings: several at once, and what a page says that nobody looks at."""

import re
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.acceptance.server import Server
from tests.browser.conftest import LATE_MS, Visit, hide, serve, submit


def three_recordings(page: Page, clip: Path) -> None:
    submit(page, *(_named(clip, name) for name in ("a.wav", "b.wav", "a.mp3")))
    expect(page.locator("#jobs .job.done")).to_have_count(3, timeout=LATE_MS)


def _named(clip: Path, name: str) -> dict[str, object]:
    return {"name": name, "mimeType": "audio/wav", "buffer": clip.read_bytes()}


def test_several_recordings_are_chosen_exported_and_deleted(
    tmp_path: Path, scripted: Path, clip: Path, visit: Visit
) -> None:
    with serve(tmp_path, WHISPER_MODEL_PATH=scripted) as server:
        page = visit(server)
        three_recordings(page, clip)
        bar = page.locator("#selection")
        expect(bar).to_be_hidden()
        boxes = page.locator("#jobs .pick")
        boxes.nth(0).click()
        boxes.nth(2).click(modifiers=["Shift"])
        expect(bar).to_contain_text("3 selected")
        page.select_option("#export-form", "md")
        with page.expect_download() as download:
            bar.get_by_role("button", name="Export").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            assert sorted(archive.namelist()) == ["a (2).md", "a.md", "b.md"]
            assert "Hello world." in archive.read("b.md").decode()
        boxes.nth(1).click()
        expect(bar).to_contain_text("2 selected")
        bar.get_by_role("button", name="Delete").click()
        expect(page.locator("#jobs .job:visible")).to_have_count(1)
        page.click("#toast >> text=Undo")
        expect(page.locator("#jobs .job:visible")).to_have_count(3)
        for row in range(2):  # each can be taken back for itself
            page.locator("#jobs .job:visible").nth(0).get_by_role("button", name="Delete").click()
            expect(page.locator("#jobs .job:visible")).to_have_count(2 - row)
        expect(page.locator("#toast button")).to_have_count(2)
        page.locator("#toast button").nth(0).click()
        page.locator("#toast button").nth(0).click()
        expect(page.locator("#jobs .job:visible")).to_have_count(3)
        boxes.nth(1).click()
        bar.get_by_role("button", name="Delete").click()
        expect(bar).to_be_hidden()
        expect(page.locator("#jobs .job")).to_have_count(2, timeout=LATE_MS)
        page.reload()
        expect(page.locator("#jobs .job")).to_have_count(2)


def test_a_page_that_nobody_looks_at_says_what_is_done(box: Server, visit: Visit) -> None:
    page = visit(box)
    page.goto("/whisper")
    page.clock.install()
    page.route(
        re.compile("/whisper/ended"),
        lambda route: route.fulfill(json=[{"id": "x", "title": "talk.mp3", "status": "Done"}]),
    )
    page.evaluate(
        "document.getElementById('jobs').innerHTML = "
        '\'<li class="job working" data-job="x"></li>\''
    )
    before = page.title()
    hide(page, True)
    page.clock.run_for(21_000)
    page.wait_for_function("() => document.title === '✓ Done: talk.mp3'")
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile("icon-done"))
    hide(page, False)
    assert page.title() == before
    expect(icon).to_have_attribute("href", re.compile(r"/icon\.svg"))


def test_a_job_that_was_deleted_before_the_page_listened_goes(
    tmp_path: Path, scripted: Path, clip: Path, visit: Visit
) -> None:
    with serve(tmp_path, WHISPER_MODEL_PATH=scripted) as server:
        page = visit(server)
        three_recordings(page, clip)
        ids = [row.get_attribute("data-job") for row in page.locator("#jobs .job").all()]
        page.route("**/whisper/events*", lambda route: None)  # the stream hangs on its way
        page.reload()
        page.route("**/whisper/events*", lambda route: route.abort())
        page.unroute("**/whisper/events*")
        number = page.locator("#jobs .job").nth(1).get_attribute("data-number")
        form = {"hx-request": "true", "origin": str(server.http.base_url).rstrip("/")}
        answer = page.request.post(f"/whisper/jobs/{number}/delete", headers=form)
        assert answer.ok
        hide(page, True)
        hide(page, False)  # it listens again
        expect(page.locator("#jobs .job")).to_have_count(2, timeout=LATE_MS)
        left = [row.get_attribute("data-job") for row in page.locator("#jobs .job").all()]
        assert left == [ids[0], ids[2]]
