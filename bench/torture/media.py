"""Files that no recorder writes, each with the time and the memory that it costs the decoder."""

import struct
import threading
import time
import wave
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import psutil

from bench.torture.box import DECODER, Box, Materials
from bench.torture.report import Report
from tests.audio import babble

MOST_SECS = 30.0
MOST_MIB = 512.0
"""Resident memory of the decoder."""
STREAMS = 500
PICTURE_PX = 60_000
CHANNELS = 255


def _streams(path: Path) -> None:
    """A Matroska file with 500 audio tracks of a second."""
    frame = av.AudioFrame.from_ndarray(babble((1.0, True))[None], "s16", "mono")
    frame.rate = 16_000
    with av.open(str(path), "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=16_000) for _ in range(STREAMS)]
        for stream in streams:
            stream.codec_context.layout = "mono"
        for stream in streams:
            frame.pts = 0
            container.mux(stream.encode(frame))


def _picture(path: Path) -> None:
    """An MP3 with a cover picture of 60,000 by 60,000 pixels, which are all black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    packer = zlib.compressobj(9)
    row = bytes(1 + PICTURE_PX // 8)  # one bit for each pixel, after the filter's byte
    pixels = b"".join(packer.compress(row) for _ in range(PICTURE_PX)) + packer.flush()
    header = struct.pack(">IIBBBBB", PICTURE_PX, PICTURE_PX, 1, 0, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )  # fmt: skip
    body = b"\x00image/png\x00\x03\x00" + png
    tag = b"APIC" + struct.pack(">I", len(body)) + b"\x00\x00" + body
    size = len(tag)
    safe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    sound = path.with_suffix(".sound.mp3")
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16_000)
        stream.codec_context.layout = "mono"
        resampler = av.AudioResampler("s16p", "mono", 16_000, frame_size=576)
        frame = av.AudioFrame.from_ndarray(babble((3.0, True))[None], "s16", "mono")
        frame.rate = 16_000
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    path.write_bytes(b"ID3\x03\x00\x00" + safe + tag + sound.read_bytes())


def _channels(path: Path) -> None:
    """A WAV with 255 channels, on all of which the same is said."""
    sound = np.repeat(babble((3.0, True))[:, None], CHANNELS, axis=1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(CHANNELS)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(sound.tobytes())


def _rate(rate: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(babble((3.0, True)).tobytes())

    return write


FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    f"{STREAMS} audio tracks": ("streams.mkv", _streams),
    f"a cover of {PICTURE_PX:,} pixels a side": ("picture.mp3", _picture),
    f"{CHANNELS} channels": ("channels.wav", _channels),
    "a sample rate of 1 Hz": ("slow.wav", _rate(1)),
    "a sample rate of 1 GHz": ("fast.wav", _rate(10**9)),
}


def run(folder: Path, materials: Materials) -> Report:
    report = Report("media")
    box = Box(folder / "media", WHISPER_MODEL_PATH=materials.scripted)
    box.start_unless_killed()
    box.load()
    try:
        for name, (file, write) in FILES.items():
            path = folder / "media" / file
            write(path)
            _try(box, name, path, report)
    finally:
        box.kill()
    return report


def _try(box: Box, name: str, path: Path, report: Report) -> None:
    peak, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            try:
                if child := box.child(DECODER):
                    peak = max(peak, child.memory_info().rss / 2**20)
            except psutil.NoSuchProcess:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    job = box.ended(box.submit(path))
    took = time.monotonic() - began
    over.set()
    watcher.join()
    outcome = f"{job['status']}, {job.get('error') or len(job.get('segments') or ())}"
    report.count(files=1)
    report.progress(
        f"{name} ({path.stat().st_size / 2**20:.1f} MiB): {outcome} after {took:.1f} s, "
        f"decoder {peak:.0f} MiB"
    )
    if took > MOST_SECS or peak > MOST_MIB:
        report.fail(f"{name} costs {took:.0f} s and {peak:.0f} MiB")
