"""Transcribes a window in which two languages are spoken, and prints the segments as JSON.

``python -m tests.actors.engine.backends.two_languages MODEL FOLDER FIRST SECOND [LANGUAGES]``:
FIRST and SECOND are what the model finds likely before and after `CHANGE_S`: scripted weights hear
one language alone. LANGUAGES: the one that is asked for, or those to choose from, with commas.

It is a process of its own, because whisper.cpp's callbacks crash Python's end.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.engine import protocol
from actors.engine.backends import Backend, backend_for
from actors.engine.protocol import Result, Window
from storage.records import RATE, Span
from tests.audio import babble

LIKELY = {"en": {"en": 0.98, "de": 0.01}, "de": {"en": 0.01, "de": 0.98}}
CHANGE_S = 6.5
"""In the middle of the pause after the first speaker."""
SPEECH = (Span(0, 6 * RATE), Span(7 * RATE, 12 * RATE))


def main() -> None:
    model, folder, first, second, *asked_for = sys.argv[1:]
    languages = asked_for[0].split(",") if asked_for else []
    pcm = Path(folder) / "a.pcm"
    pcm.write_bytes(babble((6.0, True), (1.0, False), (5.0, True)).tobytes())
    language = languages[0] if len(languages) == 1 else None
    window = Window(
        1, str(pcm), (Span(0, 12 * RATE),), SPEECH, language, {},
        translate=False, prompt=None, words=True, languages=tuple(languages),
    )  # fmt: skip
    engine = backend_for(protocol.Load(model, use_gpu=False, threads=2), threading.Event())
    _make_it_hear(engine, first, second)
    (result,) = engine.transcribe([window])
    assert isinstance(result, Result)
    print(
        json.dumps(
            [
                {
                    "language": segment.language,
                    "start": segment.start,
                    "text": segment.text,
                    "words": [word.start for word in segment.words],
                }
                for segment in result.segments
            ]
        ),
        flush=True,
    )
    os._exit(0)


def _make_it_hear(engine: Backend, first: str, second: str) -> None:
    def at(part: Span) -> Mapping[str, float]:
        return LIKELY[first if part.start < CHANGE_S * RATE else second]

    def in_one(_: Window, part: Span) -> Mapping[str, float]:
        return at(part)

    def in_all(_: object, parts: Mapping[int, Sequence[Span]], *__: object) -> dict[int, Any]:
        if len(parts) == 2:  # the two are windows of their own now
            return {0: [LIKELY[first]], 1: [LIKELY[second]]}
        return {n: [at(part) for part in each] for n, each in parts.items()}

    engine._likely = in_all if engine.batch > 1 else in_one  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
