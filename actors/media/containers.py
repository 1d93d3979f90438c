"""What has to be known of a file before FFmpeg reads it, and what of its header can be believed."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import RawIOBase
from typing import Any, BinaryIO

RIFF_HEADER = 12
WAV_FORMAT = 16
"""Bytes of the shortest `fmt ` chunk."""
LENGTHS_OF_STREAMS = (0, 0x7FFF_FFFF, 0xFFFF_FFFF)
"""What programs write that do not know yet how much will follow."""
OGG_PAGE_HEADER = 27
OGG_FIRST_PAGE = 2
"""The flag of a page that begins a stream (RFC 3533, section 6)."""
BY_BITRATE = 0.02
"""An estimated length is the file's size by its bit rate, to this part."""


@dataclass(frozen=True)
class Part:
    """A part of a file that FFmpeg reads as a file of its own."""

    file: "BinaryIO | _Slice"
    options: dict[str, str] = field(default_factory=dict)
    declared_secs: float | None = None
    """The length that the header gives, where FFmpeg does not tell."""


def parts(source: BinaryIO) -> list[Part]:
    """The parts of a file, in order; most files are one.

    Ogg files may be joined to a longer one, in which each link has its own header. FFmpeg stops at
    a link with other channels than the first one's.
    """
    source.seek(0)
    magic = source.read(4)
    if magic == b"OggS":
        size = os.fstat(source.fileno()).st_size
        starts = list(_ogg_links(source, size))
        if len(starts) > 1:
            ends = [*starts[1:], size]
            return [Part(_Slice(source, a, b)) for a, b in zip(starts, ends, strict=True)]
    if magic in (b"RIFF", b"RIFX"):
        return [_wav(source, "<" if magic == b"RIFF" else ">")]
    return [Part(source)]


def declared_seconds(part: Part, container: Any, stream: Any) -> float | None:
    """The length that the file's header gives; None if FFmpeg estimated it."""
    if part.declared_secs is not None:
        return part.declared_secs
    if container.duration is None or container.duration <= 0:
        return None
    seconds: float = container.duration / 1_000_000
    start = container.start_time or 0
    if container.format.name in ("mpegts", "mpeg", "aac", "ac3", "eac3"):
        return None  # they have no header for it
    if container.format.name == "mp3":
        bit_rate = stream.codec_context.bit_rate
        by_bit_rate = container.size * 8 / bit_rate if bit_rate else seconds
        if abs(by_bit_rate - seconds) <= BY_BITRATE * seconds:
            return None
    return seconds - start / 1_000_000 if container.format.name == "ogg" else seconds


def _wav(source: BinaryIO, order: str) -> Part:
    """A WAV file, whose header may give too short a length for its samples, or too long a one.

    What follows the samples is either more samples, or further chunks, each with a name and a
    length that fits. FFmpeg reads to the end of a file where the length is 0 or the largest.
    """
    size = os.fstat(source.fileno()).st_size
    at, bytes_a_second, samples = RIFF_HEADER, 0, None
    while at + 8 <= size:
        source.seek(at)
        name, length = struct.unpack(f"{order}4sI", source.read(8))
        fits = at + 8 + length <= size
        if samples is not None and not (fits and _is_chunk_name(name)):
            return Part(source, {"ignore_length": "1"})
        if name == b"fmt " and fits and length >= WAV_FORMAT:
            (bytes_a_second,) = struct.unpack(f"{order}8xI", source.read(12))
        if name == b"data":
            samples = length
        at += 8 + length + length % 2
    if at <= size or samples in (None, *LENGTHS_OF_STREAMS) or not bytes_a_second:
        return Part(source)
    return Part(source, declared_secs=samples / bytes_a_second)


def _is_chunk_name(name: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in name)


def _ogg_links(source: BinaryIO, size: int) -> Iterator[int]:
    """Where each link of an Ogg file begins: at a first page that follows one that is not."""
    at, in_header = 0, False
    while at + OGG_PAGE_HEADER <= size:
        source.seek(at)
        header = source.read(OGG_PAGE_HEADER)
        if header[:4] != b"OggS":
            return  # damaged: FFmpeg looks for the next page
        first = bool(header[5] & OGG_FIRST_PAGE)
        if first and not in_header:
            yield at
        in_header = first
        lengths = source.read(header[26])
        at += OGG_PAGE_HEADER + len(lengths) + sum(lengths)


class _Slice(RawIOBase):
    """Bytes ``start`` to ``end`` of a file, as a file."""

    def __init__(self, source: BinaryIO, start: int, end: int) -> None:
        self._source, self._start, self._length = source, start, end - start
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._length - self._at)
        self._source.seek(self._start + self._at)
        data = self._source.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data
