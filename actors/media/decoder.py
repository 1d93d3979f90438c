"""Decodes a recording to PCM at 16 kHz, on the clock that a player shows.

Runs in child processes only: a hostile file may exploit an error in FFmpeg.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import av
import av.error
import numpy as np

from actors.media import containers
from actors.media.resampler import Layout, Resampler, Samples
from actors.media.timeline import Timeline
from storage.records import RATE

LOWEST_RATE = 2000
"""Hz. Telephones have 8,000; at 1 Hz a file of 100 KB would be a day of noise to transcribe."""
MOST_CHANNELS = 64
"""Of FFmpeg's resampler, SWR_CH_MAX."""
SILENT = 32
"""Samples no louder than this (-60 dBFS) are a silent track."""
MISSING_S = 2.0
MISSING_PART = 0.02
"""What is missing of the length that a file declares is told if it is more than both of these:
containers round, and estimate."""


class Refused(Exception):
    """The file cannot be decoded; the message is a sentence for the user, or empty."""


@dataclass
class Decoder:
    """Decodes one track of a file.

    ``track``: which audio track, from 1; None: the one that the container names as its default, or
    another one if that is silent.
    """

    path: str
    layout: Layout = "mono"
    track: int | None = None
    notices: list[str] = field(default_factory=list)
    """What the user should know of what was decoded; complete after the last block."""

    def blocks(self) -> Iterator[bytes]:
        """PCM, s16 little-endian, with interleaved channels.

        Damaged packets are skipped; gaps in the time stamps become silence.

        Raises:
            Refused: nothing of the file can be decoded.
        """
        with open(self.path, "rb") as source:
            for part in containers.parts(source):
                yield from self._of_part(part)

    def _of_part(self, part: containers.Part) -> Iterator[bytes]:
        tracks = _tracks(part)
        if self.track is not None:
            if self.track > len(tracks):
                raise Refused(_no_such_track(self.track, len(tracks)))
            yield from self._of_track(part, tracks[self.track - 1])
            return
        default = next((track for track in tracks if track.default), tracks[0])
        others = [track for track in tracks if track is not default]
        yield from self._sounding(part, default, others)

    def _sounding(
        self, part: containers.Part, default: "_Track", others: list["_Track"]
    ) -> Iterator[bytes]:
        """The default track, or the first of the others that is not silent if that one is."""
        blocks = self._of_track(part, default)
        silent = 0
        for block in blocks if others else ():
            if not _is_silent(block):
                yield from (bytes(n) for n in _steps(silent))
                yield block
                silent = 0
                break
            silent += len(block)
        if silent:
            for track in others:
                if not all(map(_is_silent, _Reading(part, track, self.layout).blocks())):
                    self.notices.append(
                        f"Audio track {default.number} is silent, so audio track {track.number} "
                        "was transcribed."
                    )
                    yield from self._of_track(part, track)
                    return
            yield from (bytes(n) for n in _steps(silent))
        yield from blocks

    def _of_track(self, part: containers.Part, track: "_Track") -> Iterator[bytes]:
        reading = _Reading(part, track, self.layout)
        yield from reading.blocks()
        self.notices += reading.notices


@dataclass(frozen=True)
class _Track:
    number: int
    """Among the audio tracks, from 1."""
    default: bool


def _opened(part: containers.Part) -> Any:
    # FFmpeg gets an open file and may use no protocols, so that it cannot open the files or
    # addresses that a playlist names. Tags may be in any encoding; nobody reads them.
    part.file.seek(0)
    try:
        return av.open(
            cast(BinaryIO, part.file),
            "r",
            options={"protocol_whitelist": "none", **part.options},
            metadata_errors="replace",
        )
    except av.error.FFmpegError:
        raise Refused("the file is not audio or video in any format FFmpeg understands") from None


def _tracks(part: containers.Part) -> list[_Track]:
    with _opened(part) as container:
        default = av.stream.Disposition.default
        found = [
            _Track(number, bool(stream.disposition & default))
            for number, stream in enumerate(container.streams.audio, start=1)
        ]
    if not found:
        raise Refused("the file has no audio track")
    return found


def _no_such_track(wanted: int, count: int) -> str:
    tracks = "1 audio track" if count == 1 else f"{count} audio tracks"
    return f"the file has {tracks}, so there is no audio track {wanted}"


class _Reading:
    """One pass over one track."""

    def __init__(self, part: containers.Part, track: _Track, layout: Layout) -> None:
        self._part, self._track = part, track
        self._resampled = Resampler(layout)
        self.notices: list[str] = []

    def blocks(self) -> Iterator[bytes]:
        with _opened(self._part) as container:
            stream = container.streams.audio[self._track.number - 1]
            _check(stream.codec_context)
            decoded = 0
            for block in self._samples(container, stream):
                decoded += len(block)
                yield block.tobytes()
            declared = containers.declared_seconds(self._part, container, stream)
            if decoded and declared is not None:
                self._tell_what_is_missing(decoded / RATE, declared)

    def _samples(self, container: Any, stream: Any) -> Iterator[Samples]:
        timeline = Timeline((container.start_time or 0) / 1_000_000)
        for frame, silence in timeline.placed(self._frames(container, stream)):
            if silence:
                yield from self._resampled.flush()
                yield from (
                    np.zeros((n, self._resampled.channels), np.int16)
                    for n in _steps(round(silence * RATE))
                )
            yield from self._resampled.add(frame)
        yield from self._resampled.flush()

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        try:
            for packet in container.demux(stream):
                try:
                    yield from packet.decode()
                except (av.error.FFmpegError, ValueError):
                    continue
        except av.error.FFmpegError:
            pass  # the rest of the file is damaged or missing; the audio before it is kept

    def _tell_what_is_missing(self, decoded: float, declared: float) -> None:
        if declared - decoded > max(MISSING_S, MISSING_PART * declared):
            self.notices.append(
                f"Only {decoded:.1f} s of the recording's {declared:.1f} s could be decoded; the "
                "rest is missing from the file, or damaged."
            )


def _check(codec: Any) -> None:
    """Refuse what cannot be a recording of speech, before it is decoded."""
    if codec is None:
        raise Refused("the audio is in a format that FFmpeg does not know")
    if 0 < codec.sample_rate < LOWEST_RATE:
        raise Refused(
            f"the audio has a sample rate of {codec.sample_rate} Hz, which is too low for speech"
        )
    if codec.layout.nb_channels > MOST_CHANNELS:
        raise Refused(
            f"the audio has {codec.layout.nb_channels} channels; {MOST_CHANNELS} is the most that "
            "can be mixed into one"
        )


def _steps(total: int) -> Iterator[int]:
    """``total`` in parts that are small enough to be held."""
    while total > 0:
        yield min(total, 1 << 20)
        total -= 1 << 20


def _is_silent(block: bytes) -> bool:
    samples = np.frombuffer(block, np.int16)
    return not len(samples) or (int(samples.max()) <= SILENT and int(samples.min()) >= -SILENT)
