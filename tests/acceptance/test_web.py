"""The pages without a browser: who gets what, and what bad input gets."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.hub_client import PASSWORD, Member
from tests.acceptance.server import Server

OURS = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


class Visitor:
    """A browser's cookies, and the headers that it sends with a form of ours."""

    def __init__(self, server: Server, email: str) -> None:
        self.http = httpx.Client(base_url=server.http.base_url, headers=OURS, timeout=30)
        answer = self.post("/sign-in", email=email, password=PASSWORD)
        assert answer.status_code == 303, answer.text

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers=headers)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.http.post(path, data=fields)


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, scripted: Path, clip: Path
) -> Iterator[tuple[Server, Member, int]]:
    """A server, Ada, and the number of a job of hers that is done."""
    server = Server(
        tmp_path_factory.mktemp("house"), WHISPER_MODEL_PATH=scripted, REQUESTS_PER_MINUTE=0
    ).start()
    ada = Member(server, "ada@example.org", "--grant", "whisper.use")
    number = ada.upload(clip, source_label="<i>Ada's</i>")["id"]
    ada.ended(number)
    Member(server, "bob@example.org", "--grant", "whisper.use")
    Member(server, "eve@example.org", "--grant", "whisper.use", "--grant", "whisper.manage")
    Member(server, "root@example.org", "--admin")
    yield server, ada, number
    server.kill()


@pytest.fixture(scope="module")
def visitors(house: tuple[Server, Member, int]) -> Iterator[dict[str, Visitor]]:
    server, _, _ = house
    made = {name: Visitor(server, f"{name}@example.org") for name in ("ada", "bob", "eve", "root")}
    yield made
    for visitor in made.values():
        visitor.http.close()


def test_neither_list_nor_search_shows_what_is_somebody_elses(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor]
) -> None:
    for path in ("/whisper", "/whisper/rows", "/whisper/search?q=hello", "/whisper/search?q=Ada"):
        assert "Ada" in visitors["ada"].get(path).text
        assert "&lt;i&gt;" not in visitors["bob"].get(path).text
        assert "<i>Ada" not in visitors["ada"].get(path).text


@pytest.mark.parametrize(
    "path", ["/whisper", "/whisper/jobs/1", "/whisper/account", "/whisper/server"]
)
def test_who_has_not_signed_in_is_led_to_the_door_and_back(
    house: tuple[Server, Member, int], path: str
) -> None:
    server, _, _ = house
    answer = server.http.get(path, headers=OURS)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next={path.replace('/', '%2F')}"


@pytest.mark.parametrize(
    "going", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_door_leads_nowhere_else(house: tuple[Server, Member, int], going: str) -> None:
    server, _, _ = house
    form = {"email": "ada@example.org", "password": PASSWORD, "next": going}
    # A client of its own, since the other tests' one would be signed in from then on.
    with httpx.Client(base_url=server.http.base_url, headers=OURS) as newcomer:
        answer = newcomer.post("/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/whisper")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[evil"},
    ],
)
@pytest.mark.parametrize(
    "path", ["/whisper/model/load", "/whisper/account/tokens", "/sign-in", "/sign-out"]
)
def test_a_form_on_another_site_cannot_use_ones_cookie(
    house: tuple[Server, Member, int],
    visitors: dict[str, Visitor],
    headers: dict[str, str],
    path: str,
) -> None:
    ada = visitors["ada"].http
    with httpx.Client(base_url=ada.base_url, cookies=ada.cookies) as elsewhere:
        assert elsewhere.post(path, data={"name": "x"}, headers=headers).status_code == 403
    assert ada.get("/whisper").status_code == 200


