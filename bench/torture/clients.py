"""Clients that submit, look at, cancel, restart, delete and share jobs, at random."""

import random
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import httpx
import msgspec

from bench.torture.box import ADMIN, Box, Materials, segments
from bench.torture.ledger import ENDS, Asked, Job, Ledger

CLIENTS = 3
DIALECTS = ("native", "native", "hub", "token")
RECORDINGS = ("clip",) * 6 + ("short",) * 3
OPEN_JOBS = 8
"""With so many jobs open, clients mostly do other things than submit."""
LATEST = 40
"""Clients deal with the latest jobs."""
HUB_STATUSES = {"completed": "done", "failed": "failed"}

Line = tuple[Any, ...]


class Crowd:
    """Clients of one server; ``ledger`` has what they were told."""

    def __init__(
        self, box: Box, materials: Materials, webhook_url: str, rng: random.Random
    ) -> None:
        self.box, self.ledger = box, Ledger()
        self.answers: Counter[str] = Counter()
        self.problems: list[str] = []
        self.recordings = {
            name: materials.recording(name).read_bytes() for name in sorted(set(RECORDINGS))
        }
        self._webhook_url, self._rng = webhook_url, rng
        self._token = ""
        self.transcripts: dict[str, list[Line]] = {}

    def prepare(self) -> None:
        """Start the server, transcribe each recording undisturbed once, and kill it.
        The ledger begins after that."""
        self.box.start_unless_killed()
        self.make_token()
        self.box.load()
        with self._http() as http:
            for name in self.recordings:
                job = Job("native", name, str(uuid.uuid4()))
                self._send(http, job)
                assert job.id
                assert self.box.ended(job.id)["status"] == "done"
                (row,) = self.box.rows("SELECT number FROM jobs WHERE id = ?", job.id)
                self.transcripts[name] = segments(self.box.database)[row["number"]]
        self.box.kill()
        self.ledger = Ledger()

    def make_token(self) -> None:
        """Make the token that submissions by token are sent with."""
        words = ("token", "create", ADMIN, "--scope", "whisper.api")
        self._token = self.box.command(*words).strip()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The clients ask the running server for as long as the block lasts."""
        stop = threading.Event()
        try:
            bearer = self.box.sign_in()
        except httpx.HTTPError:  # it was killed already
            bearer = ""
        threads = [
            threading.Thread(target=self._client, args=[stop, bearer, self._rng.random()])
            for _ in range(CLIENTS if bearer else 0)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def ask_again(self) -> None:
        """Send every submission that was not answered once more, with the same key."""
        with self._http(self.box.sign_in()) as http:
            for job in self.ledger.jobs:
                if not self.ledger.now(job).accepted:
                    self._send(http, job)

    def look_at_everything(self) -> None:
        with self._http(self.box.sign_in()) as http:
            for job in self.ledger.known():
                self._look(http, job)

    def _http(self, bearer: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        base_url = self.box.http.base_url
        return httpx.Client(base_url=base_url, timeout=15, trust_env=False, headers=headers)

    def _client(self, stop: threading.Event, bearer: str, seed: float) -> None:
        rng = random.Random(seed)
        with self._http(bearer) as http:
            while not stop.wait(0.02):
                try:
                    self._act(http, rng)
                except httpx.HTTPError:
                    continue  # the server was killed

    def _act(self, http: httpx.Client, rng: random.Random) -> None:
        known = self.ledger.known()
        waiting = sum(each.end is None and not each.deleted for each in known.values())
        if not known or rng.random() < (0.4 if waiting < OPEN_JOBS else 0.03):
            recording = rng.choice(RECORDINGS)
            return self._send(http, Job(rng.choice(DIALECTS), recording, str(uuid.uuid4())))
        there = [job for job, each in known.items() if not each.deleted]
        if not there:
            return None
        job = rng.choice(there[-LATEST:])
        if not job.lock.acquire(blocking=False):
            return None
        try:
            # What was asked for and not answered is settled by a look before anything else.
            if self.ledger.now(job).pending or rng.random() < 0.4:
                self._look(http, job)
            elif job.dialect == "native" and rng.random() < 0.5:
                self._follow(http, job, lines=rng.randrange(1, 8))
            else:
                self._change(http, job, rng)
        finally:
            job.lock.release()
        return None

    def _send(self, http: httpx.Client, job: Job) -> None:
        self.ledger.note(job, "asked", change=None)
        file = (f"{job.recording}.wav", self.recordings[job.recording], "audio/wav")
        headers, form = {"Idempotency-Key": job.key}, {}
        match job.dialect:
            case "native":
                path, field, form = "/jobs", "audio", {"webhook_url": self._webhook_url}
            case "hub":
                path, field = "/api/whisper/jobs", "media_file"
            case _:
                path, field = "/api/whisper/transcribe", "media_file"
                headers["Authorization"] = f"Bearer {self._token}"
                form = {"callback_url": self._webhook_url}
        answer = http.post(path, files={field: file}, data=form, headers=headers)
        self._count(f"{job.dialect} submit", answer)
        if answer.status_code not in (200, 202):
            return
        body = answer.json()
        if job.dialect == "native":
            job.id = body["job_id"]
        else:
            job.number = body["job"]["id"]
        self.ledger.note(job, "accepted")

    def _look(self, http: httpx.Client, job: Job) -> None:
        native = job.dialect == "native"
        path = f"/jobs/{job.id}" if native else f"/api/whisper/jobs/{job.number}"
        answer = http.get(path)
        self._count("look", answer)
        known = self.ledger.now(job)
        if answer.status_code == 404 and known.pending == "delete":
            self.ledger.note(job, "granted", token=None)
        elif answer.status_code == 404 and not known.deleted:
            self.problems.append(f"an accepted job is not found: {path}")
        if answer.status_code != 200:
            return
        if known.deleted:
            self.problems.append(f"a deleted job is there again: {path}")
        if native:
            body = answer.json()
            status, percent = body["status"], body.get("progress") or 0
            if status == "done":
                self._compare(job, [_line(each) for each in body["segments"]], whole=True)
        else:
            body = answer.json()["job"]
            status = "cancelled" if body["cancelled"] else HUB_STATUSES.get(body["status"], "open")
            percent = body["progress_percent"]
        if status == "cancelled" and known.end is None and known.pending != "cancel":
            self.problems.append(f"a job is cancelled that nobody cancelled: {path}")
        if known.end and known.pending is None and status != known.end:
            self.problems.append(f"a job that was {known.end} is {status}: {path}")
        self.ledger.note(job, "seen", status=status, percent=percent if status not in ENDS else 0)

    def _follow(self, http: httpx.Client, job: Job, lines: int) -> None:
        """Read the next lines of a job's stream; each must be in its transcript."""
        shown: list[Line] = []
        event = ""
        with http.stream("GET", f"/jobs/{job.id}/stream", timeout=2) as answer:
            for line in islice(answer.iter_lines(), 4 * lines):
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event == "segment":
                    shown.append(_line(msgspec.json.decode(line.removeprefix("data: "))["segment"]))
        self.answers["lines shown"] += len(shown)
        self._compare(job, shown, whole=False)

    def _change(self, http: httpx.Client, job: Job, rng: random.Random) -> None:
        known = self.ledger.now(job)
        change: Asked
        match known.end:
            case None:
                if job.recording == "clip" or rng.random() < 0.5:
                    return
                change = "cancel"
            case "done":
                change = rng.choice(("delete", "unshare" if known.share else "share"))
            case _:
                change = rng.choice(("delete", "restart", "restart"))
        if job.number is None:
            found = self.box.rows("SELECT number FROM jobs WHERE id = ?", job.id)
            if not found:
                return
            job.number = found[0]["number"]
        self.ledger.note(job, "asked", change=change)
        path = f"/api/whisper/jobs/{job.number}"
        match change:
            case "cancel" if job.dialect == "native":
                answer = http.delete(f"/jobs/{job.id}")
            case "cancel" | "restart":
                answer = http.post(f"{path}/{change}")
            case "delete":
                answer = http.delete(path)
            case "share":
                answer = http.post(f"{path}/share", json={})
            case "unshare":
                answer = http.delete(f"{path}/share")
        self._count(change, answer)
        if answer.status_code == 200:
            token = answer.json()["share"]["token"] if change == "share" else None
            self.ledger.note(job, "granted", token=token)
        elif answer.status_code < 500:
            self.ledger.note(job, "refused")

    def _compare(self, job: Job, lines: list[Line], *, whole: bool) -> None:
        expected = self.transcripts.get(job.recording)
        if expected is None:
            return
        if (lines != expected) if whole else not set(lines) <= set(expected):
            self.problems.append(
                f"another transcript of {job.recording} than undisturbed: {job.id}"
            )

    def _count(self, what: str, answer: httpx.Response) -> None:
        self.answers[f"{what} {answer.status_code}"] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self.problems.append(f"{what} was answered {answer.status_code}: {answer.text[:200]}")


def _line(segment: dict[str, Any]) -> Line:
    return (segment["index"], segment["start"], segment["end"], segment["text"])
