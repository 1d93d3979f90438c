"""Measures resident memory: at rest, after unloads, and while a ten-hour file is prepared."""

import threading
import time
from pathlib import Path

import av
import numpy as np
import psutil

from bench.serving import resident_mb, serving
from storage.records import RATE
from tests.audio import babble

CYCLES = 20
HOURS = 10


def measure(folder: Path) -> list[str]:
    with serving(folder) as server:
        fresh = resident_mb(server.pid, children=True)
        after = []
        for _ in range(CYCLES):
            server.load()
            server.http.post("/model/unload")
            server.until(lambda: server.http.get("/model/status").json()["state"] == "unloaded")
            after.append(resident_mb(server.pid, children=True))
    return [
        f"without a model: {fresh:.0f} MiB resident (target: under 100)",
        f"after each of {CYCLES} unloads: {min(after):.0f} to {max(after):.0f} MiB, the last "
        f"{after[-1] - after[0]:+.1f} MiB against the first (target: back there every time)",
    ]


def measure_long_file(folder: Path) -> list[str]:
    path = folder / "long.opus"
    _write_hours(path)
    with serving(folder, QUEUE_WHEN_UNLOADED="true") as server:
        before = resident_mb(server.pid)
        peaks = {"server": 0.0, "decoder": 0.0}
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                peaks["server"] = max(peaks["server"], resident_mb(server.pid))
                for child in psutil.Process(server.pid).children(recursive=True):
                    try:
                        if "actors.media.decode_child" in child.cmdline():
                            rss = child.memory_info().rss / 2**20
                            peaks["decoder"] = max(peaks["decoder"], rss)
                    except psutil.NoSuchProcess:
                        continue

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        server.submit(path)
        planned = server.wait_for_log(r"([\d.]+) s of audio in \d+ chunks", within=500)
        assert float(planned[1]) > 0.99 * HOURS * 3600, planned[0]
        took = time.monotonic() - began
        over.set()
        watcher.join()
    return [
        f"{HOURS} hours decoded and planned in {took:.0f} s, {HOURS * 3600 / took:.0f}x real time",
        f"the decoder takes {peaks['decoder']:.0f} MiB, the server {peaks['server'] - before:+.0f} "
        "MiB (target: a few tens)",
    ]


def _write_hours(path: Path) -> None:
    minute = babble(*[(4.0, True), (1.0, False)] * 12)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=48_000)
        stream.codec_context.layout = "mono"
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=48_000,
            frame_size=stream.codec_context.frame_size,
        )  # fmt: skip
        packets = []
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(minute[None]), "s16", "mono")
        frame.rate = RATE
        for out in resampler.resample(frame):
            packets += stream.encode(out)
        # Only one minute is encoded, and its packets are written many times. For the decoder this
        # is the same work as a real recording.
        step = stream.codec_context.frame_size
        n = 0
        for _ in range(HOURS * 60):
            for data in packets:
                copy = av.Packet(bytes(data))
                copy.stream, copy.pts, copy.dts = stream, n * step, n * step
                copy.time_base, copy.duration = data.time_base, step
                container.mux(copy)
                n += 1
