"""A real server process on a real socket, and a client that reads it like a browser."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

START_S = 30.0
STOP_S = 30.0


class Event(dict[str, Any]):
    """The data of a server-sent event; ``name`` and ``id`` beside it."""

    def __init__(self, name: str, event_id: str | None, data: dict[str, Any]) -> None:
        super().__init__(data)
        self.name, self.id = name, event_id


class Server:
    """One process, to be started again on the same data as often as a test likes."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.settings = {
            "DATA_DIR": folder / "data",
            "WHISPER_MODELS_DIR": folder / "models",
            "PORT": 0,
            "WHISPER_DEVICE": "cpu",
            "WHISPER_CPU_THREADS": 1,  # several servers share the cores with several tests
            # Nothing is downloaded in a test, unless from the test itself.
            "HF_ENDPOINT": os.environ.get("HF_ENDPOINT", "http://127.0.0.1:1"),
            **settings,
        }
        self.log: list[str] = []
        self.http = httpx.Client()
        self._said = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> "Server":
        """Returns once the server listens."""
        self.log.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            env=self._environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=[self._process], daemon=True)
        self._reader.start()
        line = self.wait_for_log(r"listening on (http://\S+),")
        self.http = httpx.Client(
            base_url=line[1],
            timeout=30,
            trust_env=False,
            event_hooks={"response": [self._documented]},
        )
        return self

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait_for_log(self, pattern: str, within: float = START_S) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            return next((m for line in self.log if (m := re.search(pattern, line))), None)

        with self._said:
            self._said.wait_for(lambda: found() or not self.running, within)
        match = found()
        assert match, f"the log has no {pattern!r}:\n" + "\n".join(self.log)
        return match

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self._process
        self.http.close()
        if self.running:
            self._process.send_signal(number)
        status = self._process.wait(STOP_S)
        assert self._process.stderr
        return status

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr
        with process.stderr:
            for line in process.stderr:
                with self._said:
                    self.log.append(line.rstrip())
                    self._said.notify_all()
        process.wait()
        with self._said:
            self._said.notify_all()

    def command(self, *words: str, typed: str = "") -> str:
        """What a ``whisperbox`` command prints, run on the same settings."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *words],
            env=self._environment(), input=typed, capture_output=True, text=True, timeout=START_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _environment(self) -> dict[str, str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WHISPER")}
        return environment | {name: str(value) for name, value in self.settings.items()}

    # What clients do.

    def _documented(self, response: httpx.Response) -> None:
        """Whatever a test provokes is in /docs."""
        path, method = response.url.path, response.request.method.lower()
        if not path.startswith(("/jobs", "/model", "/health", "/api", "/v1", "/asr", "/detect")):
            return
        routes = documentation(str(self.http.base_url))
        for route, operations in routes:
            if route.fullmatch(path.rstrip("/")) and method in operations:
                assert str(response.status_code) in operations[method]["responses"], response
                return

    def load(self) -> None:
        self.http.post("/model/load")
        self.until(lambda: self.http.get("/model/status").json()["state"] == "ready")

    def submit(self, audio: Path, **fields: str) -> str:
        with audio.open("rb") as file:
            response = self.http.post("/jobs", files={"audio": (audio.name, file)}, data=fields)
        assert response.status_code == 202, response.text
        job_id: str = response.json()["job_id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.http.get(f"/jobs/{job_id}").json()
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job, once its stream has said its last word."""
        for _ in self.events(f"/jobs/{job_id}/stream"):
            pass
        return self.job(job_id)

    def events(self, path: str, last_event_id: str | None = None) -> Iterator[Event]:
        """The events of a stream until it ends."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        with self.http.stream("GET", path, headers=headers) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            seen: dict[str, str] = {}
            for line in response.iter_lines():
                if line:
                    key, _, value = line.partition(": ")
                    seen[key] = value
                elif "event" in seen:
                    yield Event(seen["event"], seen.get("id"), json.loads(seen["data"]))
                    seen = {}

    def until(self, true: Callable[[], bool], within: float = 30) -> None:
        """Poll, as the guide tells clients to."""
        deadline = time.monotonic() + within
        while not true():
            assert time.monotonic() < deadline, "it never came to be:\n" + "\n".join(self.log)
            time.sleep(0.05)


Routes = list[tuple[re.Pattern[str], dict[str, Any]]]
_documentation: Routes = []


def documentation(base_url: str) -> Routes:
    """What /docs says of each route; the same of all servers."""
    if not _documentation:
        paths = httpx.get(f"{base_url}/docs/openapi.json", trust_env=False).json()["paths"]
        for path in sorted(paths, key=lambda path: "{" in path):
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path.rstrip("/")))
            _documentation.append((re.compile(pattern), paths[path]))
    return _documentation
