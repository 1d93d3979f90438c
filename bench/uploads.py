"""Measures uploads: a large file, and many small files."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from bench.serving import resident_mb, serving
from tests.acceptance.server import Server
from tests.audio import spoken

GIB = 1 << 30
BLOCK = bytes(range(256)) * 4096
BOUNDARY = "frontier"
CLIENTS = 16
JOBS = 1000


def measure(folder: Path) -> list[str]:
    disk = _disk_mib_s(folder)
    with serving(folder) as server:
        server.load()
        before = resident_mb(server.pid)
        rate, peak = _upload(server)
        accepted = _submits(server, spoken(folder / "small.wav", [0.5]))
    return [
        f"1 GiB: {rate:.0f} MiB/s, {rate / disk:.0%} of the disk's {disk:.0f} MiB/s in the same "
        f"run (target: 60 %); {peak - before:+.0f} MiB resident (target: at most +32)",
        f"{JOBS} small files by {CLIENTS} clients: {accepted:.0f} accepted a second (target: 200)",
    ]


def _disk_mib_s(folder: Path) -> float:
    """The disk's speed in MiB/s: a simple loop writes 1 GiB and syncs it."""
    began = time.perf_counter()
    with (folder / "plain").open("wb") as file:
        for _ in range(GIB // len(BLOCK)):
            file.write(BLOCK)
        file.flush()
        os.fsync(file.fileno())
    took = time.perf_counter() - began
    (folder / "plain").unlink()
    return GIB / 2**20 / took


def _upload(server: Server) -> tuple[float, float]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n\r\n'
    tail = f"\r\n--{BOUNDARY}--\r\n"
    length = len(head) + GIB + len(tail)

    def body() -> Iterator[bytes]:
        yield head.encode()
        for _ in range(GIB // len(BLOCK)):
            yield BLOCK
        yield tail.encode()

    peak = 0.0
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, resident_mb(server.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    headers = {
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(length),
    }
    response = server.http.post("/jobs", content=body(), headers=headers, timeout=300)
    took = time.perf_counter() - began
    over.set()
    watcher.join()
    assert response.status_code == 202, response.text
    server.ended(response.json()["job_id"])
    return GIB / 2**20 / took, peak


def _submits(server: Server, small: Path) -> float:
    data = small.read_bytes()

    def client(count: int) -> None:
        with httpx.Client(base_url=server.http.base_url, timeout=60, trust_env=False) as http:
            for _ in range(count):
                response = http.post("/jobs", files={"audio": data})
                assert response.status_code == 202, response.text

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, [JOBS // CLIENTS] * CLIENTS))
    return JOBS // CLIENTS * CLIENTS / (time.perf_counter() - began)
