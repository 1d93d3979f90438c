"""What the command line shows while a file becomes a transcript."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from app.cli.client import Client, ServerSaid
from app.transcripts.formats import clock

# Progress goes to stderr, so that stdout holds the transcript and nothing else.
terminal = Console(stderr=True, highlight=False)


def complain(sentence: str) -> None:
    terminal.print(f"whisperbox: {sentence}", style="red", markup=False, soft_wrap=True)


def bar() -> Progress:
    return Progress(
        TextColumn("{task.fields[name]}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.description}"),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        console=terminal,
    )


async def transcribe(
    client: Client, path: Path, fields: Mapping[str, str], progress: Progress, *, live: bool
) -> dict[str, Any]:
    """Submit a file and follow it to its end; returns the job.

    ``live`` prints each segment above the bar as it comes.

    Raises:
        ServerSaid: with the server's sentence about what went wrong.
    """
    task = progress.add_task("sending", total=100, name=path.name)
    try:
        return await _transcribed(client, path, fields, progress, task, live=live)
    except ServerSaid:
        progress.update(task, description="failed")
        progress.stop_task(task)
        raise


async def _transcribed(
    client: Client,
    path: Path,
    fields: Mapping[str, str],
    progress: Progress,
    task: TaskID,
    *,
    live: bool,
) -> dict[str, Any]:
    while isinstance(answer := await client.submit(path, fields), int):
        await _await_model(client, answer, progress, task)
    async with _cancelling(client, answer):
        place = await client.before(answer)
        waiting = f"waiting for {place} before it" if place else "waiting"
        progress.update(task, description=waiting)
        async for name, data in client.follow(answer):
            match name:
                case "progress":
                    at = f"chunk {data['chunk']} of {data['chunks_total']}"
                    progress.update(task, completed=data["percent"], description=at)
                case "segment" if live:
                    progress.console.print(_line(data["segment"]))
                case "error":
                    raise ServerSaid(data["message"])
                case "done":
                    progress.update(task, completed=100, description=data["job"]["status"])
                    job: dict[str, Any] = data["job"]
                    return job
    raise AssertionError("a stream ends with its last event")


async def _await_model(client: Client, most_secs: int, progress: Progress, task: TaskID) -> None:
    async for state in client.model_ready(most_secs):
        progress.update(task, description=f"model {state.replace('_', ' ')}")
        if state == "unloaded":
            problem = (await client.get("/model/status")).get("error")
            if problem:
                raise ServerSaid(problem)


@asynccontextmanager
async def _cancelling(client: Client, job_id: str) -> AsyncIterator[None]:
    """Whoever presses Ctrl-C wants the job to end, too."""
    try:
        yield
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True), anyio.move_on_after(2):
            await client.end(job_id)
        raise


def _line(segment: Mapping[str, Any]) -> str:
    return f"[dim]{clock(segment['start'])[3:]}[/]  {escape(segment['text'])}"
