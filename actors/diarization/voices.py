"""Tells voices apart, with sherpa-onnx.

Its diarization finds the stretches in which one person speaks: pyannote's segmentation over windows
of ten seconds. Whose they are is told by a second look, at two seconds of a stretch at a time:
where two people follow each other without a pause the segmentation often takes them for one, and a
conversation that was cut together comes out as a monologue. See docs/decisions/diarization.md.
"""

import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.diarization.process import Diarization
from actors.media.decode_child import decoded
from actors.models.catalogue import EMBEDDING, SEGMENTATION
from storage.records import RATE, SAMPLE_BYTES, Turn

PART_S = 600
"""What is held at once: 38 MB."""
SHORTEST_S, LOOK_S, STEP_S = 0.4, 2.0, 0.75
"""A look is at a whole stretch, or at so much of a longer one, at such a distance from the last.
The shortest still says something of the voice."""
APART = 0.8
"""Cosine distance from which voices are two. (pyannote_sample, with two speakers, comes out with
4, 3, 2 and 1 of them at 0.6, 0.7, 0.8 and 0.9.)"""
MOST_LOOKS = 8000
"""That are compared with each other, which takes memory with their square: 256 MB. They are an hour
and a half; in a longer recording the others go with the nearest group."""
JOIN_S = 0.5
"""A shorter pause ends no turn."""

Samples = NDArray[np.float32]
Stretch = tuple[float, float]


def installed() -> bool:
    return importlib.util.find_spec("sherpa_onnx") is not None


def complete(models: Path) -> bool:
    return all((models / name).exists() for name in (SEGMENTATION, EMBEDDING))


def find(path: str, models: Path, most: int, threads: int) -> Diarization:
    """Who speaks when, of at most ``most`` people."""
    listener = _Listener(models, threads)
    pieces: list[Stretch] = []
    voices: list[Samples] = []
    for at, part in _parts(path):
        for stretch in listener.stretches(part):
            for piece, look in looks(*stretch):
                pieces.append((round(at + piece[0], 3), round(at + piece[1], 3)))
                voices.append(listener.voice(part[round(look[0] * RATE) : round(look[1] * RATE)]))
    labels = listener.group(np.array(voices, np.float32), most) if voices else []
    return Diarization(provider="voices", turns=tuple(turns(pieces, labels)))


def looks(start: float, end: float) -> Iterator[tuple[Stretch, Stretch]]:
    """Pieces that make up a stretch, each with what is to be looked at for it; seconds."""
    length = end - start
    if length < SHORTEST_S:
        return
    if length <= LOOK_S:
        yield (start, end), (start, end)
        return
    begins = np.linspace(start, end - LOOK_S, 2 + int((length - LOOK_S) / STEP_S)).tolist()
    middles = [begin + LOOK_S / 2 for begin in begins]
    edges = [start, *((a + b) / 2 for a, b in itertools.pairwise(middles)), end]
    for n, begin in enumerate(begins):
        yield (edges[n], edges[n + 1]), (begin, begin + LOOK_S)


def turns(pieces: list[Stretch], labels: list[int]) -> list[Turn]:
    """Pieces of one speaker that follow each other become one turn; the first to speak is 1."""
    names: dict[int, str] = {}
    made: list[Turn] = []
    last: dict[str, int] = {}  # where in `made` each speaker's last turn is
    for (start, end), label in sorted(zip(pieces, labels, strict=True)):
        name = names.setdefault(label, f"Speaker {len(names) + 1}")
        n = last.get(name)
        if n is not None and start - made[n].end <= JOIN_S:
            made[n] = Turn(made[n].start, max(end, made[n].end), name)
        else:
            last[name] = len(made)
            made.append(Turn(start, end, name))
    return made


class _Listener:
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
            clustering=sherpa.FastClusteringConfig(num_clusters=-1, threshold=APART),
            min_duration_on=0.0,
            min_duration_off=0.3,
        )
        self._diarization = sherpa.OfflineSpeakerDiarization(config)
        self._extractor = sherpa.SpeakerEmbeddingExtractor(embedding)

    def stretches(self, samples: Samples) -> Iterator[Stretch]:
        """In which one person speaks, in seconds; two at once are two stretches."""
        for found in self._diarization.process(samples).sort_by_start_time():
            yield found.start, found.end

    def voice(self, samples: Samples) -> Samples:
        """What a voice sounds like: a vector of length 1."""
        stream = self._extractor.create_stream()
        stream.accept_waveform(RATE, samples)
        stream.input_finished()
        vector = np.array(self._extractor.compute(stream), np.float32)
        return vector / np.float32(np.linalg.norm(vector) or 1)

    def group(self, voices: Samples, most: int) -> list[int]:
        """A number for each voice, the same for those that are one person's."""
        some = np.ascontiguousarray(voices[:: -(-len(voices) // MOST_LOOKS)])
        labels = np.array(self._cluster(some, num_clusters=-1, threshold=APART))
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


def _parts(path: str) -> Iterator[tuple[float, Samples]]:
    """The recording in parts of PART_S, each with the second at which it begins."""
    size, at, held = PART_S * RATE * SAMPLE_BYTES, 0, bytearray()
    for block in decoded(path):
        held += block
        while len(held) >= size:
            yield at / RATE, _samples(held[:size])
            del held[:size]
            at += PART_S * RATE
    if held:
        yield at / RATE, _samples(held)


def _samples(pcm: bytearray) -> Samples:
    return np.frombuffer(bytes(pcm), "<i2").astype(np.float32) / np.float32(32768)
