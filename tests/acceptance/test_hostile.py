"""Requests that nobody sends by mistake."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import psutil
import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import PASSWORD, Member
from tests.acceptance.server import Server
from tests.acceptance.test_access_matrix import ROUTES
from tests.acceptance.test_restarts import engine_pid

DEEP = b'{"x":' + 2000 * b"[" + 2000 * b"]" + b"}"
NO_UTF8 = b'{"email": "a\xff@b.example", "password": "x"}'
JSON = {"Content-Type": "application/json"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


def form_of(part: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: form-data; name=email\r\n" + part + b"\r\n--b--\r\n"


NO_TEXT = form_of(b"\r\n\xff\xfe")
NO_ENCODING = form_of(b"Content-Type: text/plain; charset=nonsense\r\n\r\nx")


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", "/api/account/login", DEEP, JSON, 422),
        ("POST", "/api/account/login", NO_UTF8, JSON, 422),
        ("POST", "/sign-in", NO_TEXT, MULTIPART, 400),
        ("POST", "/sign-in", NO_ENCODING, MULTIPART, 400),
        ("GET", "/static/%00", b"", {}, 404),
        ("GET", "/assets/%00", b"", {}, 404),
        ("GET", "/static/" + 300 * "a", b"", {}, 404),
        ("GET", "/assets/" + 100 * "%C3%A9%C3%A9", b"", {}, 404),
        ("GET", "/whisper", b"", {"HX-Request": "true", "HX-Current-URL": "http://["}, 401),
    ],
)
def test_what_cannot_be_read_is_refused_without_a_crash(
    shared: Server, method: str, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = shared.http.request(method, path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert "Traceback" not in "\n".join(shared.log)


def test_what_members_send_is_read_as_carefully(start: Start, clip: Path) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true")
    ann = Member(server, "ann@box.example", "--grant", "whisper.use")
    job = ann.ended(ann.upload(clip, source_label="one\n\n# two\x00.txt")["id"])
    for path in ("/jobs", f"/jobs/{job['id']}/share"):
        for content in (DEEP, NO_UTF8):
            assert ann.ask("POST", path, content=content, headers=JSON).status_code == 422
    share = ann.ask("POST", f"/jobs/{job['id']}/share", json={"password": "open sesame"}).json()
    url = share["share"]["url"]
    assert server.http.post(url, content=NO_TEXT, headers=MULTIPART).status_code == 404
    tries = []
    for n in range(12):  # all of one IPv6 network
        headers = {"X-Forwarded-For": f"2001:db8::{n:x}"}
        answer = server.http.post(url, data={"password": "wrong"}, headers=headers)
        tries.append(answer.status_code)
    assert tries == [403] * 10 + [429] * 2
    assert "Traceback" not in "\n".join(server.log)


@pytest.mark.parametrize("path", ["/model/unload", "/jobs", "/v1/audio/transcriptions", "/asr"])
def test_another_sites_page_changes_nothing_by_a_visitors_browser(start: Start, path: str) -> None:
    server = start(CORS_ORIGINS="https://front.example")
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    refused = server.http.post(path, headers=elsewhere)
    assert refused.status_code == 403
    assert "another site" in refused.text
    ours = {"Origin": "https://front.example", "Sec-Fetch-Site": "cross-site"}
    assert server.http.post(path, headers=ours).status_code != 403
    assert server.http.get("/health", headers=elsewhere).status_code == 200


HOSTILE_BODIES = [
    (b'{"x":' + 2000 * b"[" + 2000 * b"]" + b"}", "application/json"),
    (b'{"text": "\xff", "kind": "\xfe"}', "application/json"),
    (b'{"kind": 1e999, "line": -1, "at": 18446744073709551616}', "application/json"),
    (b"text=%FF%00&line=%00&start=nan&end=-inf", "application/x-www-form-urlencoded"),
    (b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\r\n--b--\r\n',
     "multipart/form-data; boundary=b"),
    (b'--b\r\nContent-Disposition: form-data; name="text"\r\n'
     b"Content-Type: text/plain; charset=nonsense\r\n\r\nx\r\n--b--\r\n",
     "multipart/form-data; boundary=b"),
]  # fmt: skip
ENDINGS = ("/sign-out", "/logout", "/sessions")
"""After these nobody is signed in any more."""


def test_no_body_makes_a_route_fail(start: Start, clip: Path) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true", REQUIRE_TOKEN="true")
    ann = Member(server, "ann@box.example", "--admin")
    token = {"Authorization": f"Bearer {ann.token().secret}"}
    headers = {
        "in_browser": cookie_of(ann),
        "signed_in": {"Authorization": f"Bearer {ann.bearer}"},
        "by_token": token,
        "native": token,
    }
    posts = [route for route in ROUTES if route.method not in ("GET", "DELETE")]
    for route in sorted(posts, key=lambda route: route.path.endswith(ENDINGS)):
        number = ann.ended(ann.upload(clip)["id"])["id"] if route.of_a_job else 0
        for body, kind in HOSTILE_BODIES:
            answer = server.http.request(
                route.method,
                route.filled(number),
                content=body,
                headers=headers.get(route.guard or "", {}) | {"Content-Type": kind},
            )
            assert answer.status_code != 500, (route, body, answer.text)
    assert not [line for line in server.log if "Traceback" in line]


def cookie_of(member: Member) -> dict[str, str]:
    form = {"email": member.email, "password": PASSWORD}
    answer = member.server.http.post("/sign-in", data=form)
    member.server.http.cookies.clear()
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


@contextmanager
def followed(server: Server, path: str, secret: str) -> Iterator[list[str]]:
    """The lines of a stream as they come, the last of which is `over`."""
    lines: list[str] = []
    headers = {"Authorization": f"Bearer {secret}"}
    url = f"{server.http.base_url}{path}"

    def read() -> None:
        with httpx.stream("GET", url, headers=headers, timeout=60, trust_env=False) as answer:
            lines.extend([f"status {answer.status_code}"])
            lines.extend(line for line in answer.iter_lines() if line)
        lines.append("over")

    thread = Thread(target=read)
    thread.start()
    yield lines
    thread.join(60)


def test_a_stream_ends_with_the_token_that_opened_it(start: Start, slow: Path, talk: Path) -> None:
    server = start(WHISPER_MODEL_PATH=slow, REQUIRE_TOKEN="true", QUEUE_WHEN_UNLOADED="true")
    rights = ("--grant", "whisper.use", "--grant", "whisper.api")
    ann = Member(server, "ann@box.example", *rights)
    secret = ann.token().secret
    server.http.headers["Authorization"] = f"Bearer {secret}"
    job_id = server.submit(talk)
    server.until(lambda: server.job(job_id)["progress"] > 0)
    engine = psutil.Process(engine_pid(server))
    engine.suspend()
    with followed(server, f"/jobs/{job_id}/stream", secret) as lines:
        server.until(lambda: any(line.startswith("data:") for line in lines))
        (number,) = [line.split()[0] for line in server.command("token", "list").splitlines()[1:]]
        server.command("token", "revoke", number)
        assert server.http.get("/jobs").status_code == 401
        heard = len(lines)
        engine.resume()
        server.until(lambda: lines[-1] == "over")
    assert lines[heard:] == ["over"]


def test_a_request_cannot_write_a_line_of_its_own_into_the_log(start: Start) -> None:
    server = start()
    line = "a sign-in was refused address=192.0.2.7"
    key = {"Idempotency-Key": "one"}
    named = {"audio": (f"a\n{line}.wav", b"this is no audio" * 99)}
    server.http.post("/jobs", files=named, headers=key)
    server.http.get(f"/jobs/%0a{line}%1b[31m")
    assert not [each for each in server.log if each.startswith(line)]