def test_a_browsers_session_is_good_for_the_hub_api_but_not_from_another_site(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor]
) -> None:
    _, _, number = house
    ada = visitors["ada"].http
    assert ada.get("/api/whisper/jobs").json()["jobs"][0]["id"] == number
    path = f"/api/whisper/jobs/{number}/share"
    elsewhere = ada.post(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    assert ada.post(path).status_code == 200
    assert ada.post("/api/whisper/transcribe").status_code == 401, "that wants a token"


def test_a_session_gets_a_new_id_at_each_sign_in_and_ends_at_once(
    house: tuple[Server, Member, int],
) -> None:
    server, _, _ = house
    visitor = Visitor(server, "bob@example.org")
    first = visitor.http.cookies["whisperbox_session"]
    visitor.post("/sign-in", email="bob@example.org", password=PASSWORD)
    second = visitor.http.cookies["whisperbox_session"]
    assert first != second
    old = httpx.Client(base_url=server.http.base_url, cookies={"whisperbox_session": first})
    assert old.get("/whisper", headers=OURS).status_code == 303
    visitor.post("/sign-out")
    gone = httpx.Client(base_url=server.http.base_url, cookies={"whisperbox_session": second})
    assert gone.get("/whisper", headers=OURS).status_code == 303
    for client in (old, gone, visitor.http):
        client.close()


def test_an_open_page_hears_nothing_more_once_its_session_is_over(
    house: tuple[Server, Member, int], clip: Path
) -> None:
    server, _, _ = house
    lea = Member(server, "lea@example.org", "--grant", "whisper.use")
    visitor = Visitor(server, "lea@example.org")
    with visitor.http.stream("GET", "/whisper/events", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": welcome"
        server.command("user", "passwd", "lea@example.org", "--password-stdin", typed=PASSWORD)
        lea.sign_in()
        lea.upload(clip)
        rest = list(lines)
    assert not any("job-" in line and "waiting" in line for line in rest)
    visitor.http.close()


def test_nobody_hears_of_the_end_of_a_recording_that_they_could_not_see(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor], clip: Path
) -> None:
    server, _, _ = house
    lea, max_ = (
        Member(server, f"{name}@example.org", "--grant", "whisper.use") for name in ("leo", "max")
    )
    theirs, own = lea.ended(lea.upload(clip)["id"]), max_.ended(max_.upload(clip)["id"])
    visitor = Visitor(server, "max@example.org")
    with visitor.http.stream("GET", "/whisper/events", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": welcome"
        lea.ask("DELETE", f"/jobs/{theirs['id']}")
        max_.ask("DELETE", f"/jobs/{own['id']}")
        gone = next(json.loads(line[6:])["gone"] for line in lines if '"gone":["' in line)
    assert len(gone) == 1
    visitor.http.close()


def test_only_administrators_change_accounts_and_only_managers_see_them(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor]
) -> None:
    assert visitors["bob"].get("/whisper/server").status_code == 403
    assert "bob@example.org" in visitors["eve"].get("/whisper/server").text
    fresh = {"email": "new@example.org", "password": "long enough", "whisper.use": "on"}
    assert visitors["eve"].post("/whisper/server/accounts", **fresh).status_code == 403
    assert visitors["eve"].post("/whisper/server/accounts/1", admin="on").status_code == 403
    assert visitors["root"].post("/whisper/server/accounts", **fresh).status_code == 303
    assert "new@example.org" in visitors["root"].get("/whisper/server").text
    again = visitors["root"].post("/whisper/server/accounts", **fresh)
    assert (again.status_code, "already" in again.text) == (422, True)


def test_managers_see_the_models_and_what_is_not_the_default(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor]
) -> None:
    server, _, _ = house
    folder = server.folder / "models" / "small"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(bytes(2_000_000))
    (folder / "vocabulary.json").write_bytes(bytes(1_000_000))
    shown = visitors["eve"].get("/whisper/server").text
    shutil.rmtree(folder)
    assert re.search(r"<td>small</td><td>CTranslate2</td><td>3.0 MB</td>", shown)
    assert "<dt>Models</dt><dd>3.0 MB</dd>" in shown
    changed, all_of_them = shown.split("All settings", 1)
    name, other = "REQUESTS_<wbr>PER_<wbr>MINUTE", "WEBHOOK_<wbr>SECRET"
    assert name in changed
    assert other not in changed
    assert other in all_of_them


