"""Compares the server with faster-whisper's batched pipeline, with the same real weights.

The two take turns with the same recordings, threads and precision (int8), and faster-whisper runs
in a process of its own. The server's time is that of the whole job: upload, decoding, planning,
inference and commits. FOLDER is a model for CTranslate2, SPEECH as in `bench.accuracy`.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.models import processors
from bench.accuracy import SPEECH, recordings
from bench.serving import serving
from storage.records import RATE
from tests.acceptance.server import Server
from tests.audio import decoded, write_wav

FOLDER = Path(os.environ.get("FOLDER", "models/base"))
ROUNDS = 3
READ_S = 116.0
CLIP_S = 5
CLIPS, USERS = 64, 8
TARGET = {"read speech": 1.0, "with pauses of 4 s": 0.8, "a clip of 5 s": 0.5}
CROWD_TARGET = 0.4

PEER = """
import sys, time
from faster_whisper import BatchedInferencePipeline, WhisperModel
model = WhisperModel(sys.argv[1], "cpu", compute_type="int8", cpu_threads=int(sys.argv[2]))
pipeline = BatchedInferencePipeline(model)
for line in sys.stdin:
    began = time.perf_counter()
    segments, _ = pipeline.transcribe(
        line.strip(), batch_size=8, beam_size=1, without_timestamps=False
    )
    list(segments)
    print(time.perf_counter() - began, flush=True)
"""


def measure(folder: Path) -> list[str]:
    if not SPEECH.exists() or not FOLDER.exists():
        return [f"skipped: SPEECH {SPEECH} or FOLDER {FOLDER} is not there"]
    said = list(_sentences())
    clip = next(each for each in said if len(each) >= CLIP_S * RATE)[: CLIP_S * RATE]
    files = {
        "read speech": write_wav(folder / "read.wav", _joined(said, 0.4)),
        "with pauses of 4 s": write_wav(folder / "pauses.wav", _joined(said, 4.0)),
        "a clip of 5 s": write_wav(folder / "clip.wav", clip),
    }
    threads = processors.usable_cores()
    command = [sys.executable, "-c", PEER, str(FOLDER), str(threads)]
    lines = []
    with (
        serving(
            folder,
            WHISPER_MODEL_PATH=FOLDER.absolute(),
            WHISPER_CPU_THREADS=threads,
            REQUESTS_PER_MINUTE=0,
        ) as server,
        subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as peer,
    ):
        server.load()
        for name, recording in files.items():
            pairs = [
                (_ours(server, recording), _theirs(peer, recording)) for _ in range(1 + ROUNDS)
            ]
            ours, theirs = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
            ratio = statistics.median(ours / theirs for ours, theirs in pairs[1:])
            lines.append(
                f"{name}: {ratio:.2f} times faster-whisper in batches of 8 ({ours:.2f} s against "
                f"{theirs:.2f} s; target {TARGET[name]:.1f})"
            )
        assert peer.stdin
        peer.stdin.close()
        lines.append(_crowd(server, files["a clip of 5 s"]))
    return lines


def _crowd(server: Server, clip: Path) -> str:
    """Many clips of several users at once, beside the same one after the other."""
    alone = statistics.median(_ours(server, clip) for _ in range(8))
    began = time.perf_counter()
    with ThreadPoolExecutor(USERS) as users:
        list(users.map(lambda _: _ours(server, clip), range(CLIPS)))
    each = (time.perf_counter() - began) / CLIPS
    return (
        f"{CLIPS} clips of {CLIP_S} s from {USERS} users at once: {each / alone:.2f} times the "
        f"time of one after the other ({each:.2f} s against {alone:.2f} s each; "
        f"target {CROWD_TARGET})"
    )


def _ours(server: Server, recording: Path) -> float:
    began = time.perf_counter()
    job_id = server.submit(recording)
    last = list(server.events(f"/jobs/{job_id}/stream"))[-1]
    assert last.name == "done"
    return time.perf_counter() - began


def _theirs(peer: "subprocess.Popen[str]", recording: Path) -> float:
    assert peer.stdin
    assert peer.stdout
    peer.stdin.write(f"{recording}\n")
    peer.stdin.flush()
    return float(peer.stdout.readline())


def _sentences() -> Iterator[NDArray[np.int16]]:
    """English recordings, until there are READ_S seconds of them."""
    length = 0.0
    for name, language, _ in recordings():
        if language == "en" and length < READ_S:
            samples = decoded(SPEECH / name)
            length += len(samples) / RATE
            yield samples


def _joined(sentences: list[NDArray[np.int16]], pause_s: float) -> NDArray[np.int16]:
    pause = np.zeros(round(pause_s * RATE), np.int16)
    return np.concatenate([part for each in sentences for part in (each, pause)])
