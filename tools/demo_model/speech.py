"""Synthetic speech: phrases spoken by espeak-ng, and their mel spectra.

    python -m tools.demo_model.speech --phrases 24000 --voices train --seed 1 \
        --frame MODEL.bin train.pkl

A clip is ``(language, words, log10 of the mel power as f16[80, frames])``, 100 frames a second.
"""

import argparse
import io
import os
import pickle
import random
import subprocess
import wave
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.demo_model.vocabulary import WORDS
from tools.ggml_whisper import read_frame

RATE = 16_000
HOP = 160
N_FFT = 400
LONGEST_PHRASE_S = 6
QUIETEST = 1e-10
"""Smaller values of the mel power are raised to this one, as in audio.py of openai/whisper."""

ACCENTS = {
    "en": ["en-us", "en-us", "en-gb", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-us-nyc"],
    "de": ["de"],
}
VOICES = {
    "train": (
        " m1 m2 m3 m4 m6 m7 m8 f1 f2 f4 f5 klatt2 klatt4 adam ed edward linda paul max Alex "
        "Alicia Andrea Annie anika antonio aunty benjamin boris caleb david Denis Diogo Gene "
        "grandma gustave Henrique Hugo iven iven2 iven4 Jacky Lee marcelo Marco Mario miguel "
        "Mike norbert pablo pedro quincy rob robert sandro shelby steph2 travis zac"
    ).split(" "),
    # Not used in training: `evaluate.py` and the bundled recording use these voices.
    "unseen": "m5 f3 michael Andy steph belinda victor john".split(),
}

Samples = NDArray[np.float32]
Clip = tuple[str, list[str], NDArray[np.float32]]
"""The language, the words, and log10 of the mel power. It is stored as f16, but converted to f32
when it is loaded, because computing with f32 is several times faster."""


def speak(language: str, words: list[str], voice: str, rng: random.Random) -> Samples:
    """Speak a phrase in one voice, at a random speed and pitch.

    Returns f32 samples at 16 kHz, without silence before and after the phrase.
    """
    accent = rng.choice(ACCENTS[language])
    command = ["espeak-ng", "-v", f"{accent}+{voice}" if voice else accent, "--stdout"]
    command += ["-s", str(rng.randint(110, 205)), "-p", str(rng.randint(15, 85))]
    command += ["-g", str(rng.choice([0, 0, 1, 3])), " ".join(words)]
    done = subprocess.run(command, capture_output=True, check=True)
    with wave.open(io.BytesIO(done.stdout)) as file:
        pcm, rate = file.readframes(-1), file.getframerate()
    return trimmed(
        resampled(np.frombuffer(pcm, np.int16).astype(np.float32) / np.float32(32768), rate)
    )


def resampled(samples: Samples, rate: int) -> Samples:
    """Resample to 16 kHz by cutting off the spectrum, so that there is no aliasing."""
    wanted = len(samples) * RATE // rate
    spectrum = np.fft.rfft(samples)[: wanted // 2 + 1]
    return (np.fft.irfft(spectrum, wanted) * (wanted / len(samples))).astype(np.float32)


def trimmed(samples: Samples, margin: int = HOP) -> Samples:
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if not len(loud):
        return samples[:0]
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def mel_power(samples: Samples, filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mel power of 25 ms frames, one every 10 ms: f32[80, frames].

    See audio.py of openai/whisper.
    """
    padded = np.pad(samples, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    window = np.hanning(N_FFT + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    return (filters @ power.T).astype(np.float32)


def load(path: Path) -> list[Clip]:
    stored = pickle.loads(path.read_bytes())
    return [(language, words, mel.astype(np.float32)) for language, words, mel in stored]


def clips(n: int, seed: int, voices: list[str], filters: NDArray[np.float32]) -> list[Clip]:
    rng = random.Random(seed)
    made: list[Clip] = []
    while len(made) < n:
        language = rng.choice(["en", "de"])
        words = rng.choices(WORDS[language], k=rng.choice([1, 1, 2, 2, 3, 3, 4, 5, 6]))
        samples = speak(language, words, rng.choice(voices), rng)
        if 0 < len(samples) <= LONGEST_PHRASE_S * RATE:
            mel = np.log10(np.maximum(mel_power(samples, filters), QUIETEST))
            made.append((language, words, mel))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--phrases", type=int, required=True)
    parser.add_argument("--voices", choices=VOICES, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frame", type=Path, required=True, help="a ggml file with 80 mel bands")
    args = parser.parse_args()
    filters = read_frame(args.frame).filters
    shares = 64
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs: list[Any] = [
            pool.submit(
                clips, args.phrases // shares, args.seed * 1000 + k, VOICES[args.voices], filters
            )
            for k in range(shares)
        ]
        made = [clip for job in jobs for clip in job.result()]
    stored = [(language, words, mel.astype(np.float16)) for language, words, mel in made]
    args.out.write_bytes(pickle.dumps(stored))
    print(f"{len(made)} phrases, {sum(c[2].shape[1] for c in made) / 100 / 60:.0f} minutes")


if __name__ == "__main__":
    main()
