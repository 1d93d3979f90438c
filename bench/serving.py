"""Starts a server for a benchmark, and measures its memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.acceptance.server import Server
from tests.scripted import scripted_model

WORDS = " one two three four five six seven eight nine ten"
# Sixty words that fill a window of 30 s, as in fast speech.
FULL_WINDOW = "".join(f"<|{5 * n}.00|>{WORDS}<|{5 * n + 5}.00|>" for n in range(5)) + (
    f"<|25.00|>{WORDS}<|28.00|>"
)


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Server]:
    """Run a server until the block ends, with these settings.

    It has a small scripted model, unless WHISPER_MODEL_PATH is set.
    """
    if "WHISPER_MODEL_PATH" not in settings:
        model = scripted_model(folder / "small.bin", "<|0.00|> Hello world.<|2.00|>")
        settings["WHISPER_MODEL_PATH"] = model
    server = Server(folder, LOG_LEVEL="info", **settings).start()
    try:
        yield server
    finally:
        server.kill()


def resident_mb(pid: int, *, children: bool = False) -> float:
    """The resident memory of a process in MiB; ``children``: including all its descendants."""
    processes = [psutil.Process(pid)]
    if children:
        processes += processes[0].children(recursive=True)
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def seconds_of(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
