"""Measures word error rates with real weights: without the voice activity model, in each quality.

SPEECH is a folder with a ``manifest.tsv`` (columns ``file``, ``language`` and ``reference`` among
others), WEIGHTS a ggml file.
"""

import csv
import os
import time
import unicodedata
from collections import defaultdict
from pathlib import Path

from bench.serving import serving
from tools.demo_model.evaluate import errors

SHARED = Path(__file__).parents[2] / "shared"
SPEECH = Path(os.environ.get("SPEECH", SHARED / "speech"))
WEIGHTS = Path(os.environ.get("WEIGHTS", SHARED / "models" / "ggml-base-q8_0.bin"))
SLOWEST_S = 300
SHORTEST = 10
"""Characters of a reference that is long enough for a rate."""
BALANCED = "quality=balanced"
WAYS = {
    BALANCED: {},
    "quality=fast": {"quality": "fast"},
    "quality=best": {"quality": "best"},
    "vad=off": {"vad": "off"},
}
UNSPACED = ("ja", "zh")
"""Their errors are counted by characters."""


def measure(folder: Path) -> list[str]:
    if not SPEECH.exists() or not WEIGHTS.exists():
        return [f"skipped: {SPEECH} or {WEIGHTS} is not there"]
    wrong: defaultdict[tuple[str, str], int] = defaultdict(int)
    total: defaultdict[tuple[str, str], int] = defaultdict(int)
    secs: defaultdict[str, float] = defaultdict(float)
    with serving(
        folder, WHISPER_MODEL_PATH=WEIGHTS, QUEUE_WHEN_UNLOADED="true", REQUESTS_PER_MINUTE=0
    ) as server:
        for name, language, reference in recordings():
            wanted = units(reference, language)
            for way, fields in WAYS.items():
                began = time.monotonic()
                job_id = server.submit(SPEECH / name, **fields)
                server.until(lambda: server.job(job_id)["status"] == "done", within=SLOWEST_S)  # noqa: B023
                secs[way] += time.monotonic() - began
                text = " ".join(segment["text"] for segment in server.job(job_id)["segments"])
                for group in ("all", "English" if language == "en" else "other languages"):
                    wrong[group, way] += errors(wanted, units(text, language))
                    total[group, way] += len(wanted)
    return [
        f"{group}: {100 * wrong[group, way] / total[group, way]:.2f} % of {total[group, way]} "
        f"words wrong with {way}, in {secs[way] / secs[BALANCED]:.2f} of the time of {BALANCED}"
        for group, way in sorted(total)
    ]


def recordings() -> list[tuple[str, str, str]]:
    with (SPEECH / "manifest.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        (row["file"], row["language"], row["reference"])
        for row in rows
        if len(row["reference"]) > SHORTEST and not row["file"].startswith("multi/")
    ]


def units(text: str, language: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text.lower()).replace("-", " ")
    plain = "".join(c for c in plain if c.isalnum() or c.isspace())
    return list("".join(plain.split())) if language in UNSPACED else plain.split()
