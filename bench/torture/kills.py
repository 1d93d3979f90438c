"""Kills a server at work again and again: at a random moment, at its n-th file operation, or its
children, and compares what is there afterwards with what clients were told."""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import psutil

from actors.jobs.queue import MAX_CRASHES
from app.services.share import PATH
from bench.torture import integrity
from bench.torture.box import DECODER, ENGINE, Box, Materials, outliving, segments
from bench.torture.clients import Crowd
from bench.torture.ledger import broken_promises
from bench.torture.report import Report
from tests.acceptance.receiver import Receiver

EPISODES_OF_A_BOX = 150
"""Then all its jobs are brought to their end and compared, and a fresh box is taken."""
MODES = {"moment": 4, "operation": 5, "engine": 2, "decoder": 1, "stop": 1}
"""How an episode ends, and how often: by SIGKILL at a random moment or at a file operation, by
SIGKILL of a child, or by SIGTERM with sometimes a second signal."""
OPERATIONS = ("fsync", "fsync", "write", "rename", "unlink", "truncate")
PLACES = ("", ":/spool/", ":whisperbox.db")
MOODS, WEIGHTS = (200, 500, 503), (75, 15, 10)
"""What the receiver of webhooks answers."""
LIVES_S = (0.2, 0.5, 1.0, 2.0)
OPERATION_WITHIN_S = 4.0
"""How long the operation at which the server is to be killed is waited for."""


def run(folder: Path, materials: Materials, episodes: int, seed: int) -> Report:
    report, began = Report("kills", seed), time.monotonic()
    rng = random.Random(seed)
    for number, first in enumerate(range(0, episodes, EPISODES_OF_A_BOX)):
        count = min(EPISODES_OF_A_BOX, episodes - first)
        _Torment(folder / f"kills-{seed}-{number}", materials, rng, report).run(count)
        report.progress(f"{first + count} of {episodes}, {time.monotonic() - began:.0f} s")
    return report


