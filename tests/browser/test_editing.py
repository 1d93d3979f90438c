"""Reading and editing a transcript, as somebody does who corrects recordings for a living."""

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.acceptance.server import Server
from tests.audio import spoken
from tests.browser.conftest import ADA, LATE_MS, Visit, serve, sign_in, submit, transcribed
from tests.scripted import scripted_model

FIRST = ["Hello world.", "Good morning.", "Coffee please.", "Yes thanks."]
EDITS = re.compile("/edits")

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def path(box: Server, browser: Browser) -> str:
    """The page of a transcript that all tests edit."""
    with browser.new_context(base_url=str(box.http.base_url)) as context:
        page = context.new_page()
        sign_in(page)
        found = transcribed(page)
        expect(page.locator("#people")).not_to_contain_text("Being identified", timeout=30_000)
        return found


@pytest.fixture
def opened(box: Server, visit: Visit, path: str) -> Opened:
    """Opens the transcript as the engine wrote it, in the editing view."""
    fresh = True

    def begin(**context: object) -> Page:
        nonlocal fresh
        page = visit(box, **context)
        page.goto(path)
        if fresh and page.locator("#restore").is_visible():
            page.click("#restore button")
            page.click("#sure")
            expect(page.locator("#restore")).to_be_hidden()
        fresh = False
        page.wait_for_load_state()
        page.click("label[for=view-edit]")
        return page

    return begin


def texts(page: Page) -> list[str]:
    return [" ".join(text.split()) for text in page.locator("#lines .text").all_inner_texts()]


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("Saved", timeout=LATE_MS)


def expect_first(page: Page, *lines: str) -> None:
    found = page.locator("#lines .text")
    for n, line in enumerate(lines):
        expect(found.nth(n)).to_have_text(line)


def test_a_line_is_typed_in_and_saves_itself(opened: Opened) -> None:
    page = opened()
    page.locator("#line-1 .text").click()
    page.keyboard.press("End")
    page.keyboard.type(" <b>Tea</b>?")
    expect(page.locator("#saved")).to_have_text("Saving …")
    saved(page)
    page.keyboard.press("Enter")
    page.keyboard.type("More ")
    page.keyboard.press("Escape")
    saved(page)
    page.reload()
    expect_first(page, FIRST[0], "Good morning. <b>Tea</b>?", "More Coffee please.")
    expect(page.locator("#line-1")).to_have_class(re.compile("corrected"))
    with page.expect_download() as download:
        page.click("text=SRT >> nth=0")
    assert "<b>Tea</b>?" in Path(download.value.path()).read_text()


def test_lines_are_split_joined_and_removed_by_keys_and_all_of_it_is_undone(
    opened: Opened,
) -> None:
    page = opened()
    page.locator("#line-1 .text").click()
    page.keyboard.press("Home")
    for _ in "Good ":
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("fine ")  # at once: nothing of it is lost, whenever the server answers
    expect_first(page, FIRST[0], "Good", "fine morning.", FIRST[2])
    saved(page)
    page.keyboard.press("Home")
    page.keyboard.press("Backspace")
    expect_first(page, FIRST[0], "Good fine morning.", FIRST[2])
    page.keyboard.type("very ")
    expect_first(page, FIRST[0], "Good very fine morning.", FIRST[2])
    saved(page)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Delete")
    expect_first(page, FIRST[0], "Good very fine morning.", FIRST[3])
    for _ in range(5):
        expect(page.locator("#undo")).to_be_enabled()
        page.keyboard.press("Control+z")
        page.wait_for_timeout(300)
    expect_first(page, *FIRST)
    page.keyboard.press("Control+Shift+Z")
    expect_first(page, FIRST[0], "Good", "morning.", FIRST[2])


def slowly(route: Route) -> None:
    """As over a slow network."""
    time.sleep(0.6)
    route.continue_()


