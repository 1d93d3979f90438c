"""What a server with real weights hears, for comparing it with what was said."""

import re
from pathlib import Path
from typing import Any

from tests.acceptance.server import Server

SLOWEST_S = 150
CLOSE_S = 0.3
KENNEDY = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for "
    "your country"
)


def transcribed(server: Server, recording: Path, **fields: str) -> dict[str, Any]:
    job_id = server.submit(recording, **fields)
    server.until(lambda: server.job(job_id)["status"] in ("done", "failed"), within=SLOWEST_S)
    job = server.job(job_id)
    assert job["status"] == "done", job
    return job


def words(text: str) -> list[str]:
    return re.sub(r"[^\w ]", "", text.lower().replace("-", " ")).split()


def said(job: dict[str, Any]) -> list[str]:
    return [word for segment in job["segments"] for word in words(segment["text"])]