class _Torment:
    """One box, killed so many times."""

    def __init__(
        self, folder: Path, materials: Materials, rng: random.Random, report: Report
    ) -> None:
        self._rng, self._report = rng, report
        self._receiver = Receiver()
        self._box = Box(folder, WHISPER_MODEL_PATH=materials.scripted, KEEP_UPLOAD_HOURS=24)
        self._crowd = Crowd(self._box, materials, self._receiver.url, rng)
        self._ends: Counter[str] = Counter()

    def run(self, episodes: int) -> None:
        try:
            self._crowd.prepare()
            self._receiver.statuses = self._rng.choices(MOODS, WEIGHTS, k=100 * episodes)
            for _ in range(episodes):
                self._episode()
            self._bring_to_an_end()
        finally:
            if self._box.running:
                self._box.kill()
            self._receiver.server.shutdown()
            self._receiver.server.server_close()
        for problem in self._crowd.problems:
            self._report.fail(problem)
        self._report.count(**self._ends, jobs=len(self._crowd.ledger.known()))
        self._report.count(**self._crowd.answers)

    def _episode(self) -> None:
        rng, box = self._rng, self._box
        mode = rng.choices(list(MODES), list(MODES.values()))[0]
        self._ends[mode] += 1
        children: list[psutil.Process] = []
        if box.start_unless_killed(**self._rules(mode)):
            with self._crowd.at_work():
                until = time.monotonic() + self._life(mode)
                while time.monotonic() < until and box.running:
                    self._hurt_children(mode)
                    children = box.children() or children
                    time.sleep(0.01)
                self._end(mode)
        for problem in (*outliving(children), *self._contradictions()):
            self._report.fail(f"{problem} (after: {mode})")

    def _rules(self, mode: str) -> dict[str, object]:
        if mode != "operation":
            return {}
        rng = self._rng
        operation = rng.choice(OPERATIONS)
        often = operation in ("fsync", "write")
        nth = 1 + int(rng.expovariate(1 / 30)) if often else rng.randrange(1, 6)
        place = rng.choice(PLACES) if operation != "rename" else ""
        return {"SHIM_KILL": f"{operation}:{nth}:{rng.choice(['before', 'after'])}{place}"}

    def _life(self, mode: str) -> float:
        if mode == "operation":
            return OPERATION_WITHIN_S
        return self._rng.choice(LIVES_S) * self._rng.uniform(0.5, 1.5)

    def _hurt_children(self, mode: str) -> None:
        module = {"engine": ENGINE, "decoder": DECODER}.get(mode)
        if module and self._rng.random() < 0.1 and (child := self._box.child(module)):
            try:
                child.kill()
            except psutil.NoSuchProcess:
                return
            self._ends[f"{mode} killed"] += 1

    def _end(self, mode: str) -> None:
        box, rng = self._box, self._rng
        if mode == "stop":
            box.signal(signal.SIGTERM)
            ends = [0]
            if rng.random() < 0.5:
                time.sleep(rng.random())
                second = rng.choice([signal.SIGTERM, signal.SIGKILL])
                box.signal(second)
                ends += [128 + second, -second]
            if (status := box.wait()) not in ends:
                self._report.fail(f"it stopped with {status}")
        elif box.running:
            box.kill()
        elif box.exit_status != -signal.SIGKILL:
            self._report.fail(f"it ended by itself with {box.exit_status}: {box.log[-5:]}")

    def _contradictions(self) -> list[str]:
        crowd = self._crowd
        return integrity.problems(self._box.database) + broken_promises(
            self._box.data, crowd.ledger.known(), crowd.recordings
        )

    def _bring_to_an_end(self) -> None:
        """Let every job end, then compare transcripts, webhooks, share pages and files."""
        box, crowd, report = self._box, self._crowd, self._report
        box.start_unless_killed()
        crowd.ask_again()
        box.wait_until_idle()
        self._receiver.statuses = []
        box.until(lambda: not box.rows("SELECT 1 FROM deliveries WHERE due IS NOT NULL"), 300)
        crowd.look_at_everything()
        transcripts = segments(box.database)
        for row in box.rows("SELECT * FROM jobs"):
            recording = row["filename"].removesuffix(".wav")
            found = transcripts.get(row["number"], [])
            if row["status"] == "done" and found != crowd.transcripts[recording]:
                report.fail(f"another transcript of {recording} than undisturbed: {row['id']}")
            if row["status"] == "failed":
                report.count(**{"given up after three kills in a row": 1})
                if row["crashes"] < MAX_CRASHES:
                    report.fail(f"a job failed: {row['error']}")
        self._check_webhooks()
        for job, known in crowd.ledger.known().items():
            if known.share and known.pending is None and not known.deleted:
                status = box.http.get(f"{PATH}/{known.share}").status_code
                if status != 200:
                    report.fail(f"a share page is answered {status}: {job.id or job.number}")
        box.stop()
        self._check_leftovers()

    def _check_webhooks(self) -> None:
        told: dict[str, set[str]] = {}
        ends: set[tuple[object, str]] = set()
        for headers, body in zip(self._receiver.headers, self._receiver.bodies, strict=True):
            if "job" in body:  # the hub's callback
                status = "done" if body["event"] == "whisper.job.completed" else "not done"
                end = (body["job"]["job_id"], status)
            elif "status" in body:
                end = (body["id"], body["status"])
            else:
                continue  # about the model
            ends.add(end)
            told.setdefault(headers["webhook-id"], set()).add(repr(end))
        for contents in told.values():
            if len(contents) > 1:
                self._report.fail(f"one webhook-id, several contents: {contents}")
        for row in self._box.rows("SELECT * FROM jobs WHERE webhook_url IS NOT NULL"):
            if row["channel"] == "native":
                end = (row["id"], row["status"])
            else:
                end = (row["number"], "done" if row["status"] == "done" else "not done")
            if end not in ends:
                self._report.fail(f"no webhook of an end: {end}")
        self._report.count(webhooks=len(self._receiver.bodies))

    def _check_leftovers(self) -> None:
        spool = self._box.data / "spool"
        an_hour_ago = time.time() - 7200
        for file in spool.iterdir():
            os.utime(file, (an_hour_ago, an_hour_ago))
        self._box.settings["KEEP_UPLOAD_HOURS"] = 0
        self._box.start_unless_killed()
        try:
            self._box.until(lambda: not list(spool.iterdir()), within=15)
        except AssertionError:
            left = [file.name for file in spool.iterdir()]
            self._report.fail(f"{len(left)} files are left in the spool: {left[:5]}")
        self._box.stop()
