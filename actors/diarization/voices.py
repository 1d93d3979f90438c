"""Tells voices apart, with sherpa-onnx.

First, pyannote's segmentation finds the stretches in which one person speaks, over windows of ten
seconds. Then a second step compares the voices, in pieces of two seconds of each stretch, and so
finds out which person it is. The second step is needed because the segmentation often takes two
people for one if they speak without a pause between them: a conversation that was cut together
would become a monologue. See docs/decisions/diarization.md.
"""

import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actors.diarization.process import Diarization
from actors.models.sources import EMBEDDING, SEGMENTATION
from storage.records import RATE, SAMPLE_BYTES, Turn

if TYPE_CHECKING:  # the server asks this module whether it is installed, and decodes nothing itself
    from actors.media.decode_child import Recording

BLOCK_S = 600
"""Seconds of audio that are in memory at once: 38 MB."""
SHORTEST_S, WINDOW_S, STEP_S = 0.4, 2.0, 0.75
"""Seconds. A voice is computed from a whole stretch, or in a longer stretch from windows of
WINDOW_S
that begin at most STEP_S apart. Stretches under SHORTEST_S are too short to recognise a voice."""
DISTANCE_THRESHOLD = 0.8
"""Voices with at least this cosine distance are two people. (In pyannote_sample, which has two
speakers, the thresholds 0.6, 0.7, 0.8 and 0.9 find 4, 3, 2 and 1 of them.)"""
MAX_COMPARED = 8000
"""The most windows that are compared with each other. The memory grows with the square of this
number: 256 MB here. It is enough for an hour and a half of speech; in a longer recording only some
windows are compared, and each of the others joins the nearest group."""
MAX_PAUSE_S = 0.5
"""Seconds. A speaker's pause of up to this length does not end the speaker turn."""

Samples = NDArray[np.float32]
Stretch = tuple[float, float]


def installed() -> bool:
    return importlib.util.find_spec("sherpa_onnx") is not None


def complete(models: Path) -> bool:
    return all((models / name).exists() for name in (SEGMENTATION, EMBEDDING))


def find(recording: "Recording", models: Path, most: int, threads: int) -> Diarization:
    """Find who speaks when, with at most ``most`` different speakers."""
    listener = _SherpaModels(models, threads)
    pieces: list[Stretch] = []
    voices: list[Samples] = []
    for at, part in _parts(recording):
        for stretch in listener.stretches(part):
            for piece, look in looks(*stretch):
                pieces.append((round(at + piece[0], 3), round(at + piece[1], 3)))
                voices.append(listener.voice(part[round(look[0] * RATE) : round(look[1] * RATE)]))
    labels = listener.group(np.array(voices, np.float32), most) if voices else []
    return Diarization(provider="voices", turns=tuple(turns(pieces, labels)))


def looks(start: float, end: float) -> Iterator[tuple[Stretch, Stretch]]:
    """Cut a stretch into pieces; each comes with the window that its voice is computed from.

    All times are in seconds.
    """
    length = end - start
    if length < SHORTEST_S:
        return
    if length <= WINDOW_S:
        yield (start, end), (start, end)
        return
    begins = np.linspace(start, end - WINDOW_S, 2 + int((length - WINDOW_S) / STEP_S)).tolist()
    middles = [begin + WINDOW_S / 2 for begin in begins]
    edges = [start, *((a + b) / 2 for a, b in itertools.pairwise(middles)), end]
    for n, begin in enumerate(begins):
        yield (edges[n], edges[n + 1]), (begin, begin + WINDOW_S)


def turns(pieces: list[Stretch], labels: list[int]) -> list[Turn]:
    """Join neighbouring pieces of one speaker into turns; who speaks first is ``Speaker 1``."""
    names: dict[int, str] = {}
    made: list[Turn] = []
    last: dict[str, int] = {}  # where in `made` each speaker's last turn is
    for (start, end), label in sorted(zip(pieces, labels, strict=True)):
        name = names.setdefault(label, f"Speaker {len(names) + 1}")
        n = last.get(name)
        if n is not None and start - made[n].end <= MAX_PAUSE_S:
            made[n] = Turn(made[n].start, max(end, made[n].end), name)
        else:
            last[name] = len(made)
            made.append(Turn(start, end, name))
    return made


class _SherpaModels:
    def __init__(self, models: Path, threads: int) -> None:
        import sherpa_onnx as sherpa

        self._sherpa = sherpa
        segmentation = sherpa.OfflineSpeakerSegmentationModelConfig(
            pyannote=sherpa.OfflineSpeakerSegmentationPyannoteModelConfig(
                model=str(models / SEGMENTATION)
            ),
            num_threads=threads,
        )
        embedding = sherpa.SpeakerEmbeddingExtractorConfig(
            model=str(models / EMBEDDING), num_threads=threads
        )
        config = sherpa.OfflineSpeakerDiarizationConfig(
            segmentation=segmentation,
            embedding=embedding,
            clustering=sherpa.FastClusteringConfig(num_clusters=-1, threshold=DISTANCE_THRESHOLD),
            min_duration_on=0.0,
            min_duration_off=0.3,
        )
        self._diarization = sherpa.OfflineSpeakerDiarization(config)
        self._extractor = sherpa.SpeakerEmbeddingExtractor(embedding)

    def stretches(self, samples: Samples) -> Iterator[Stretch]:
        """Where one person speaks, as start and end in seconds.

        Where two people speak at once, there are two stretches.
        """
        for found in self._diarization.process(samples).sort_by_start_time():
            yield found.start, found.end

    def voice(self, samples: Samples) -> Samples:
        """The embedding of the voice in ``samples``: a vector of length 1."""
        stream = self._extractor.create_stream()
        stream.accept_waveform(RATE, samples)
        stream.input_finished()
        vector = np.array(self._extractor.compute(stream), np.float32)
        return vector / np.float32(np.linalg.norm(vector) or 1)

    def group(self, voices: Samples, most: int) -> list[int]:
        """One number for each voice; voices of the same person get the same number."""
        some = np.ascontiguousarray(voices[:: -(-len(voices) // MAX_COMPARED)])
        labels = np.array(self._cluster(some, num_clusters=-1, threshold=DISTANCE_THRESHOLD))
        if len(set(labels.tolist())) > most:
            labels = np.array(self._cluster(some, num_clusters=most))
        if len(some) < len(voices):
            centres = np.stack([some[labels == label].mean(axis=0) for label in np.unique(labels)])
            labels = (voices @ centres.T).argmax(axis=1)
        return [int(label) for label in labels]

    def _cluster(self, voices: Samples, **how: Any) -> list[int]:
        config = self._sherpa.FastClusteringConfig(**how)
        labels: list[int] = self._sherpa.FastClustering(config)(voices)
        return labels


def _parts(recording: "Recording") -> Iterator[tuple[float, Samples]]:
    """The recording in parts of BLOCK_S, each with the second at which it begins."""
    size, at, held = BLOCK_S * RATE * SAMPLE_BYTES, 0, bytearray()
    for block in recording.blocks():
        held += block
        while len(held) >= size:
            yield at / RATE, _samples(held[:size])
            del held[:size]
            at += BLOCK_S * RATE
    if held:
        yield at / RATE, _samples(held)


def _samples(pcm: bytearray) -> Samples:
    return np.frombuffer(bytes(pcm), "<i2").astype(np.float32) / np.float32(32768)
