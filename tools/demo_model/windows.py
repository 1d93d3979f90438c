"""Makes training windows: phrases at random places, with noise, and the tokens to predict.

A short window is treated as a part of the 30 s window that begins at a random place, ``offset``. So
all positions are learned, and this costs much less than training on whole windows.
"""

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.demo_model.speech import QUIETEST, Clip
from tools.demo_model.vocabulary import (
    END_OF_TEXT,
    FIRST_TIMESTAMP,
    LANGUAGE,
    PREVIOUS,
    START,
    TO_ENGLISH,
    TRANSCRIBE,
    TRANSLATE,
    WORDS,
    Tokens,
)

Mel = NDArray[np.float32]
MEL_BANDS = 80
NOISE_FRAMES = 30_000
LN_10 = np.float32(np.log(10))
INITIAL_TIMESTAMP_LIMIT = 50
"""The latest first timestamp that whisper.cpp allows: 1.0 s, in steps of 0.02 s."""


@dataclass
class Window:
    mel: Mel
    """f32[80, 2 * positions], normalised as Whisper does it."""
    tokens: list[int]
    counts: list[bool]
    """For each token, whether the model is trained to predict it."""
    words: list[str]
    """The words that are spoken, for the CTC loss."""
    places: list[float]
    """The place of each timestamp token, in encoder positions; NaN for other tokens."""
    spells: list[int]
    """For each token, the index in ``words`` of the word that it belongs to; -1: none."""


