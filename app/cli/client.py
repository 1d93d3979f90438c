"""A client of the native dialect, for the command line."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import msgspec

from app.auth.operator import make_pass

Ask = aiohttp.ClientHandlerType
RECONNECTS = 20
PAGE = 200
"""The most jobs that the server lists at once."""
FULL_ID = 36
"""Characters of a whole id."""
PAUSE_S = 1.0


class ServerSaid(Exception):
    """An answer that is no success; the message is the server's."""


class Client:
    """Make one with `connect`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def _body(self, response: aiohttp.ClientResponse) -> Any:
        """
        Raises:
            ServerSaid: whatever answers there is no Whisperbox.
        """
        try:
            return await response.json()
        except (aiohttp.ContentTypeError, ValueError):
            raise ServerSaid(f"{response.url.origin()} is no Whisperbox server") from None

    async def submit(self, path: Path, fields: Mapping[str, str]) -> str | int:
        """The job's id, or the seconds to wait where the model is not ready yet.

        Raises:
            ServerSaid: the server refuses the file.
        """
        with path.open("rb") as file:
            form = aiohttp.FormData(fields, quote_fields=False)  # names arrive as they are
            form.add_field("audio", file, filename=path.name)
            async with self._session.post("jobs", data=form) as response:
                body = await self._body(response)
        if response.status == 503:
            return int(body.get("retry_after_secs", 5))
        if response.status != 202:
            raise ServerSaid(body["error"])
        job_id: str = body["job_id"]
        return job_id

    async def get(self, path: str, **query: str | int) -> Any:
        async with self._session.get(path.lstrip("/"), params=query) as response:
            body = await self._body(response)
        if response.status >= 400:
            raise ServerSaid(body["error"])
        return body

    async def end(self, job_id: str, *, purge: bool = False) -> Any:
        """Cancel a job, or delete it for good; returns the job.

        Raises:
            ServerSaid: the job's state does not allow it.
        """
        query = {"purge": "true"} if purge else {}
        async with self._session.delete(f"jobs/{job_id}", params=query) as response:
            body = await self._body(response)
        if response.status >= 400:
            raise ServerSaid(body["error"])
        return body

    async def find(self, start: str) -> str:
        """The id of the job whose id begins so.

        Raises:
            ServerSaid: there is none, or more than one.
        """
        if not start:
            raise ServerSaid("name a job by its id, or by how that begins")
        if len(start) >= FULL_ID:
            return start
        found: list[str] = []
        before: dict[str, int] | None = {}
        while before is not None:
            page = await self.get("/jobs", limit=PAGE, **before)
            found += (job["id"] for job in page["jobs"] if job["id"].startswith(start))
            before = {"before": page["next"]} if page["next"] is not None else None
        if not found:
            raise ServerSaid(f"there is no job whose id begins with {start}")
        if len(found) > 1:
            raise ServerSaid(f"{len(found)} jobs have ids that begin with {start}")
        return found[0]

    async def before(self, job_id: str) -> int:
        """How many jobs wait that were submitted before this one: at most a page of them."""
        waiting = await self.get("/jobs", status="queued", limit=PAGE)
        ids = [job["id"] for job in waiting["jobs"]]  # the newest first
        return len(ids) - 1 - ids.index(job_id) if job_id in ids else 0

    async def model_ready(self, most_secs: float) -> AsyncIterator[str]:
        """The model's states as they come, until it is ready or the time is over."""
        with anyio.move_on_after(most_secs):
            async for name, _, _ in self._events("/model/events", None):
                yield name.removeprefix("model_")
                if name == "model_ready":
                    return

    async def follow(self, job_id: str) -> AsyncIterator[tuple[str, Any]]:
        """Every event of a job to its end, across dropped connections and restarts.

        Raises:
            ServerSaid: the server has not come back.
        """
        last, drops = None, 0
        while drops < RECONNECTS:
            try:
                async for name, data, event_id in self._events(f"/jobs/{job_id}/stream", last):
                    last, drops = event_id, 0
                    yield name, data
                    if name in ("done", "error"):
                        return
            except aiohttp.ClientError:
                pass
            drops += 1
            await anyio.sleep(PAUSE_S)
        raise ServerSaid("the server does not answer any more")

    async def _events(
        self, path: str, last_event_id: str | None
    ) -> AsyncIterator[tuple[str, Any, str | None]]:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with self._session.get(
            path.lstrip("/"), headers=headers, timeout=timeout
        ) as response:
            if response.status >= 400:
                raise ServerSaid((await self._body(response))["error"])
            seen: dict[str, str] = {}
            async for raw in response.content:
                line = raw.decode().rstrip("\n")
                if line:
                    key, _, value = line.partition(": ")
                    seen[key] = value
                    continue
                if "event" in seen:
                    yield seen["event"], msgspec.json.decode(seen["data"]), seen.get("id")
                seen = {}


@asynccontextmanager
async def connect(
    server: str, token: str | None = None, key: bytes | None = None
) -> AsyncIterator[Client]:
    """``key``: the server's own, for its operator (`app.auth.operator`)."""

    async def with_pass(request: aiohttp.ClientRequest, ask: Ask) -> aiohttp.ClientResponse:
        if key is not None:
            request.headers["Authorization"] = f"Bearer {make_pass(key)}"
        return await ask(request)

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    # A finished job's transcript is one line of its stream.
    async with aiohttp.ClientSession(
        f"{server}/",
        timeout=timeout,
        read_bufsize=1 << 26,
        headers={"Authorization": f"Bearer {token}"} if token else None,
        middlewares=[with_pass],
    ) as session:
        yield Client(session)
