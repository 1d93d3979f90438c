"""Tests the demo model on voices that it was not trained on, with the server's planner and engine.

    python -m tools.demo_model.evaluate actors/engine/demo/demo.bin --windows 60

The model transcribes windows of 30 s, with one to six phrases at random places. The result is the
word error rate over all words, without case and punctuation, and the errors of the times. Times are
compared only for phrases whose words are all right, because for a wrong text the right times are
not known.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import anyio
import numpy as np

from actors.engine.protocol import Result, Window
from actors.engine.transcript import segments_of
from actors.engine.worker import spawn
from actors.media.planning import WINDOW, plan
from actors.media.silence import levels, speech
from storage.records import Segment
from tools.demo_model.speech import RATE, VOICES, speak
from tools.demo_model.vocabulary import WORDS

Said = list[tuple[float, float, str, list[str]]]


def window(rng: random.Random) -> tuple[np.ndarray, Said]:
    """A window of speech (f32 samples), and the start, end, language and words of each phrase.

    Start and end are in seconds.
    """
    samples = np.zeros(WINDOW, np.float32)
    said: Said = []
    at, language = rng.randint(0, 15 * RATE), rng.choice(["en", "de"])
    for _ in range(rng.randint(1, 6)):
        words = rng.choices(WORDS[language], k=rng.randint(1, 6))
        spoken = speak(language, words, rng.choice(VOICES["unseen"]), rng)
        if at + len(spoken) > WINDOW:
            break
        samples[at : at + len(spoken)] += 0.5 * spoken / np.abs(spoken).max()
        said.append((at / RATE, (at + len(spoken)) / RATE, language, words))
        at += len(spoken) + rng.randint(RATE // 2, 4 * RATE)
    samples += rng.choice([0, 0.001, 0.004]) * np.random.default_rng(at).standard_normal(
        WINDOW
    ).astype(np.float32)
    return samples, said


def errors(wanted: list[str], heard: list[str]) -> int:
    """The edit distance: how many words must be inserted, deleted or replaced."""
    row = list(range(len(heard) + 1))
    for i, want in enumerate(wanted, 1):
        before, row = row, [i]
        for j, got in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (want != got)))
    return row[-1]


def spelled(*segments: Segment) -> list[str]:
    return " ".join(s.text for s in segments).lower().replace(".", "").split()


def right(said: Said, segments: list[Segment]) -> Iterator[tuple[float, float]]:
    """The errors of the start and the end, in seconds, of each phrase whose words are right.

    Phrases and segments are matched by their words and their order only, never by their times.
    """
    wanted = [tuple(words) for *_, words in said]
    heard = [tuple(spelled(segment)) for segment in segments]
    matches = SequenceMatcher(None, wanted, heard, autojunk=False).get_matching_blocks()
    for i, j, count in matches:
        for (start, end, *_), segment in zip(
            said[i : i + count], segments[j : j + count], strict=True
        ):
            yield abs(segment.start - start), abs(segment.end - end)


async def evaluate(model: str, count: int, seed: int) -> None:
    rng = random.Random(seed)
    wrong = total = languages = 0
    off: list[float] = []
    with tempfile.NamedTemporaryFile() as file:
        async with spawn() as engine:
            await engine.load(model, use_gpu=False, threads=2)
            for _ in range(count):
                samples, said = window(rng)
                pcm = (samples * 32767).clip(-32768, 32767).astype("<i2").tobytes()
                Path(file.name).write_bytes(pcm)
                level = levels(pcm)
                segments: list[Segment] = []
                for chunk in plan(speech(level), level, WINDOW):
                    await engine.transcribe(
                        Window(0, file.name, chunk.spans, chunk.speech, None, {}, False, None, True)
                    )
                    result = await engine.receive()
                    assert isinstance(result, Result)
                    segments += segments_of(result.segments, chunk.spans, chunk.speech)[0]
                wanted = [word for *_, words in said for word in words]
                wrong += errors(wanted, spelled(*segments))
                total += len(wanted)
                languages += not said or {each.language for each in segments} == {said[0][2]}
                off += [edge for edges in right(said, segments) for edge in edges]
    late = sum(each > 0.3 for each in off)
    print(f"{count} windows, {total} words: WER {wrong / total:.1%}, language {languages}/{count}")
    print(
        f"times of {len(off)} edges: median {np.median(off):.2f} s off, "
        f"95 % within {np.quantile(off, 0.95):.2f} s, {late} over 0.3 s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--windows", type=int, default=60)
    parser.add_argument("--seed", type=int, default=77)
    args = parser.parse_args()
    anyio.run(evaluate, args.model, args.windows, args.seed)


if __name__ == "__main__":
    main()
