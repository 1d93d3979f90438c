"""Compares the server with whisper.cpp's own whisper_full, which gets the whole file at once.

The two take turns, with the same recording, model, threads and parameters. The model has the
dimensions of `tiny` and a scripted decoder. So both decode the same number of tokens in a window,
and the difference comes from the windows, pipes and commits only. The server's time is that of the
whole job: upload, decoding, planning, inference and commits.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from actors.models import processors
from bench.serving import FULL_WINDOW, serving
from tests.acceptance.server import Server
from tests.audio import wav
from tests.scripted import scripted_model

ROUNDS = 3
STATE, LAYERS = 384, 4
# Continuous speech is like an audiobook: sentences of 2 to 7 s and pauses of 0.25 to 0.6 s. Speech
# with pauses is like a conversation: the same sentences, but pauses of 2 to 8 s.
COUNT = 120
SENTENCES = [2.0 + (7 * n % 11) / 2 for n in range(COUNT)]
SPEECH = {
    "continuous speech": [0.25 + (n % 4) * 0.12 for n in range(COUNT)],
    "speech with pauses": [2.0 + (n % 4) * 2.0 for n in range(COUNT)],
}
TARGET = {"continuous speech": 1.05, "speech with pauses": 1.0}

WHOLE_FILE = """
import sys, time, numpy as np, wave, _pywhispercpp as w
w.whisper_log_set(lambda *_: None)
context = w.whisper_init_from_file_with_params(sys.argv[1], w.whisper_context_default_params())
with wave.open(sys.argv[2]) as f:
    samples = np.frombuffer(f.readframes(-1), "<i2").astype(np.float32) / 32768
for line in sys.stdin:
    params = w.whisper_full_default_params(w.WHISPER_SAMPLING_GREEDY)
    params.n_threads, params.language, params.greedy = int(sys.argv[3]), "en", {"best_of": 2}
    params.no_context, params.print_progress = True, False
    began = time.perf_counter()
    assert w.whisper_full(context, params, samples, len(samples)) == 0
    print(time.perf_counter() - began, flush=True)
w.whisper_log_set(None)
"""


def measure(folder: Path) -> list[str]:
    model = scripted_model(folder / "tiny.bin", FULL_WINDOW, state=STATE, layers=LAYERS)
    lines = []
    with serving(folder, WHISPER_MODEL_PATH=model) as server:
        server.load()
        for name, pauses in SPEECH.items():
            turns = zip(SENTENCES, pauses, strict=True)
            parts = [part for said, rest in turns for part in ((said, True), (rest, False))]
            recording = wav(folder / f"{name}.wav", *parts)
            pairs = _interleaved(server, model, recording)
            ratio = statistics.median(ours / theirs for ours, theirs in pairs)
            ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
            lines.append(
                f"{name}: {ratio:.2f} times whisper_full ({ours:.2f} s against {theirs:.2f} s for "
                f"{sum(s for s, _ in parts):.0f} s of audio; target {TARGET[name]:.2f})"
            )
    return lines


def _interleaved(server: Server, model: Path, recording: Path) -> list[tuple[float, float]]:
    command = [sys.executable, "-c", WHOLE_FILE, str(model), str(recording)]
    command.append(str(processors.usable_cores()))
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-3, text=True) as whole:
        assert whole.stdin
        assert whole.stdout
        pairs = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            job = server.ended(server.submit(recording, language="en"))
            ours = time.perf_counter() - began
            assert job["status"] == "done"
            whole.stdin.write("go\n")
            whole.stdin.flush()
            pairs.append((ours, float(whole.stdout.readline())))
        whole.stdin.close()
    return pairs
