"""Measures how long people wait: for answers, for a cancel, and for the server after a kill."""

import statistics
import time
from pathlib import Path

from bench.serving import seconds_of, serving
from tests.audio import spoken
from tests.scripted import slow_model

ROUNDS = 5
SMALL_ANSWERS = 40


def measure(folder: Path) -> list[str]:
    slow = slow_model(folder / "slow.bin", layers=8)
    talk = spoken(folder / "talk.wav", [25.0, 25.0])
    answers, restarts, cancels = [], [], []
    with serving(folder, WHISPER_MODEL_PATH=slow, QUEUE_WHEN_UNLOADED="true") as server:
        server.load()
        for _ in range(SMALL_ANSWERS):
            answers.append(seconds_of(lambda: server.http.get("/health").raise_for_status()))
            time.sleep(0.01)
        for _ in range(ROUNDS):
            job_id = server.submit(talk)
            server.until(lambda job_id=job_id: server.job(job_id)["status"] == "running")  # type: ignore[misc]
            # Wait until the encoder runs: during it, whisper.cpp does not ask its abort callback.
            time.sleep(0.3)
            began = time.perf_counter()
            server.http.delete(f"/jobs/{job_id}")
            # The engine is free again when it was killed or has answered.
            server.wait_for_log("the engine does not answer: ending it|chunk done", within=5)
            cancels.append(time.perf_counter() - began)
            server.log.clear()
        server.submit(talk)
        for _ in range(ROUNDS):
            server.kill()
            began = time.perf_counter()
            server.start()
            server.http.get("/health").raise_for_status()
            restarts.append(time.perf_counter() - began)
    return [
        f"small answer on a connection that stays open: {1000 * statistics.median(answers):.1f} ms "
        "(target: under 3 ms)",
        f"kill -9 to /health: {statistics.median(restarts):.2f} s, at most {max(restarts):.2f} s "
        "(target: under 3 s)",
        f"cancel of a running chunk: {statistics.median(cancels):.2f} s, at most "
        f"{max(cancels):.2f} s (target: under 1 s)",
    ]