def test_managers_see_which_receivers_take_no_webhooks(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor], clip: Path
) -> None:
    server, _, _ = house
    server.load()
    for _ in range(2):
        server.submit(clip, webhook_url="http://127.0.0.1:9/hook")

    def shown() -> list[str]:
        text = visitors["eve"].get("/whisper/server").text
        pattern = r"<code>http://127.0.0.1:9</code></td><td>2</td>.*Connect call failed"
        return re.findall(pattern, text)

    server.until(lambda: bool(shown()))


@pytest.mark.parametrize(
    ("settings", "shown"),
    [({}, "kept while the disk has room"), ({"KEEP_UPLOAD_HOURS": 48}, "kept until <time")],
)
def test_a_page_says_how_long_its_recording_is_kept(
    tmp_path: Path, scripted: Path, clip: Path, settings: dict[str, object], shown: str
) -> None:
    with Server(tmp_path, WHISPER_MODEL_PATH=scripted, **settings).start() as server:
        ada = Member(server, "ada@example.org", "--grant", "whisper.use")
        number = ada.upload(clip)["id"]
        ada.ended(number)
        visitor = Visitor(server, "ada@example.org")
        text = visitor.get(f"/whisper/jobs/{number}").text
        assert f"<dt>Recording</dt><dd>{shown}" in text
        visitor.http.close()


def test_settings_in_force_tell_no_secret(tmp_path: Path, scripted: Path) -> None:
    server = Server(
        tmp_path,
        WHISPER_MODEL_PATH=scripted,
        ADMIN_EMAIL="root@example.org",
        ADMIN_PASSWORD=PASSWORD,
        WEBHOOK_SECRET="hush-hush",
    ).start()
    try:
        visitor = Visitor(server, "root@example.org")
        text = visitor.get("/whisper/server").text
        assert "WEBHOOK_<wbr>SECRET" in text
        assert "hush-hush" not in text
        assert PASSWORD not in text
        visitor.http.close()
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/whisper?show=nonsense&before=x", 200),
        ("/whisper?before=99999999999999999999999", 200),
        ("/whisper/rows?before=-1", 200),
        ("/whisper/search?q=%22%00%2A", 200),
        ("/whisper/search?q=" + "a" * 5000, 200),
        ("/whisper/jobs/0", 404),
        ("/whisper/jobs/99999999999999999999999", 404),
        ("/whisper/jobs/abc", 404),
        ("/whisper/nothing", 404),
        ("/whisper/jobs/{n}?line=99999999999999", 200),
        ("/whisper/jobs/{n}?line=-5", 200),
        ("/whisper/jobs/{n}/lines?start=99999999999999999999", 200),
        ("/whisper/jobs/{n}/lines?end=0", 200),
        ("/whisper/jobs/{n}/lines/99999", 404),
        ("/whisper/jobs/{n}/lines/99999/edit", 404),
        ("/whisper/jobs/{n}/download/exe", 404),
        ("/whisper/jobs/{n}/download/srt?line_chars=x", 400),
        ("/whisper/jobs/{n}/download/srt?line_chars=0", 400),
        ("/whisper/jobs/{n}/export/preview?form=vtt&line_chars=9&lines=99999999999", 400),
        ("/whisper/jobs/{n}/export/preview?form=vtt&line_chars=9&chars_per_second=nan", 400),
        ("/whisper/jobs/{n}/export/file?form=exe", 404),
    ],
)
def test_odd_addresses_get_an_answer_and_never_a_crash(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor], path: str, status: int
) -> None:
    _, _, number = house
    answer = visitors["ada"].get(path.replace("{n}", str(number)))
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/lines/99999", {"text": "x"}, 404),
        ("/lines/0", {"text": "x" * 6000}, 400),
        ("/lines/0", {"x": "y"}, 400),
        ("/speakers", {"Speaker 1": "x" * 500}, 303),
        ("/share", {"password": "short"}, 422),
        ("/share", {"expires_in_hours": "99999999999"}, 400),
        ("/share", {"expires_in_hours": "9" * 5000}, 303),
        ("/texts", {"kind": "poem"}, 403),
        ("/callback", {}, 409),
        ("/cancel", {}, 409),
        ("/restart", {}, 409),
        ("/dance", {}, 404),
    ],
)
def test_odd_forms_get_an_answer_and_never_a_crash(
    house: tuple[Server, Member, int],
    visitors: dict[str, Visitor],
    path: str,
    fields: dict[str, str],
    status: int,
) -> None:
    _, _, number = house
    answer = visitors["ada"].post(f"/whisper/jobs/{number}{path}", **fields)
    assert answer.status_code == status, answer.text


