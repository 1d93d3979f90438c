"""Measures what the server makes of noise, with real weights: alone, and under speech.

``silence``: CLIPS clips in which nobody speaks; how many of them give any text. ``noise``: read
sentences under white, pink and babble noise; how many words the voice activity model costs, beside
the same recordings with ``vad=off``. WEIGHTS and SPEECH as in `bench.accuracy`.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.accuracy import SPEECH, WEIGHTS, recordings, units
from bench.serving import serving
from storage.records import RATE
from tests.acceptance.heard import transcribed
from tests.acceptance.server import Server
from tests.audio import decoded, write_wav
from tools.demo_model.evaluate import errors

Sound = NDArray[np.float64]
CLIPS, CLIP_S = 100, 8.0
SIGNAL_TO_NOISE_DB = (20, 10, 5, 0)
SENTENCES = 12


def measure_silence(folder: Path) -> list[str]:
    if not WEIGHTS.exists():
        return [f"skipped: {WEIGHTS} is not there"]
    found: Counter[str] = Counter()
    with _server(folder) as server:
        kinds = cycle(SOUNDS.items())
        for number, (kind, make) in enumerate(islice(kinds, CLIPS)):
            samples = make(np.random.default_rng(number), round(CLIP_S * RATE))
            text = _text(server, folder, samples)
            found["text"] += bool(text)
            found[f"text of {kind}"] += bool(text)
    which = ", ".join(f"{n} {kind}" for kind, n in found.items() if n and kind != "text")
    which = f": {which}" if which else ""
    return [f"{found['text']} of {CLIPS} clips without speech give text{which}"]


def measure_noise(folder: Path) -> list[str]:
    if not SPEECH.exists() or not WEIGHTS.exists():
        return [f"skipped: {SPEECH} or {WEIGHTS} is not there"]
    english = [(name, text) for name, language, text in recordings() if language == "en"]
    said = [(decoded(SPEECH / name).astype(np.float64), text) for name, text in english[:SENTENCES]]
    voices = _babble([samples for samples, _ in said])
    lines = []
    with _server(folder) as server:
        for kind, make in NOISES.items():
            for decibels in SIGNAL_TO_NOISE_DB:
                wrong: Counter[str] = Counter()
                total = 0
                for number, (samples, text) in enumerate(said):
                    rng = np.random.default_rng(number)
                    under = make(rng, len(samples)) if make else np.roll(voices, number * RATE)
                    mixed = _mixed(samples, under, decibels)
                    wanted = units(text, "en")
                    total += len(wanted)
                    for vad in ("on", "off"):
                        heard = units(_text(server, folder, mixed, vad=vad), "en")
                        wrong[vad] += errors(wanted, heard)
                lines.append(
                    f"{kind} noise, {decibels} dB: {wrong['on']} of {total} words wrong, "
                    f"{wrong['off']} with vad=off"
                )
    return lines


def _server(folder: Path) -> AbstractContextManager[Server]:
    return serving(
        folder, WHISPER_MODEL_PATH=WEIGHTS, QUEUE_WHEN_UNLOADED="true", REQUESTS_PER_MINUTE=0
    )


def _text(server: Server, folder: Path, samples: Sound, **fields: str) -> str:
    peak = float(np.abs(samples).max()) or 1.0
    scaled = (samples / peak * 0.5 * 2**15).astype(np.int16)
    job = transcribed(server, write_wav(folder / "clip.wav", scaled), language="en", **fields)
    return " ".join(segment["text"] for segment in job["segments"])


def _mixed(speech: Sound, noise: Sound, decibels: float) -> Sound:
    """``decibels``: the power of the speech over that of the noise."""
    noise = np.resize(noise, len(speech))
    wanted = np.sqrt(np.mean(speech**2) / 10 ** (decibels / 10))
    mixed: Sound = speech + noise * wanted / np.sqrt(np.mean(noise**2))
    return mixed


def _babble(voices: list[Sound]) -> Sound:
    """Eight recordings at once."""
    length = max(map(len, voices)) + SENTENCES * RATE
    rolled = [np.roll(np.resize(voice, length), n * 3 * RATE) for n, voice in enumerate(voices[:8])]
    mixed: Sound = np.sum(rolled, axis=0)
    return mixed


def _coloured(power: float) -> Callable[[np.random.Generator, int], Sound]:
    """Noise whose power falls with this power of the frequency: 0 is white, 1 pink, 2 brown."""

    def make(rng: np.random.Generator, count: int) -> Sound:
        spectrum = np.fft.rfft(rng.standard_normal(count))
        spectrum[1:] /= np.arange(1, len(spectrum)) ** (power / 2)
        made: Sound = np.fft.irfft(spectrum, count)
        return made

    return make


def _tone(rng: np.random.Generator, count: int) -> Sound:
    made: Sound = np.sin(2 * np.pi * rng.uniform(50, 2000) * np.arange(count) / RATE)
    return made


def _hum(rng: np.random.Generator, count: int) -> Sound:
    made = 0.01 * rng.standard_normal(count)
    for n in range(1, 8):
        made += np.sin(2 * np.pi * rng.choice([50, 60]) * n * np.arange(count) / RATE) / n
    return made


def _chords(rng: np.random.Generator, count: int) -> Sound:
    made = np.zeros(count)
    for start in range(0, count, RATE):
        time = np.arange(min(RATE, count - start)) / RATE
        for note in rng.choice(24, 3, replace=False):
            pitch = 220 * 2 ** (note / 12)
            made[start : start + RATE] += np.sin(2 * np.pi * pitch * time) * np.exp(-2 * time)
    return made


def _clicks(rng: np.random.Generator, count: int) -> Sound:
    """Like a keyboard: short bursts of noise, some a second."""
    made = 0.001 * rng.standard_normal(count)
    for start in rng.integers(0, count - 800, round(5 * count / RATE)):
        made[start : start + 800] += rng.standard_normal(800) * np.exp(-np.arange(800) / 120)
    return made


def _sweep(rng: np.random.Generator, count: int) -> Sound:
    """Like a siren."""
    speed = rng.uniform(0.2, 2)
    pitch = 800 + 400 * np.sin(2 * np.pi * speed * np.arange(count) / RATE)
    made: Sound = np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    return made


def _beeps(rng: np.random.Generator, count: int) -> Sound:
    """Like a telephone."""
    time = np.arange(count) / RATE
    ringing = (time * rng.uniform(0.3, 1)) % 1 < 0.4
    made: Sound = np.sin(2 * np.pi * rng.uniform(400, 1200) * time) * ringing
    return made


def _bursts(rng: np.random.Generator, count: int) -> Sound:
    """Noise that comes and goes as syllables do."""
    loudness = np.clip(np.sin(2 * np.pi * rng.uniform(2, 6) * np.arange(count) / RATE), 0, 1)
    made: Sound = _coloured(1)(rng, count) * loudness
    return made


NOISES: dict[str, Callable[[np.random.Generator, int], Sound] | None] = {
    "white": _coloured(0),
    "pink": _coloured(1),
    "babble": None,
}
SOUNDS: dict[str, Callable[[np.random.Generator, int], Sound]] = {
    "white noise": _coloured(0),
    "pink noise": _coloured(1),
    "brown noise": _coloured(2),
    "tones": _tone,
    "mains hum": _hum,
    "chords": _chords,
    "clicks": _clicks,
    "sweeps": _sweep,
    "beeps": _beeps,
    "bursts of noise": _bursts,
}