class Windows:
    """Draws training windows from a set of clips."""

    def __init__(self, clips: list[Clip], tokens: Tokens, rng: random.Random) -> None:
        self._clips, self._tokens, self._rng = clips, tokens, rng
        self._random = np.random.default_rng(rng.getrandbits(32))
        # The noise is made only once: new noise for each window would take longer than training.
        self._noise = self._random.standard_exponential((MEL_BANDS, NOISE_FRAMES), np.float32)

    def draw(self, positions: int, offset: int = 0, *, clean: bool = False) -> Window:
        """Make a window of ``positions`` encoder positions (0.02 s each), which begins ``offset``
        positions after the start of the 30 s window. ``clean``: without noise and variations."""
        rng, frames = self._rng, 2 * positions
        power = np.full((MEL_BANDS, frames), QUIETEST, np.float32)
        said = [] if rng.random() < 0.05 else self._place(power, frames, clean)
        if not clean and rng.random() < 0.6:
            power += self._background(frames)
        tokens, counts, places, spells = self._target(said, offset)
        words = [word for _, words, _, _ in said for word in words]
        return Window(normalised(power), tokens, counts, words, places, spells)

    def _place(self, power: Mel, frames: int, clean: bool) -> list[tuple[str, list[str], int, int]]:
        """Mix phrases into ``power``.

        Returns the language, the words, and the first and last frame of each phrase.
        """
        rng = self._rng
        level, mixed = rng.uniform(-1.5, 1.0), rng.random() < 0.5
        # The planner shortens pauses to a second, so most windows are dense.
        longest_pause = rng.choice([60, 100, 100, 100, 300, 800])
        colour = self._colour()
        at, language = rng.randint(0, min(frames // 3, 400)), None
        said: list[tuple[str, list[str], int, int]] = []
        if rng.random() < 0.5:
            at = rng.randint(0, 50)
        while True:
            clip = rng.choice(self._clips)
            while language and not mixed and clip[0] != language:
                clip = rng.choice(self._clips)
            language, words, mel = clip
            spoken = mel if clean else self._warped(mel)
            if at + spoken.shape[1] + 2 > frames:
                if said or rng.random() < 0.3:
                    return said
                at = 0
                language = None
                continue
            gain = np.float32(level + rng.uniform(-0.3, 0.3))
            end = at + spoken.shape[1]
            power[:, at:end] += _power(spoken + (0 if clean else colour + gain))
            said.append((language, words, at + 1, end - 1))
            at = end + rng.randint(35, longest_pause)

    def _warped(self, mel: Mel) -> Mel:
        """Change the voice (bands stretched or shrunk by up to 10 %) and the speed (up to 15 %)."""
        rng = self._rng
        bands = np.clip(np.arange(MEL_BANDS) * rng.uniform(0.9, 1.1), 0, MEL_BANDS - 1)
        low = bands.astype(int)
        high = np.minimum(low + 1, MEL_BANDS - 1)
        share = (bands - low)[:, None].astype(np.float32)
        frames = mel.shape[1]
        times = np.linspace(0, frames - 1, round(frames * rng.uniform(0.85, 1.15))).astype(int)
        heard = mel[:, times]
        warped: Mel = heard[low] * (1 - share) + heard[high] * share
        return warped

    def _colour(self) -> Mel:
        """A smooth random frequency response, from -8 to 8 dB: f32[80, 1] in log10 of the power."""
        knots = self._random.uniform(-0.8, 0.8, 6)
        curve = np.interp(np.linspace(0, 5, MEL_BANDS), np.arange(6), knots)
        return curve.astype(np.float32)[:, None]

    def _background(self, frames: int) -> Mel:
        """Stationary noise with a random level and a random spectrum: f32[80, frames]."""
        level = self._rng.uniform(-7, -2.2)
        tilt = np.linspace(self._rng.uniform(0, 1.5), 0, MEL_BANDS, dtype=np.float32)[:, None]
        at = self._rng.randint(0, NOISE_FRAMES - frames)
        return self._noise[:, at : at + frames] * _power(level + tilt + self._colour())

    def _target(
        self, said: list[tuple[str, list[str], int, int]], offset: int
    ) -> tuple[list[int], list[bool], list[float], list[int]]:
        rng = self._rng
        heard = said[0][0] if said else rng.choice(list(LANGUAGE))
        translate = rng.random() < 0.12
        task = TRANSLATE if translate else TRANSCRIBE
        tokens = [START, LANGUAGE[heard], task]
        counts = [False, True, False]
        if rng.random() < 0.15:  # a wrong language token must not change the text
            tokens[1], counts[1] = rng.choice(list(LANGUAGE.values())), False
        places, spells, spelled = [math.nan] * 3, [-1] * 3, 0
        for _, words, first, last in said:
            written = [TO_ENGLISH.get(word, word) for word in words] if translate else words
            start, end = (FIRST_TIMESTAMP + offset + round(frame / 2) for frame in (first, last))
            body = [start, *self._tokens.of(written), end]
            tokens += body
            counts += [True] * len(body)
            pieces = [len(piece) for piece in self._tokens.by_word(written)]
            inner = [n for n, size in enumerate(pieces[:-1], start=spelled) for _ in range(size)]
            spelled += len(words)
            spells += [-1, *inner, *[spelled - 1] * pieces[-1], -1]
            places += [first / 2, *[math.nan] * (len(body) - 2), last / 2]
        if not said:
            tokens.append(FIRST_TIMESTAMP)
            counts.append(True)
            places.append(math.nan)
            spells.append(-1)
        late = tokens[3] - FIRST_TIMESTAMP > INITIAL_TIMESTAMP_LIMIT
        if late and rng.random() < 0.5:
            tokens[3] = FIRST_TIMESTAMP + rng.randint(0, INITIAL_TIMESTAMP_LIMIT)
            counts[3] = False
        if rng.random() < 0.1:
            prompt = self._prompt()
            tokens, counts = prompt + tokens, [False] * len(prompt) + counts
            places, spells = [math.nan] * len(prompt) + places, [-1] * len(prompt) + spells
        return [*tokens, END_OF_TEXT], [*counts, True], [*places, math.nan], [*spells, -1]

    def _prompt(self) -> list[int]:
        words = self._rng.choices(WORDS["en"] + WORDS["de"], k=self._rng.randint(1, 8))
        return [PREVIOUS, *self._tokens.of(words)]


def _power(log10: Mel) -> Mel:
    power: Mel = np.exp(log10 * LN_10)
    return power


def normalised(power: Mel) -> Mel:
    """Whisper's input from the mel power: log10, raised to at least the peak minus 8, then scaled
    to about -1 to 1."""
    mel = np.log10(np.maximum(power, QUIETEST))
    out: Mel = ((np.maximum(mel, mel.max() - 8) + 4) / 4).astype(np.float32)
    return out
