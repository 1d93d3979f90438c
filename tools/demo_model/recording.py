"""Makes the bundled recording: a dialogue in two languages, with two voices not used in training.

    python -m tools.demo_model.recording actors/engine/demo

Writes demo.wav, and demo.json with the phrases and their times. The tests compare the transcript
with demo.json.
"""

import argparse
import json
import random
import wave
from pathlib import Path

import numpy as np

from tools.demo_model.speech import RATE, speak
from tools.demo_model.vocabulary import phrase

# speaker, language, words, seconds of pause before
DIALOGUE = [
    (0, "en", "hello world", 0.8),
    (1, "en", "good morning", 0.9),
    (0, "en", "coffee please", 1.1),
    (1, "en", "yes thanks", 0.8),
    (0, "en", "one two three four five", 1.2),
    (1, "en", "six seven eight nine", 0.9),
    (0, "en", "water today please", 2.5),
    (1, "de", "hallo welt", 1.4),
    (0, "de", "guten morgen", 0.9),
    (1, "de", "kaffee bitte", 1.0),
    (0, "de", "ja danke", 0.8),
    (1, "de", "eins zwei drei vier", 1.2),
    (0, "de", "fünf sechs sieben acht neun", 1.0),
    (1, "de", "heute wasser bitte", 3.5),
    (0, "en", "nine eight seven", 1.3),
    (1, "de", "null eins null zwei", 1.1),
    (0, "en", "thanks good morning", 1.2),
    (1, "de", "danke guten morgen", 1.0),
    (0, "en", "yes coffee today", 4.0),
    (1, "de", "ja heute kaffee", 1.2),
    (0, "en", "four five six please", 1.3),
    (1, "de", "sieben acht neun bitte", 0.9),
    (0, "en", "hello good morning world", 1.6),
    (1, "de", "hallo guten morgen welt", 1.0),
]
VOICES = ("f3", "m5")
HISS = 0.0015
"""The amplitude of the background noise, about -58 dBFS."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    noise = np.random.default_rng(args.seed)
    parts, said, at = [], [], 0
    for speaker, language, words, pause in DIALOGUE:
        silence = np.zeros(round(pause * RATE), np.float32)
        spoken = speak(language, words.split(), VOICES[speaker], rng)
        start = at + len(silence)
        at = start + len(spoken)
        parts += [silence, 0.6 * spoken / np.abs(spoken).max()]
        said.append(
            {
                "start": round(start / RATE, 2),
                "end": round(at / RATE, 2),
                "language": language,
                "text": phrase(words.split()).strip(),
            }
        )
    samples = np.concatenate([*parts, np.zeros(RATE, np.float32)])
    samples += HISS * noise.standard_normal(len(samples)).astype(np.float32)
    with wave.open(str(args.folder / "demo.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).clip(-32768, 32767).astype("<i2").tobytes())
    text = json.dumps(said, ensure_ascii=False, indent=1)
    (args.folder / "demo.json").write_text(text + "\n")
    print(f"{len(samples) / RATE:.1f} s, {len(said)} phrases")


if __name__ == "__main__":
    main()
