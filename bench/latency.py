"""Measures how long people wait: for answers, for a cancel, and for the server after a kill."""

import statistics
import time
from functools import partial
from pathlib import Path

from bench.serving import seconds_of, serving
from tests.audio import spoken
from tests.scripted import scripted_model, slow_model
from tools.real_weights import cached

ROUNDS = 5
CALLS = 20
CALL_TARGET_MS = 60
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
    beyond_ms = _beyond_inference_ms(folder)
    return [
        f"small answer on a connection that stays open: {1000 * statistics.median(answers):.1f} ms "
        "(target: under 3 ms)",
        f"kill -9 to /health: {statistics.median(restarts):.2f} s, at most {max(restarts):.2f} s "
        "(target: under 3 s)",
        f"cancel of a running chunk: {statistics.median(cancels):.2f} s, at most "
        f"{max(cancels):.2f} s (target: under 1 s)",
        f"a clip of 5 s by the OpenAI API, beyond its inference: {beyond_ms:.0f} ms "
        f"(median of {CALLS}; target: {CALL_TARGET_MS} ms)",
    ]


def _beyond_inference_ms(folder: Path) -> float:
    """With the real weights, where they are here."""
    weights = cached()
    if weights.are_here:
        model = weights.ctranslate2
    else:
        model = scripted_model(folder / "scripted.bin", "<|0.00|> Hello world.<|2.00|>")
    beyond = []
    with serving(folder / "calls", WHISPER_MODEL_PATH=model) as server:
        server.load()
        for n in range(1 + CALLS):
            server.log.clear()
            clip = {"file": spoken(folder / "clip.wav", [4.5 + n / 100]).read_bytes()}
            call = partial(server.http.post, "/v1/audio/transcriptions", files=clip)
            took = seconds_of(lambda call=call: call().raise_for_status())  # type: ignore[misc]
            beyond.append(took - float(server.wait_for_log(r"chunk done: .* in ([\d.]+) s")[1]))
    return 1000 * statistics.median(beyond[1:])  # the first one starts the decoder's process