def test_keys_that_are_faster_than_the_server_do_what_they_would_have_done(opened: Opened) -> None:
    page = opened()
    page.route(EDITS, slowly)
    page.locator("#line-7 .text").click()  # "Hallo welt."
    page.keyboard.press("Home")
    page.keyboard.press("Control+ArrowRight")
    for key in ("Shift+Enter", "ArrowDown", "Home", "Shift+Tab"):
        page.keyboard.press(key)
    page.keyboard.type("So: ")
    page.keyboard.press("Enter")
    page.keyboard.type("And ")
    saved(page)
    found = texts(page)
    at = found.index("Hallo")
    assert found[at : at + 4] == ["Hallo", "welt.", "So: Guten morgen.", "And Kaffee bitte."]


def test_after_an_undo_and_after_a_dialog_the_caret_is_in_the_text_again(opened: Opened) -> None:
    page = opened()
    text = page.locator("#line-0 .text")
    text.click()
    page.keyboard.press("Home")
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.press("Shift+Enter")
    expect_first(page, "Hello", "world.")
    page.keyboard.press("Control+z")
    expect_first(page, *FIRST)
    expect(text).to_be_focused()
    for key in ("F2", "Control+h"):
        page.keyboard.press("Home")
        page.keyboard.press(key)
        expect(page.locator("dialog[open]")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(text).to_be_focused()
        page.keyboard.press("Delete")
        saved(page)
    expect_first(page, "llo world.", *FIRST[1:])


def test_what_is_taken_back_while_it_is_being_saved_stays_taken_back(opened: Opened) -> None:
    page = opened()
    page.route(EDITS, slowly)
    page.locator("#line-0 .text").click()
    page.keyboard.press("End")
    with page.expect_request(EDITS):
        page.keyboard.type("X")
    page.keyboard.press("Backspace")
    page.keyboard.press("Escape")
    saved(page)
    page.wait_for_timeout(1500)
    page.unroute(EDITS)
    page.reload()
    expect_first(page, *FIRST)


def test_an_answer_of_somebody_else_stops_nothing(opened: Opened) -> None:
    page = opened()
    page.route(EDITS, lambda route: route.fulfill(content_type="text/html", body="<h1>Log in"))
    page.locator("#line-0 .text").click()
    page.keyboard.press("End")
    page.keyboard.type("!")
    expect(page.locator("#saved")).to_contain_text("Not saved yet", timeout=LATE_MS)
    page.unroute(EDITS)
    saved(page)
    page.keyboard.press("Control+z")
    expect_first(page, *FIRST)


def test_what_was_typed_in_a_line_that_is_gone_can_be_copied(opened: Opened) -> None:
    mine, theirs = opened(permissions=["clipboard-read", "clipboard-write"]), opened()
    mine.route(EDITS, lambda route: route.abort())
    mine.locator("#line-3 .text").click()
    mine.keyboard.press("End")
    mine.keyboard.type(" Dear reader.")
    theirs.locator("#line-3").focus()
    theirs.keyboard.press("Delete")
    expect(theirs.locator("#line-3")).to_have_count(0)
    mine.reload()
    mine.unroute(EDITS)
    note = mine.locator(".conflict")
    expect(note).to_contain_text("Yes thanks. Dear reader.", timeout=LATE_MS)
    note.get_by_role("button", name="Copy mine").click()
    assert mine.evaluate("navigator.clipboard.readText()") == "Yes thanks. Dear reader."
    note.get_by_role("button", name="Discard mine").click()
    saved(mine)
    mine.reload()
    expect(mine.locator("#saved")).not_to_contain_text("Not saved yet")
    assert mine.locator(".conflict").count() == 0


def test_what_was_typed_without_a_server_is_saved_by_the_next_page(opened: Opened) -> None:
    page = opened()
    page.route(EDITS, lambda route: route.abort())
    page.locator("#line-2 .text").click()
    page.keyboard.press("Home")
    page.keyboard.type("Strong ")
    expect(page.locator("#saved")).to_contain_text("Not saved yet", timeout=LATE_MS)
    page.reload()
    expect_first(page, *FIRST[:2], "Strong Coffee please.")
    page.unroute(EDITS)
    saved(page)
    page.evaluate("localStorage.clear()")
    page.reload()
    expect_first(page, *FIRST[:2], "Strong Coffee please.")


def test_who_was_signed_out_meanwhile_loses_nothing(opened: Opened, visit: Visit) -> None:
    page = opened()

    def refuse(route: Route) -> None:
        route.fulfill(status=401, body="Sign in in another tab.")

    page.route(EDITS, refuse)
    page.locator("#line-0 .text").click()
    page.keyboard.press("End")
    page.keyboard.type(" Bye.")
    expect(page.locator("#saved")).to_contain_text("sign in in another tab", timeout=LATE_MS)
    page.unroute(EDITS)
    saved(page)
    page.reload()
    expect_first(page, "Hello world. Bye.")


def test_a_second_tab_follows_and_says_where_both_have_typed(opened: Opened) -> None:
    mine, theirs = opened(), opened()
    mine.locator("#line-0 .text").click()
    mine.keyboard.press("End")
    mine.keyboard.type(" Mine.")
    expect_first(theirs, "Hello world. Mine.")
    mine.route(EDITS, lambda route: route.abort())
    mine.keyboard.type(" Later.")
    theirs.locator("#line-0 .text").click()
    theirs.keyboard.press("Home")
    theirs.keyboard.type("Oh, ")
    saved(theirs)
    expect(mine.locator("#saved")).to_contain_text("Not saved yet", timeout=LATE_MS)
    mine.unroute(EDITS)
    note = mine.locator("#line-0 .conflict")
    expect(note).to_contain_text("“Oh, Hello world. Mine.”", timeout=LATE_MS)
    expect_first(mine, "Hello world. Mine. Later.")
    note.get_by_role("button", name="Keep mine").click()
    expect_first(theirs, "Hello world. Mine. Later.")
    expect(note).to_have_count(0)


def test_a_word_is_replaced_everywhere_after_a_look_at_the_places(opened: Opened) -> None:
    page = opened()
    before = sum("coffee" in text.lower() for text in texts(page))
    page.keyboard.press("Control+h")
    page.fill("#find", "coffee")
    page.fill("#replace-by", "tea")
    expect(page.locator("#found-count")).to_have_text(f"{before} places")
    expect(page.locator("#found li").first).to_contain_text("Coffee tea please.")
    page.click("#replace-all")
    expect_first(page, *FIRST[:2], "tea please.")
    assert not any("coffee" in text.lower() for text in texts(page))
    page.keyboard.press("Control+z")
    expect_first(page, *FIRST)


def test_a_line_gets_a_speaker_and_times_and_comes_back(opened: Opened) -> None:
    page = opened()
    line = page.locator("#line-1")
    line.locator(".text").click()
    page.keyboard.press("F2")
    page.fill("#line-speaker", "Grace")
    page.check("#line-following")
    page.fill("#line-start", "0:03.5")
    page.fill("#line-end", "0:01")
    page.click("#line-dialog .primary")
    expect(page.locator("#line-dialog .problem")).to_have_text("A line ends after it begins.")
    page.fill("#line-end", "0:03.9")
    page.click("#line-dialog .primary")
    expect(line.locator(".speaker")).to_have_text("Grace")
    assert line.get_attribute("data-start") == "3.50"
    expect(page.locator("#lines .speaker")).to_have_count(1)  # the lines after it are hers, too
    line.hover()
    line.locator(".edit").click()
    page.click("#line-dialog .versions summary")
    expect(page.locator("#line-dialog .versions")).to_contain_text(ADA)
    page.click("text=Restore original")
    expect(line).to_have_attribute("data-start", re.compile("^2"))


def test_what_is_typed_is_heard_without_a_hand_on_the_mouse(opened: Opened) -> None:
    page = opened()
    line = page.locator("#line-8")
    line.locator(".text").click()
    page.keyboard.press("Tab")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    start = float(line.get_attribute("data-start") or 0)
    page.wait_for_function(f"() => document.querySelector('audio').currentTime > {start}")
    page.keyboard.press("Tab")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    expect(line.locator(".text")).to_be_focused()
    at = page.evaluate("document.querySelector('audio').currentTime")
    page.keyboard.press("Shift+Tab")
    page.wait_for_function(f"() => document.querySelector('audio').currentTime < {at} - 2")


def test_a_transcript_is_read_in_paragraphs_and_copied(opened: Opened) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.keyboard.press("e")
    expect(page.locator("#view-read")).to_be_checked()
    assert page.locator("#line-1 .time").is_hidden()
    page.click("#copy-transcript")
    expect(page.locator("#toast")).to_contain_text("copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Hello world. Good morning. Coffee please.")
    assert "\n\n" in copied
    page.evaluate("getSelection().selectAllChildren(document.getElementById('lines'))")
    page.keyboard.press("Control+c")
    assert page.evaluate("navigator.clipboard.readText()") == copied


def test_what_was_left_out_is_put_back(box: Server, opened: Opened, path: str) -> None:
    number = int(path.rsplit("/", 1)[1])
    with closing(sqlite3.connect(box.folder / "data" / "whisperbox.db", timeout=10)) as c, c:
        c.execute(
            "INSERT INTO left_out (job_number, start_secs, end_secs, text, reason) "
            "VALUES (?, 1.2, 1.4, 'Psst.', 'no speech was found there')",
            [number],
        )
    page = opened()
    page.click(".left-out summary")
    page.click("[data-put-back]")
    expect_first(page, FIRST[0], "Psst.", FIRST[1])
    page.keyboard.press("Control+z")
    expect_first(page, *FIRST)


def test_the_next_unsure_word_is_one_key_away(box: Server, opened: Opened, path: str) -> None:
    number = int(path.rsplit("/", 1)[1])
    with closing(sqlite3.connect(box.folder / "data" / "whisperbox.db", timeout=10)) as c, c:
        for table, column in (("segments", "position"), ("line_versions", "line")):
            place = f"{table} WHERE job_number = ? AND {column} = 2"
            for (words,) in c.execute(f"SELECT DISTINCT words FROM {place}", [number]).fetchall():
                unsure = re.sub(r",(0\.\d+|1\.0|1)\]", ",0.2]", words, count=1)
                where = f"job_number = ? AND {column} = 2 AND words = ?"
                c.execute(f"UPDATE {table} SET words = ? WHERE {where}", [unsure, number, words])
    page = opened()
    page.keyboard.press("F8")
    page.wait_for_function("() => getSelection().toString() === 'Coffee'")
    page.keyboard.type("Tea")
    saved(page)
    page.keyboard.press("Escape")
    expect_first(page, *FIRST[:2], "Tea please.")
    expect(page.locator(".unsure")).to_have_count(0)


def test_all_lines_of_a_long_transcript_are_there_to_be_found_and_printed(
    tmp_path: Path, visit: Visit
) -> None:
    words = "one two three four five six seven eight nine ten day night man house time".split()
    script = "".join(f"<|{n}.00|> {word}.<|{n + 1}.00|>" for n, word in enumerate(words))
    talkative = scripted_model(tmp_path / "talkative.bin", script)
    with serve(tmp_path, WHISPER_MODEL_PATH=talkative) as server:
        page = visit(server)
        submit(page, spoken(tmp_path / "talk.wav", [16.0] * 10))
        page.wait_for_selector("#jobs .job.done", timeout=60_000)
        page.click("#jobs .job a.title")
        expect(page.locator("#lines .line")).to_have_count(150, timeout=LATE_MS)
        assert page.locator("#lines .more").count() == 0
        page.locator("#seek").fill("150")
        expect(page.locator("#lines .spoken")).to_have_count(1, timeout=LATE_MS)
        assert float(page.locator("#lines .spoken").get_attribute("data-start") or 0) > 140
