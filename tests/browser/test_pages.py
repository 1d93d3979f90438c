"""What a person does with the pages, in a real browser on a real server."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.acceptance.hub_client import Member
from tests.acceptance.server import Server
from tests.audio import a_call
from tests.browser.conftest import (
    ADA,
    LATE_MS,
    RECORDING,
    Visit,
    hide,
    serve,
    sign_in,
    submit,
    transcribed,
)
from tests.provider import Provider

NOW = "document.querySelector('audio').currentTime"


def test_a_wrong_password_is_told_and_the_right_one_leads_where_one_was_going(
    box: Server, visit: Visit
) -> None:
    page = visit(box, signed_in=False)
    page.goto("/whisper/account")
    expect(page).to_have_url(re.compile("/sign-in"))
    page.fill("#email", ADA)
    page.fill("#password", "something else")
    page.click("button.primary")
    expect(page.get_by_role("alert")).to_contain_text("password is wrong")
    assert page.input_value("#email") == ADA
    page.fill("#password", "correct horse battery")
    page.click("button.primary")
    expect(page).to_have_url(re.compile("/whisper/account$"))


def test_a_file_becomes_a_transcript_before_ones_eyes(box: Server, visit: Visit) -> None:
    page = visit(box)
    submit(page, RECORDING)
    row = page.locator("#jobs .job").first
    expect(row).to_contain_text("demo.wav")
    expect(row).to_have_class(re.compile("done"), timeout=LATE_MS)
    expect(row).to_contain_text("real time")
    row.locator("a.title").click()
    expect(page.locator("#lines .line")).to_have_count(24)
    expect(page.locator("#lines .line").first).to_contain_text("Hello world.")


def test_several_files_are_several_jobs_and_the_options_are_remembered(
    box: Server, visit: Visit
) -> None:
    page = visit(box)
    page.goto("/whisper")
    page.click("#options > summary")
    page.select_option("#language", "de")
    page.uncheck("#speakers")
    before = page.locator("#jobs .job").count()
    files = [
        {"name": f"{name}.wav", "mimeType": "audio/wav", "buffer": RECORDING.read_bytes()}
        for name in ("one", "two", "three")
    ]
    page.set_input_files("#media_file", files)  # type: ignore[arg-type]
    page.click("button.primary")
    expect(page.locator("#jobs .job")).to_have_count(before + 3)
    page.reload()
    assert page.input_value("#language") == "de"
    assert not page.is_checked("#speakers")
    expect(page.locator("#jobs .job.done")).to_have_count(before + 3, timeout=LATE_MS)
    page.click("#jobs .job.done a.title >> nth=0")
    expect(page.locator("aside dl")).to_contain_text("German")


def test_what_is_no_recording_is_told_in_words(box: Server, visit: Visit) -> None:
    page = visit(box)
    empty = {"name": "empty.wav", "mimeType": "audio/wav", "buffer": b""}
    submit(page, empty)
    expect(page.locator("#uploads .job.failed")).to_contain_text("empty")
    noise = {"name": "noise.wav", "mimeType": "audio/wav", "buffer": b"no audio at all"}
    submit(page, noise)
    failed = page.locator("#jobs .job.failed").first
    expect(failed).to_contain_text("Failed", timeout=LATE_MS)
    name = failed.get_attribute("id")
    failed.get_by_role("button", name=re.compile("Delete")).click()
    expect(page.locator(f"#{name}")).to_be_hidden()
    page.click("#toast >> text=Undo")
    expect(page.locator(f"#{name}")).to_be_visible()
    page.locator(f"#{name}").get_by_role("button", name=re.compile("Delete")).click()
    expect(page.locator(f"#{name}")).to_be_hidden()
    page.goto("/whisper/account")  # whoever leaves does not take it back
    number = str(name).removeprefix("job-")
    box.until(lambda: page.request.get(f"/whisper/jobs/{number}").status == 404)
    page.goto("/whisper")
    expect(page.locator(f"#{name}")).to_have_count(0)


def test_a_recording_is_renamed(box: Server, visit: Visit) -> None:
    page = visit(box)
    path = transcribed(page)
    page.click("[title=Rename]")
    expect(page.locator("#new-name")).to_be_focused()
    page.keyboard.type("Board meeting, May")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Board meeting, May")
    page.goto("/whisper")
    expect(page.locator(f"#jobs a[href='{path}']")).to_have_text("Board meeting, May")
    download = page.request.get(f"{path}/download/srt")
    assert "Board%20meeting" in download.headers["content-disposition"]


def test_jobs_stand_under_their_day(box: Server, visit: Visit) -> None:
    page = visit(box)
    submit(page, RECORDING)
    expect(page.locator("#jobs .day")).to_have_text(["Today"])
    page.evaluate("""
        const row = document.querySelector('#jobs .job').cloneNode(true);
        Object.assign(row, {id: 'job-0'});
        Object.assign(row.dataset, {at: '2020-02-03T10:00:00Z', number: 0, job: 'old'});
        document.getElementById('jobs').append(row);
        document.dispatchEvent(new CustomEvent('whisperbox:changed'));
    """)
    expect(page.locator("#jobs .day")).to_have_text(["Today", re.compile("February 2020|2020")])
    page.locator("#job-0").evaluate("row => row.remove()")
    page.evaluate("document.dispatchEvent(new CustomEvent('whisperbox:changed'))")
    expect(page.locator("#jobs .day")).to_have_text(["Today"])


def test_the_model_is_unloaded_and_loaded_in_its_menu(box: Server, visit: Visit) -> None:
    page = visit(box)
    transcribed(page)
    model = page.locator("#model")
    model.locator("summary").click()
    expect(model.locator(".popover")).to_contain_text("Model demo is ready since")
    model.get_by_role("button", name="Unload").click()
    expect(model).to_have_class(re.compile("unloaded"), timeout=LATE_MS)
    expect(model.locator(".popover")).to_be_visible()
    model.get_by_role("button", name="Load", exact=True).click()
    expect(model).to_have_class(re.compile("ready"), timeout=LATE_MS)
    page.keyboard.press("Escape")
    expect(model.locator(".popover")).to_be_hidden()


def test_a_theme_is_chosen_in_the_menu_and_stays(box: Server, visit: Visit) -> None:
    page = visit(box, color_scheme="light")
    page.goto("/whisper")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("header > .menu > summary")
    page.get_by_title("Dark").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.click("header > .menu > summary")
    page.get_by_title("System").click()
    page.reload()
    assert page.evaluate(ground) == light


def test_a_folder_is_walked_for_its_recordings(box: Server, visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "interviews"
    (folder / "older").mkdir(parents=True)
    (folder / "older" / "first.wav").write_bytes(RECORDING.read_bytes())
    (folder / "second.wav").write_bytes(RECORDING.read_bytes())
    (folder / "notes.txt").write_text("not a recording")
    page = visit(box)
    page.goto("/whisper")
    before = page.locator("#jobs .job").count()
    with page.expect_file_chooser() as chosen:
        page.click("#choose-folder")
    chosen.value.set_files(folder)
    expect(page.locator("#jobs .job")).to_have_count(before + 2)
    expect(page.locator("#jobs .title").nth(0)).to_have_text(re.compile("first|second"))
    expect(page.locator("#uploads .job")).to_have_count(0)


def open_the_newest(page: Page) -> None:
    expect(page.locator("#uploads .job")).to_have_count(0)  # else the page asks before it is left
    page.click("#jobs .job a.title")


def test_lines_come_while_the_recording_is_heard(
    tmp_path: Path, scripted: Path, talk: Path, visit: Visit
) -> None:
    with serve(tmp_path, WHISPER_MODEL_PATH=scripted) as server:
        page = visit(server)
        submit(page, talk)
        expect(page.locator("#uploads .job")).to_have_count(
            0
        )  # a page that uploads asks before it is left
        page.click("#jobs .job a.title")
        lines = page.locator("#lines .line")
        expect(lines.first).to_be_visible(timeout=LATE_MS)
        expect(page.locator("#job")).to_have_class("done", timeout=LATE_MS)
        expect(lines.first).to_contain_text("Hello world.")


def test_a_click_on_a_line_plays_it_from_there_and_marks_it(box: Server, visit: Visit) -> None:
    page = visit(box)
    transcribed(page)
    page.wait_for_function("() => document.getElementById('wave').clientHeight > 30")
    line = page.locator("#lines .paragraph").nth(2)
    line.locator("button.time").click()
    expect(line).to_have_class(re.compile("spoken"))
    start = float(line.get_attribute("data-start") or 0)
    page.wait_for_function(f"() => {NOW} > {start}")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    page.locator("#play").click()
    word = page.locator("#lines .line").nth(4).locator("[data-s]").nth(2)
    word.click()
    at = float(word.get_attribute("data-s") or 0)
    page.wait_for_function(f"() => Math.abs({NOW} - {at}) < 1.5")


def test_an_export_is_shown_as_it_will_be_downloaded(box: Server, visit: Visit) -> None:
    page = visit(box)
    transcribed(page)
    page.click("#export")
    shown = page.locator("#preview")
    expect(shown).to_contain_text("Hello world. Good morning.")
    assert _downloaded(page).startswith(b"Hello world. Good morning.")
    page.check("#with-times")
    expect(shown).to_contain_text("[00:00] Hello world. Good morning.")
    assert _downloaded(page).startswith(b"[00:00] Hello world. Good morning.")
    page.click("label[for=form-docx]")
    expect(shown.locator("h3")).to_have_text("demo.wav")
    assert _downloaded(page).startswith(b"PK")
    page.click("label[for=form-vtt]")
    page.fill("#line_chars", "8")
    page.fill("#max-lines", "1")
    expect(shown).to_contain_text(re.compile(r"^WEBVTT\s+\S+ --> \S+\s+Hello\s"))
    lines = _downloaded(page).decode().splitlines()
    texts = [line for line in lines[1:] if line and "-->" not in line]
    assert texts[:2] == ["Hello", "world."]
    assert all(len(text) <= 8 for text in texts)


def _downloaded(page: Page) -> bytes:
    with page.expect_download() as download:
        page.click(".export-form >> text=Download")
    return Path(download.value.path()).read_bytes()


def test_a_shared_transcript_opens_in_a_private_window(box: Server, visit: Visit) -> None:
    page = visit(box)
    transcribed(page)
    page.check("#with-audio")
    page.locator("#share button:has-text('Share')").click()
    address = page.input_value("#share-url")
    stranger = visit(box, signed_in=False)
    stranger.goto(address)
    expect(stranger.locator("article")).to_contain_text("Hello world.")
    word = stranger.locator(".line [data-s]").nth(6)
    word.click()
    at = float(word.get_attribute("data-s") or 0)
    stranger.wait_for_function(f"() => Math.abs({NOW} - {at}) < 1.5")
    expect(stranger.locator(".spoken")).to_have_count(1)
    form = address + "/download/srt"
    assert stranger.request.get(form).status == 200
    page.fill("#share-password", "open sesame")
    page.select_option("#expires", "24")
    page.click("text=Save changes")
    expect(page.locator("#share")).to_contain_text("with the password")
    stranger.reload()
    expect(stranger.locator("form")).to_contain_text("Password")
    page.uncheck("#with-downloads")
    page.uncheck("#with-audio")
    page.click("text=Save changes")
    expect(page.locator("#with-downloads")).not_to_be_checked()
    stranger.reload()
    stranger.fill("#password", "open barley")
    stranger.click("button")
    expect(stranger.get_by_role("alert")).to_have_text("That is not the password.")
    stranger.fill("#password", "open sesame")  # it was not named, and so it stays
    stranger.click("button")
    expect(page.locator("#share")).to_contain_text("until")
    assert stranger.locator("audio, footer").count() == 0
    assert stranger.request.get(form).status == 404
    page.locator("#share button:has-text('Stop sharing')").click()
    expect(page.locator("#share-url")).to_have_count(0)
    assert stranger.goto(address).status == 404  # type: ignore[union-attr]


def test_search_leads_to_the_second_at_which_it_was_said(box: Server, visit: Visit) -> None:
    page = visit(box)
    transcribed(page)
    page.goto("/whisper")
    page.fill("#q", "kaffee bitte")
    hit = page.locator(".hits li a").first
    expect(hit.locator("mark").first).to_have_text("Kaffee")
    hit.click()
    expect(page.locator(".spoken")).to_contain_text("Kaffee bitte.")
    assert page.evaluate(NOW) > 15


def test_a_page_recovers_when_the_server_comes_back(tmp_path: Path, visit: Visit) -> None:
    with serve(tmp_path) as server:
        page = visit(server)
        page.goto("/whisper")
        expect(page.locator(".unless-jobs")).to_be_visible()
        port = server.http.base_url.port
        server.stop()
        expect(page.locator("#offline")).to_be_visible(timeout=LATE_MS)
        server.settings["PORT"] = port
        server.start()
        server.submit(RECORDING)
        expect(page.locator("#offline")).to_be_hidden(timeout=LATE_MS)
        expect(page.locator("#jobs .job.done")).to_have_count(1, timeout=LATE_MS)


def test_speakers_of_a_call_are_told_apart_and_get_names(
    tmp_path: Path, scripted: Path, visit: Visit
) -> None:
    with serve(tmp_path, WHISPER_MODEL_PATH=scripted) as server:
        page = visit(server)
        submit(page, a_call(tmp_path / "call.wav"))
        expect(page.locator("#uploads .job")).to_have_count(
            0
        )  # a page that uploads asks before it is left
        page.click("#jobs .job a.title")
        speakers = page.locator("#lines .speaker")
        expect(page.locator("#people input")).to_have_count(2, timeout=LATE_MS)
        expect(speakers).to_have_text(["Speaker 1", "Speaker 2"])
        page.fill("#speaker-1", "Ada <3")
        page.click("text=Save names")
        expect(speakers).to_have_text(["Ada <3", "Speaker 2"])
        assert page.input_value("#speaker-1") == "Ada <3"


def test_an_analysis_and_a_translation_appear_beside_the_transcript(
    tmp_path: Path, scripted: Path, clip: Path, visit: Visit
) -> None:
    model = Provider(lambda text: "<b>In short</b>: a greeting.")
    server = serve(
        tmp_path, WHISPER_MODEL_PATH=scripted, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="k",
        OPENAI_MODEL="m",
    )  # fmt: skip
    try:
        page = visit(server)
        submit(page, clip)
        expect(page.locator("#uploads .job")).to_have_count(
            0
        )  # a page that uploads asks before it is left
        page.click("#jobs .job a.title")
        written = page.locator("#texts .written")
        expect(written).to_have_text("<b>In short</b>: a greeting.", timeout=LATE_MS)
        page.select_option("#texts [name=kind]", "translation")
        page.select_option("#texts [name=language]", "fr")
        page.click("#texts >> text=Write")
        expect(written).to_have_count(2, timeout=LATE_MS)
        expect(page.locator("#texts")).to_contain_text("French")
    finally:
        server.kill()
        model.close()


def test_what_somebody_types_survives_a_restart_of_the_server(tmp_path: Path, visit: Visit) -> None:
    with serve(tmp_path) as server:
        page = visit(server)
        transcribed(page)
        page.click("label[for=view-edit]")
        page.locator("#line-2 .text").click()
        server.settings["PORT"] = server.http.base_url.port
        server.stop()
        page.keyboard.type("Half a sentence")
        expect(page.locator("#saved")).to_contain_text("does not answer", timeout=LATE_MS)
        server.start()
        expect(page.locator("#saved")).to_have_text("Saved", timeout=LATE_MS)
        page.reload()
        expect(page.locator("#line-2 .text")).to_contain_text("Half a sentence")


def test_a_page_that_one_comes_back_to_listens_again(box: Server, visit: Visit) -> None:
    page = visit(box)
    page.goto("/whisper")
    page.goto("/whisper/account")
    page.go_back()
    before = page.locator("#jobs .job").count()
    box.submit(RECORDING)
    expect(page.locator("#jobs .job")).to_have_count(before + 1)


def test_where_one_was_in_a_recording_outlasts_a_look_at_another_tab(
    box: Server, visit: Visit
) -> None:
    page = visit(box)
    transcribed(page)
    page.locator("#seek").fill("20")
    page.check("#show-unsure")
    _away_and_back(page, 120)
    page.wait_for_timeout(1500)
    assert page.evaluate(NOW) == 20
    assert page.is_checked("#show-unsure")


def test_a_list_stays_where_it_was_scrolled_to(box: Server, visit: Visit) -> None:
    for _ in range(60):
        box.submit(RECORDING)
    page = visit(box)
    page.goto("/whisper")
    page.locator("#jobs .more").scroll_into_view_if_needed()
    expect(page.locator("#jobs .more")).to_have_count(0)
    rows = page.locator("#jobs .job").count()
    assert rows >= 60
    gone = page.locator("#jobs .job").first
    number = gone.get_attribute("data-job")
    box.http.delete(f"/jobs/{number}")
    _away_and_back(page, 120)
    box.submit(RECORDING)
    expect(page.locator("#jobs .job")).to_have_count(rows + 1)
    for row in page.locator("#jobs .job").all()[:62]:
        box.http.delete(f"/jobs/{row.get_attribute('data-job')}")


def test_a_job_that_another_lets_forward_says_so(tmp_path: Path, visit: Visit) -> None:
    with serve(tmp_path, WHISPER_MODEL_PATH=tmp_path / "away.bin") as server:  # so that all wait
        ann, bob, eve = (
            Member(server, f"{name}@example.org", "--grant", "whisper.use")
            for name in ("ann", "bob", "eve")
        )
        before = [(member, member.upload(RECORDING)["id"]) for member in (bob, eve)]
        ann.upload(RECORDING)
        page = visit(server, signed_in=False)
        sign_in(page, "ann@example.org")
        place = page.locator("#jobs .job .detail")
        expect(place).to_have_text("number 3 in the queue")
        for member, number in before:
            answer = member.ask("DELETE", f"/jobs/{number}")
            assert answer.status_code == 200, answer.text
        expect(place).to_have_text("number 1 in the queue")


def test_the_keyboard_keeps_its_place(box: Server, visit: Visit) -> None:
    page = visit(box)
    transcribed(page)
    page.evaluate("htmx.config.defaultSettleDelay = 500")  # for hands that are faster than that
    page.click("label[for=view-edit]")
    page.locator("#line-2").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#line-2 .text")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#line-2")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#line-3")).to_be_focused()
    page.keyboard.press("F2")
    expect(page.locator("#line-dialog textarea")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#line-3")).to_be_focused()
    page.locator("#play").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('audio').currentTime > 4")


def _away_and_back(page: Page, seconds: float) -> None:
    """As if somebody had looked at another tab for so long."""
    hide(page, True)
    page.evaluate(f"const now = Date.now; Date.now = () => now() + {seconds * 1000:.0f}")
    hide(page, False)


def test_a_filtered_list_has_only_what_it_says(box: Server, visit: Visit) -> None:
    page = visit(box)
    page.goto("/whisper?show=done")
    before = page.locator("#jobs .job").count()
    box.submit(RECORDING)
    expect(page.locator("#jobs .job")).to_have_count(before + 1, timeout=LATE_MS)
    expect(page.locator("#jobs .job.done")).to_have_count(before + 1)


def test_who_is_signed_out_elsewhere_is_led_to_the_door(tmp_path: Path, visit: Visit) -> None:
    with serve(tmp_path) as server:
        page = visit(server)
        page.goto("/whisper")
        server.command("user", "passwd", ADA, "--password-stdin", typed="another password\n")
        server.submit(RECORDING)
        expect(page).to_have_url(re.compile("/sign-in"), timeout=LATE_MS)


def test_every_text_from_outside_is_shown_as_text(box: Server, visit: Visit) -> None:
    page = visit(box)
    name = "<img src=x onerror=alert(1)>.wav"
    file = {"name": name, "mimeType": "audio/wav", "buffer": RECORDING.read_bytes()}
    submit(page, file)
    expect(page.locator("#jobs .title").first).to_have_text(name)
    page.goto("/whisper/account")
    page.fill("#token-name", "<b>bold</b>")
    page.click("text=Create token")
    expect(page.locator("tbody tr").first).to_contain_text("<b>bold</b>")


def test_a_token_is_shown_once_and_works_until_it_is_revoked(box: Server, visit: Visit) -> None:
    page = visit(box)
    page.goto("/whisper/account")
    page.fill("#token-name", "backup script")
    page.click("text=Create token")
    secret = page.input_value("#secret")
    headers = {"Authorization": f"Bearer {secret}"}
    assert box.http.get("/api/whisper/transcribe/status", headers=headers).status_code == 200
    page.goto("/whisper/account")
    assert secret not in page.content()
    page.click("[aria-label='Revoke backup script']")
    page.locator("#ask").get_by_role("button", name="Revoke").click()
    expect(page.locator("main")).not_to_contain_text("backup script")
    assert box.http.get("/api/whisper/transcribe/status", headers=headers).status_code == 401


def test_without_scripts_one_signs_in_submits_corrects_and_deletes(
    box: Server, visit: Visit
) -> None:
    page = visit(box, java_script_enabled=False)
    page.goto("/whisper")
    page.set_input_files("#media_file", RECORDING)
    page.click("button.primary")
    expect(page).to_have_url(re.compile("/whisper$"))
    _reloaded_until_done(page)
    page.click("#jobs .job a.title >> nth=0")
    job = page.url
    page.locator("#line-0 .edit").click(force=True)
    page.fill("#text-0", "Hello moon.")
    page.click("text=Save")
    expect(page.locator("#line-0")).to_contain_text("Hello moon.")
    page.goto(job)
    page.click(".actions >> text=Delete")
    expect(page).to_have_url(re.compile("/whisper$"))
    assert page.goto(job).status == 404  # type: ignore[union-attr]


def test_without_scripts_an_address_is_enough(box: Server, visit: Visit) -> None:
    page = visit(box, java_script_enabled=False)
    page.goto("/whisper")
    page.fill("#source_url", "http://localhost:1/secret.wav")
    page.click("button.primary")
    expect(page).to_have_url(re.compile("/whisper$"))
    expect(page.locator("#jobs .title").first).to_contain_text("secret.wav")


def test_without_scripts_a_refused_form_keeps_what_was_typed(box: Server, visit: Visit) -> None:
    page = visit(box, java_script_enabled=False)
    page.goto("/whisper")
    page.fill("#source_url", "ftp://example.org/talk.wav")
    page.click("#options > summary")
    page.fill("#source_label", "A talk")
    page.select_option("#language", "de")
    page.uncheck("#words")
    page.click("button.primary")
    expect(page.locator("#problems li")).to_have_count(1)
    assert page.input_value("#source_url") == "ftp://example.org/talk.wav"
    assert page.input_value("#source_label") == "A talk"
    assert page.input_value("#language") == "de"
    assert not page.is_checked("#words")


def test_signing_out_everywhere_ends_the_other_browser_too(tmp_path: Path, visit: Visit) -> None:
    with serve(tmp_path) as server:
        here, there = visit(server), visit(server)
        there.goto("/whisper/account")
        here.goto("/whisper/account")
        here.click("text=Sign out everywhere")
        expect(here).to_have_url(re.compile("/sign-in"))
        there.reload()
        expect(there).to_have_url(re.compile("/sign-in"))
        sign_in(there)
        expect(there).to_have_url(re.compile("/whisper$"))


def _reloaded_until_done(page: Page) -> None:
    for _ in range(100):
        if page.locator("#jobs .job").first.locator(".badge.done").count():
            return
        page.wait_for_timeout(200)
        page.reload()
    raise AssertionError("it never was done")
