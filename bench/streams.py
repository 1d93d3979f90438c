"""Measures a thousand open event streams: how long an event takes to reach the last of them."""

import asyncio
import resource
import time
from pathlib import Path

import aiohttp

from bench.serving import resident_mb, serving

STREAMS = 1000
ROUNDS = 3


def measure(folder: Path) -> list[str]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 14, 1 << 14))
    with serving(folder) as server:
        before = resident_mb(server.pid)
        url = str(server.http.base_url)
        lags, during = asyncio.run(_listen(url, server.pid))
    return [
        f"{STREAMS} streams: an event reaches the last of them after {max(lags):.2f} s at most, "
        f"the others before (target: 0.5 s); {1024 * (during - before) / STREAMS:.0f} KiB each"
    ]


async def _listen(url: str, pid: int) -> tuple[list[float], float]:
    timeout = aiohttp.ClientTimeout(total=120)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, timeout=timeout, connector=connector) as http:
        responses = [await http.get("/model/events") for _ in range(STREAMS)]
        for response in responses:
            await _event(response, "model_unloaded")
        during = resident_mb(pid)
        lags = []
        for _ in range(ROUNDS):
            waiting = [asyncio.create_task(_event(r, "model_loading")) for r in responses]
            await asyncio.sleep(0.1)
            began = time.perf_counter()
            async with http.post("/model/load"):
                pass
            arrived = await asyncio.gather(*waiting)
            lags.append(max(arrived) - began)
            async with http.post("/model/unload"):
                pass
            await asyncio.gather(*(_event(r, "model_unloaded") for r in responses))
        for response in responses:
            response.close()
    return lags, during


async def _event(response: aiohttp.ClientResponse, name: str) -> float:
    """Wait for the event; returns the time at which it came (`time.perf_counter`)."""
    async for line in response.content:
        if line.strip() == f"event: {name}".encode():
            return time.perf_counter()
    raise AssertionError("the stream ended")
