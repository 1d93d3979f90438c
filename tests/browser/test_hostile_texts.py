"""Whatever users, models and other servers write is shown as text, on each page and in what arrives
on an open page."""

import html
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.hub_client import PASSWORD
from tests.acceptance.server import Server
from tests.audio import a_call
from tests.browser.conftest import ADA, LATE_MS, Visit, serve
from tests.provider import Provider

EVIL = (
    "<img src=x onerror=hurt()><svg onload=hurt()></textarea><script>hurt()</script>\"'`${hurt()}"
)
SPOKEN = "<img src=x onerror=hurt()> <b>bold</b>"
WITNESS = "window.hurt = () => { window.harmed = true }"


@contextmanager
def hostile_house(folder: Path, model: Path) -> Iterator[Server]:
    author = Provider(lambda text: EVIL)
    server = serve(
        folder, WHISPER_MODEL_PATH=model, OPENAI_BASE_URL=author.url, OPENAI_API_KEY="k",
        OPENAI_MODEL=EVIL,
    )  # fmt: skip
    try:
        yield server
    finally:
        server.kill()
        author.close()


def unharmed(page: Page) -> None:
    """No text has become an element, and none of its scripts has run."""
    page.wait_for_load_state()
    assert page.locator("img[src=x], svg[onload], b:text-is('bold')").count() == 0
    assert page.evaluate("window.harmed") is None


@pytest.fixture
def server(tmp_path: Path, scripted: Path) -> Iterator[Server]:
    with hostile_house(tmp_path, scripted) as server:
        yield server


def test_texts_from_outside_are_text_on_every_page_and_in_what_arrives(
    server: Server, tmp_path: Path, visit: Visit
) -> None:
    page = visit(server)
    page.add_init_script(WITNESS)
    page.goto("/whisper")
    login = {"email": ADA, "password": PASSWORD}
    bearer = server.http.post("/api/account/login", json=login).json()["access_token"]
    headers = {"Authorization": f"Bearer {bearer}"}
    recording = a_call(tmp_path / "call.wav").read_bytes()
    fields = {
        "source_label": EVIL, "source_note": EVIL, "prompt": EVIL, "analysis_language": "en",
    }  # fmt: skip
    server.http.post(
        "/api/whisper/jobs", data=fields, headers=headers,
        files={"media_file": (f"{EVIL}.wav".replace("/", ""), recording)},
    ).raise_for_status()  # fmt: skip

    # On the open page of recordings.
    title = page.locator("#jobs .job a.title").first
    expect(title).to_have_text(EVIL)
    page.wait_for_selector("#jobs .job.done", timeout=LATE_MS)
    unharmed(page)

    # On the page of the recording: lines, texts, names and corrections.
    database = server.folder / "data" / "whisperbox.db"
    with closing(sqlite3.connect(database, timeout=10)) as db, db:
        db.execute("UPDATE segments SET text = ?", [SPOKEN])  # as if it had been heard
    title.click()
    job = page.evaluate("location.pathname")
    expect(page.locator("#lines .line").first).to_contain_text("<b>bold</b>")
    expect(page.locator("#texts .written").first).to_have_text(EVIL, timeout=LATE_MS)
    page.locator("#people input").first.wait_for(timeout=LATE_MS)
    page.fill("#speaker-1", EVIL[:60])
    page.click("text=Save names")
    expect(page.locator("#lines .speaker").first).to_have_text(EVIL[:60])
    page.click("label[for=view-edit]")
    page.locator("#line-0 .text").click()
    page.keyboard.press("F2")
    page.fill("#text-0", EVIL)
    page.fill("#line-speaker", EVIL[:70])
    page.click("#line-dialog >> text=Save")
    expect(page.locator("#line-0")).to_contain_text(EVIL)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+h")
    page.fill("#find", "img")
    page.fill("#replace-by", EVIL)
    expect(page.locator("#found li").first).to_contain_text("img")
    unharmed(page)
    page.keyboard.press("Escape")
    page.click("#export")
    page.click("label[for=form-docx]")
    expect(page.locator("#preview .document")).to_contain_text(EVIL)
    unharmed(page)
    page.click("#export-dialog [data-leave]")

    # What was found, and what was asked for.
    for words in ("img", EVIL):
        page.goto(f"/whisper/search?{urlencode({'q': words})}")
        expect(page.locator("main")).to_contain_text("img")
        unharmed(page)

    # Accounts, tokens, and the server's own page.
    page.goto("/whisper/account")
    page.fill("#token-name", EVIL[:60])
    page.click("text=Create token")
    unharmed(page)
    for path in ("/whisper/account", "/whisper/server"):
        page.goto(path)
        unharmed(page)

    # What a stranger sees of it.
    share = server.http.post(f"/api{job}/share", json={}, headers=headers).json()["share"]["url"]
    stranger = visit(server, signed_in=False)
    stranger.add_init_script(WITNESS)
    stranger.goto(share)
    expect(stranger.locator("main")).to_contain_text(EVIL)
    unharmed(stranger)
    assert html.escape("<img src=x") in stranger.content()
