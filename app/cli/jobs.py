"""``whisperbox jobs``"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from rich.console import Console
from rich.table import Table

from app.cli.arguments import Subcommands, add_command, add_server, key_of, server_of
from app.cli.client import PAGE, Client, connect
from app.cli.terminal import terminal
from app.settings import Settings
from app.transcripts.formats import clock
from storage.errors import Unusable
from storage.records import Status

SHORT_ID = 8
"""Characters of an id that are shown: enough to tell thousands of jobs apart."""
WIDTHS = {"id": SHORT_ID, "status": 9, "%": 3}
"""Of columns that are never cut, however narrow the terminal."""
PIPE_WIDTH = 400
EXAMPLES = (
    "jobs --status running",
    "jobs show 550e8400",
    "jobs cancel 550e8400",
    "jobs rm 550e8400",
)


def add(commands: Subcommands) -> None:
    about = "List a server's jobs, newest first; or show, cancel or delete one."
    jobs = add_command(commands, "jobs", _run(_list), about, EXAMPLES)
    jobs.add_argument("--status", choices=[status.value for status in Status], help="only these")
    jobs.add_argument(
        "-n", "--limit", type=int, default=20, help="how many, up to 200 (default: 20)"
    )
    add_server(jobs)
    ones = jobs.add_subparsers(title="commands", metavar="COMMAND")
    for name, run, what in (
        ("show", _show, "show a job and its transcript"),
        ("cancel", _cancel, "cancel a job that is not over"),
        ("rm", _remove, "delete a job with its recording and its transcript"),
    ):
        one = add_command(ones, name, _run(run), what)
        one.add_argument("id", metavar="ID", help="a job's id, or how it begins")
        add_server(one, again=True)


def _run(
    work: Callable[[Client, argparse.Namespace], Awaitable[None]],
) -> Callable[[argparse.Namespace, Settings], int]:
    def run(args: argparse.Namespace, settings: Settings) -> int:
        key = key_of(args, settings)
        args.server = server_of(args, settings)

        async def ask() -> None:
            async with connect(args.server, args.token, key) as client:
                await work(client, args)

        anyio.run(ask)
        return 0

    return run


async def _list(client: Client, args: argparse.Namespace) -> None:
    if not 1 <= args.limit <= PAGE:
        raise Unusable(f"-n must be from 1 to {PAGE}")
    query = {"limit": args.limit} | ({"status": args.status} if args.status else {})
    table = Table(box=None)
    for column in ("id", "status", "%", "language", "seconds", "submitted", "file"):
        table.add_column(column, no_wrap=True, min_width=WIDTHS.get(column), overflow="ellipsis")
    jobs = (await client.get("/jobs", **query))["jobs"]
    for job in jobs:
        table.add_row(
            job["id"][:SHORT_ID],
            job["status"],
            str(job["progress"]),
            job.get("language", ""),
            f"{job['duration_secs']:.1f}" if "duration_secs" in job else "",
            job["created_at"],
            job.get("filename", ""),
        )
    # A pipe has no width, and nothing is cut for it.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
    failed = next((job["id"] for job in jobs if job["status"] == Status.FAILED), None)
    if failed:
        terminal.print(f"`whisperbox jobs show {failed[:SHORT_ID]}` says why a job failed")


async def _show(client: Client, args: argparse.Namespace) -> None:
    job = await client.get(f"/jobs/{await client.find(args.id)}")
    for line in _about(job):
        terminal.print(line, markup=False, soft_wrap=True)
    for segment in job["segments"]:
        print(f"{clock(segment['start'])}  {segment['text']}")


def _about(job: dict[str, Any]) -> list[str]:
    known = ("id", "status", "filename", "language", "duration_secs", "created_at", "error")
    lines = [f"{name.replace('_', ' '):14}{job[name]}" for name in known if name in job]
    return [*lines, *job.get("notices", ())]


async def _cancel(client: Client, args: argparse.Namespace) -> None:
    job = await client.end(await client.find(args.id))
    terminal.print(f"{job['id']} is {job['status']}")


async def _remove(client: Client, args: argparse.Namespace) -> None:
    job = await client.end(await client.find(args.id), purge=True)
    terminal.print(f"{job['id']} is deleted")
