"""Measures the diarization error rate of both ways to tell speakers apart.

For "channels", a recording of two speakers, whose speaker turns are known, is turned into a call:
each speaker gets a channel, and is 30 dB quieter on the other one. For "voices", the same recording
is used unchanged, and also conversations that are put together from people who read aloud.

The error rate is the time of missed, false and confused speech, divided by the time of all speech
in the reference. It is counted in frames of 10 ms, without a collar, with that assignment of found
speakers to real ones that gives the lowest rate.
"""

import itertools
import os
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.diarization import channels, voices
from actors.media.decode_child import Recording
from actors.media.silence import is_speech, levels, stretches
from storage.records import RATE
from tests.audio import babble, write_wav

SPEECH = Path(__file__).parents[2] / "shared" / "speech"
SHARED = SPEECH / "multi"
MODELS = Path(os.environ.get("SPEAKER_MODELS", "models/speakers"))
READERS = {
    "Johnson": "en/LJ001-*",
    "Austen": "en/sense*",
    "sonnets": "en/sonnet*",
    "Kennedy": "en/jfk.wav",
    "Simplicissimus": "de/librivox_de.mp3",
    "Tamayo": "es/librivox_es.mp3",
    "Baudelaire": "fr/fleursdumal_002.mp3",
}
CONVERSATIONS = (
    ("Johnson", "Baudelaire"),
    ("Kennedy", "Austen", "Tamayo"),
    ("sonnets", "Simplicissimus"),
    ("Johnson", "sonnets"),
    ("Johnson", "Austen", "Baudelaire", "Tamayo"),
)
CROSSTALK = 10 ** (-30 / 20)
FRAME_S = 0.01

Turns = list[tuple[float, float, str]]
Samples = NDArray[np.int16]


def measure(folder: Path) -> list[str]:
    lines = []
    for name, samples, reference in _recordings():
        labels = sorted({label for *_, label in reference})
        call = _call(samples, reference, labels)
        by_channel = channels.find(Recording(str(write_wav(folder / "call.wav", call))))
        turns = by_channel.turns if by_channel else ()
        found = [(turn.start, turn.end, turn.label) for turn in turns]
        rate = error_rate(reference, found, len(samples) / RATE)
        lines.append(f"channels, {name} as a call: {rate:.1%} diarization error rate")
    if not voices.installed() or not voices.complete(MODELS):
        return [*lines, f"voices: not measured, the models are not in {MODELS} (SPEAKER_MODELS)"]
    for name, samples, reference in [*_recordings()[1:], *_conversations()]:
        path = write_wav(folder / "voices.wav", np.ascontiguousarray(samples))
        began = time.perf_counter()
        turns = voices.find(Recording(str(path)), MODELS, 10, 2).turns
        took = time.perf_counter() - began
        found = [(turn.start, turn.end, turn.label) for turn in turns]
        seconds = len(samples) / RATE
        rate = error_rate(reference, found, seconds)
        there, told = (len({turn[2] for turn in each}) for each in (reference, found))
        lines.append(
            f"voices, {name}: {rate:.1%} diarization error rate, {told} speakers of {there}, "
            f"{seconds / took:.0f} times real time"
        )
    return lines


def _conversations() -> Iterator[tuple[str, Samples, Turns]]:
    for seed, names in enumerate(CONVERSATIONS):
        if all(any(SPEECH.glob(READERS[name])) for name in names):
            yield f"conversation of {', '.join(names)}", *_conversation(names, seed)


def _conversation(names: tuple[str, ...], seed: int) -> tuple[Samples, Turns]:
    """Put together a conversation: fourteen turns of two to seven seconds, with short pauses."""
    rng = np.random.default_rng(seed)
    said = {name: _sentences(name) for name in names}
    parts: list[Samples] = []
    turns: Turns = []
    at, who = 0, ""
    for _ in range(14):
        who = str(rng.choice([name for name in names if name != who]))
        wanted = round(rng.uniform(2, 7) * RATE)
        while wanted > 0:
            part = said[who][rng.integers(len(said[who]))][: wanted + RATE // 2]
            turns.append((at / RATE, (at + len(part)) / RATE, who))
            parts.append(part)
            at, wanted = at + len(part), wanted - len(part)
        pause = rng.normal(0, 20, round(rng.uniform(0.1, 0.8) * RATE)).astype(np.int16)
        parts.append(pause)
        at += len(pause)
    return np.concatenate(parts), turns


def _sentences(name: str) -> list[Samples]:
    """The pieces of speech between a reader's pauses; all readers are made equally loud."""
    found = []
    for path in sorted(SPEECH.glob(READERS[name])):
        pcm = np.frombuffer(b"".join(Recording(str(path)).blocks()), "<i2")
        loud = (pcm * (16000 / np.abs(pcm.astype(np.int32)).max())).astype(np.int16)
        spans = stretches(is_speech(levels(loud.data.cast("B"))))
        found += [loud[span.start : span.end] for span in spans if span.end - span.start > RATE]
    return found


def _recordings() -> list[tuple[str, Samples, Turns]]:
    takes_turns = [(float(3 * n), 3.0 * n + 2.5, "AB"[n % 2]) for n in range(20)]
    noise = babble(*itertools.chain.from_iterable([((2.5, True), (0.5, False))] * 20))
    made: list[tuple[str, Samples, Turns]] = [("noise", noise, takes_turns)]
    sample = SHARED / "pyannote_sample.wav"
    if sample.exists():
        with wave.open(str(sample)) as file:
            assert file.getframerate() == RATE
            samples = np.frombuffer(file.readframes(-1), "<i2")
        rows = [row.split() for row in sample.with_suffix(".rttm").read_text().splitlines()]
        turns = [(float(r[3]), float(r[3]) + float(r[4]), r[7]) for r in rows]
        made.append(("pyannote_sample", samples, turns))
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
    shared = truth.astype(np.int64) @ guess.T.astype(np.int64)
    few, many = sorted(shared.shape)
    rows = shared if shared.shape[0] == few else shared.T
    right = max(
        sum(int(rows[n, m]) for n, m in enumerate(order))
        for order in itertools.permutations(range(many), few)
    )
    said = np.maximum(truth.sum(axis=0), guess.sum(axis=0)).sum()
    return float(said - right) / float(truth.sum())


def _activity(turns: Turns, seconds: float) -> NDArray[np.bool_]:
    """Who speaks in each frame of FRAME_S seconds: bool[speakers, frames]."""
    labels = sorted({label for *_, label in turns})
    active = np.zeros((len(labels), round(seconds / FRAME_S)), bool)
    for start, end, label in turns:
        active[labels.index(label), round(start / FRAME_S) : round(end / FRAME_S)] = True
    return active