def test_a_form_that_goes_on_for_ever_is_cut_off(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor]
) -> None:
    _, _, number = house
    for path in (f"/whisper/jobs/{number}/lines/0", "/sign-in", "/whisper/account/password"):
        answer = visitors["ada"].post(path, text="x" * (1 << 20))
        assert answer.status_code == 413, path


def test_a_password_is_changed_only_with_the_old_one(
    house: tuple[Server, Member, int],
) -> None:
    server, _, _ = house
    Member(server, "kim@example.org", "--grant", "whisper.use")
    visitor, other = Visitor(server, "kim@example.org"), Visitor(server, "kim@example.org")
    wrong = visitor.post("/whisper/account/password", old="wrong", new="brand new one")
    assert (wrong.status_code, "old password is wrong" in wrong.text) == (422, True)
    right = visitor.post("/whisper/account/password", old=PASSWORD, new="brand new one")
    assert right.status_code == 303
    assert visitor.get("/whisper/account").status_code == 200
    assert other.get("/whisper/account").status_code == 303
    for each in (visitor, other):
        each.http.close()


def test_a_page_of_a_new_token_that_is_sent_again_makes_no_other(
    visitors: dict[str, Visitor],
) -> None:
    root = visitors["root"]
    made = [root.post("/whisper/account/tokens", name="twice") for _ in range(2)]
    assert [answer.status_code for answer in made] == [200, 422]
    assert "You already have a token named twice" in made[1].text
    number = re.search(r"tokens/(\d+)/revoke", made[1].text)
    assert number
    assert root.post(f"/whisper/account/tokens/{number[1]}/revoke").status_code == 303
    assert root.post("/whisper/account/tokens", name="twice").status_code == 200


@pytest.mark.parametrize("days", ["9" * 300, "9" * 5000, "²", "-1", "0", "1.5"])
def test_a_tokens_days_are_days(visitors: dict[str, Visitor], days: str) -> None:
    answer = visitors["root"].post("/whisper/account/tokens", name="x", days=days)
    assert answer.status_code == 422, answer.text


