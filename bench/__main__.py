"""``python -m bench [NAME …]``: runs all benchmarks, or the named ones, and prints the results.

Most results are printed together with their target.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    accuracy,
    engine,
    latency,
    memory,
    noise,
    pages,
    peer,
    speakers,
    speech,
    streams,
    uploads,
)

Measure = Callable[[Path], list[str]]

BENCHMARKS: dict[str, Measure] = {
    "accuracy": accuracy.measure,
    "silence": noise.measure_silence,
    "noise": noise.measure_noise,
    "engine": engine.measure,
    "peer": peer.measure,
    "memory": memory.measure,
    "long-file": memory.measure_long_file,
    "uploads": uploads.measure,
    "latency": latency.measure,
    "streams": streams.measure,
    "pages": pages.measure,
    "speech": speech.measure,
    "speakers": speakers.measure,
}


def main() -> int:
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    for name in names:
        with tempfile.TemporaryDirectory(prefix="whisperbox-bench-") as folder:
            began = time.monotonic()
            for line in BENCHMARKS[name](Path(folder)):
                print(f"{name:10} {line}", flush=True)
            print(f"{name:10} ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
