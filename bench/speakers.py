"""The diarization error rate of a call with one speaker on each channel.

A recording of two speakers with its reference turns is laid out as a call: each speaker has a
channel, and is 30 dB quieter on the other. The rate is missed, false and confused speech
over all speech of the reference, in frames of 10 ms, without a collar, under the better naming.
"""

import itertools
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.audio.speakers import find
from storage.records import RATE
from tests.audio import babble, write_wav

SHARED = Path(__file__).parents[2] / "shared" / "speech" / "multi"
CROSSTALK = 10 ** (-30 / 20)
FRAME_S = 0.01

Turns = list[tuple[float, float, str]]
Samples = NDArray[np.int16]


def measure(folder: Path) -> list[str]:
    lines = []
    for name, samples, reference in _recordings():
        labels = sorted({label for *_, label in reference})
        call = _call(samples, reference, labels)
        turns = find(str(write_wav(folder / "call.wav", call))).turns
        found = [(turn.start, turn.end, turn.label) for turn in turns]
        rate = error_rate(reference, found, len(samples) / RATE)
        lines.append(f"channels, {name}: {rate:.1%} diarization error rate")
    lines.append("voices: not measured, there is no model for voices yet")
    return lines


def _recordings() -> list[tuple[str, Samples, Turns]]:
    takes_turns = [(float(3 * n), 3.0 * n + 2.5, "AB"[n % 2]) for n in range(20)]
    noise = babble(*itertools.chain.from_iterable([((2.5, True), (0.5, False))] * 20))
    made: list[tuple[str, Samples, Turns]] = [("turns of noise", noise, takes_turns)]
    sample = SHARED / "pyannote_sample.wav"
    if sample.exists():
        with wave.open(str(sample)) as file:
            assert file.getframerate() == RATE
            samples = np.frombuffer(file.readframes(-1), "<i2")
        rows = [row.split() for row in sample.with_suffix(".rttm").read_text().splitlines()]
        turns = [(float(r[3]), float(r[3]) + float(r[4]), r[7]) for r in rows]
        made.append(("pyannote_sample as a call", samples, turns))
    return made


def _call(samples: Samples, reference: Turns, labels: list[str]) -> Samples:
    own = np.zeros((len(samples), 2))
    for start, end, label in reference:
        at = slice(round(start * RATE), round(end * RATE))
        own[at, labels.index(label)] = samples[at]
    noise = np.random.default_rng(0).normal(0, 8, own.shape)
    return np.asarray((own + CROSSTALK * own[:, ::-1] + noise).clip(-32768, 32767), np.int16)


def error_rate(reference: Turns, found: Turns, seconds: float) -> float:
    truth, guess = (_activity(turns, seconds) for turns in (reference, found))
    while len(guess) < len(truth):
        guess = np.vstack([guess, np.zeros_like(guess[:1] if len(guess) else truth[:1])])
    errors = [
        _errors(truth, guess[list(order)])
        for order in itertools.permutations(range(len(guess)), len(guess))
    ]
    return min(errors) / float(truth.sum())


def _activity(turns: Turns, seconds: float) -> NDArray[np.bool_]:
    """[speakers, frames]"""
    labels = sorted({label for *_, label in turns})
    active = np.zeros((len(labels), round(seconds / FRAME_S)), bool)
    for start, end, label in turns:
        active[labels.index(label), round(start / FRAME_S) : round(end / FRAME_S)] = True
    return active


def _errors(truth: NDArray[np.bool_], guess: NDArray[np.bool_]) -> float:
    """Frames of missed, false and confused speech, each speaker's counted."""
    wanted, given = truth.sum(axis=0), guess.sum(axis=0)
    right = (truth & guess[: len(truth)]).sum(axis=0)
    return float((np.maximum(wanted, given) - right).sum())
