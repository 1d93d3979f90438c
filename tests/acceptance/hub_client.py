"""A client of the hub dialect, as its guide wants clients to be."""

from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.server import Server

PASSWORD = "correct horse battery"
DONE = ("completed", "failed")


class Member:
    """Somebody with an account, and a token where they want one."""

    def __init__(self, server: Server, email: str, *words: str) -> None:
        self.server, self.email = server, email
        server.command("user", "add", email, "--password-stdin", *words, typed=PASSWORD + "\n")
        self.bearer = ""
        self.sign_in()

    def sign_in(self) -> None:
        answer = self.server.http.post(
            "/api/account/login", json={"email": self.email, "password": PASSWORD}
        )
        assert answer.status_code == 200, answer.text
        self.bearer = answer.json()["access_token"]

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.bearer}"} | how.pop("headers", {})
        return self.server.http.request(method, f"/api/whisper{path}", headers=headers, **how)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, file: Path, **fields: Any) -> dict[str, Any]:
        with file.open("rb") as content:
            files = {"media_file": (file.name, content, "audio/wav")}
            answer = self.ask("POST", "/jobs", files=files, data=fields)
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()["job"]
        return job

    def job(self, number: int) -> dict[str, Any]:
        job: dict[str, Any] = self.get(f"/jobs/{number}")["job"]
        return job

    def ended(self, number: int) -> dict[str, Any]:
        """Polled, as the guide tells clients to."""
        self.server.until(lambda: self.job(number)["status"] in DONE)
        return self.job(number)

    def token(self, *words: str) -> "Program":
        printed = self.server.command(
            "token", "create", self.email, "--scope", "whisper.api", *words
        )
        return Program(self.server, printed.removesuffix("\n"))


class Program:
    """A server that transcribes by token."""

    def __init__(self, server: Server, secret: str) -> None:
        self.server, self.secret = server, secret

    def ask(self, method: str, path: str = "", **how: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secret}"} | how.pop("headers", {})
        return self.server.http.request(
            method, f"/api/whisper/transcribe{path}", headers=headers, **how
        )

    def upload(self, file: Path, callback_url: str, **fields: Any) -> dict[str, Any]:
        with file.open("rb") as content:
            answer = self.ask(
                "POST",
                files={"media_file": (file.name, content, "audio/wav")},
                data={"callback_url": callback_url, **fields},
            )
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()["job"]
        return job