def test_a_range_without_end_is_no_crash(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor]
) -> None:
    _, _, number = house
    for wanted in ("bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000, "bytes=9" * 50):
        answer = visitors["ada"].get(f"/whisper/jobs/{number}/audio", range=wanted)
        assert answer.status_code == 200


def test_an_unknown_address_is_a_page_for_a_browser_and_a_document_for_a_program(
    house: tuple[Server, Member, int],
) -> None:
    server, _, _ = house
    for path in ("/whisper/nothing", "/nothing", "/whisper/server/accounts"):
        by_hand = server.http.get(path, headers={"Accept": "text/html"})
        assert by_hand.headers["content-type"].startswith("text/html"), path
        assert "default-src 'none'" in by_hand.headers["content-security-policy"]
    assert server.http.get("/nothing").json() == {"error": "no such route: GET /nothing"}


def test_a_form_comes_from_the_address_that_people_use_whatever_a_proxy_makes_of_it(
    tmp_path: Path, scripted: Path
) -> None:
    server = Server(
        tmp_path, WHISPER_MODEL_PATH=scripted, PUBLIC_URL="http://box.lan",
        ADMIN_EMAIL="a@b.example", ADMIN_PASSWORD=PASSWORD,
    ).start()  # fmt: skip
    try:
        form = {"email": "a@b.example", "password": PASSWORD}
        for origin, status in (("http://box.lan", 303), ("http://other.lan", 403)):
            answer = server.http.post("/sign-in", data=form, headers={"Origin": origin})
            assert answer.status_code == status
    finally:
        server.kill()


def test_what_is_sent_after_a_sign_out_stays_in_its_form(house: tuple[Server, Member, int]) -> None:
    server, _, number = house
    path, htmx = f"/whisper/jobs/{number}/lines/0", {"HX-Request": "true", **OURS}
    nobody = httpx.Client(base_url=server.http.base_url)
    answer = nobody.post(path, data={"text": "a draft"}, headers=htmx)
    assert (answer.status_code, "HX-Redirect" in answer.headers) == (401, False)
    assert "Sign in in another tab" in answer.text
    here = {**htmx, "HX-Current-URL": f"http://box/whisper/jobs/{number}?line=3"}
    back = nobody.get(f"{path}/edit", headers=here).headers["HX-Redirect"]
    nobody.close()
    assert back == f"/sign-in?next=%2Fwhisper%2Fjobs%2F{number}%3Fline%3D3"


def test_a_line_that_somebody_else_has_changed_is_not_written_over_unasked(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor]
) -> None:
    _, _, number = house
    path, ada, root = f"/whisper/jobs/{number}/lines/1", visitors["ada"], visitors["root"]
    found = re.search(r'name="was" value="([^"]*)"', ada.get(f"{path}/edit").text)
    assert found
    assert root.post(path, text="Root was quicker.", was=found[1]).status_code == 303
    asked = ada.post(path, text="Ada's words.", was=found[1])
    assert asked.status_code == 200
    assert "Somebody else has changed this line" in asked.text
    assert "Ada&#39;s words.</textarea>" in asked.text
    assert "Root was quicker." in ada.get(path).text
    assert ada.post(path, text="Ada's words.", was="Root was quicker.").status_code == 303
    assert "Ada&#39;s words." in ada.get(path).text


def test_a_recording_is_transcribed_again_with_other_options(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor], clip: Path
) -> None:
    server, ada, _ = house
    number = ada.upload(clip, source_label="Board")["id"]
    ada.ended(number)
    visitor = visitors["ada"]
    page = visitor.get(f"/whisper/jobs/{number}").text
    assert "Transcribe again with" in page
    wrong = visitor.post(f"/whisper/jobs/{number}/again", language="xx")
    assert wrong.status_code == 400, wrong.text
    assert "anguage" in wrong.text, wrong.text[-600:]
    assert visitors["bob"].post(f"/whisper/jobs/{number}/again").status_code == 404
    made = visitor.post(f"/whisper/jobs/{number}/again", quality="best", language="fr")
    other = int(made.headers["location"].rsplit("/", 1)[1])
    visitor.post(f"/whisper/jobs/{number}/delete")  # each has the recording for itself
    told = ada.ended(other)
    assert told["source_label"] == "Board"
    assert told["status"] == "completed"
    audio = visitor.get(f"/whisper/jobs/{other}/audio")
    assert audio.content == clip.read_bytes()
    server.http.cookies.clear()


def test_a_download_is_named_after_its_recording(
    house: tuple[Server, Member, int], visitors: dict[str, Visitor]
) -> None:
    _, _, number = house
    told = visitors["ada"].get(f"/whisper/jobs/{number}/download/srt")
    assert "filename*=UTF-8''%3Ci%3EAda%27s%3C_i%3E.srt" in told.headers["content-disposition"]
