"""``whisperbox jobs``"""

import argparse
import sys
from typing import Any

import anyio
from rich.console import Console
from rich.table import Table

from app.cli.arguments import Subcommands, add_command, add_server, server_of
from app.cli.client import connect
from app.settings import Settings
from storage.records import Status

WIDTHS = {"id": 36, "status": 9, "%": 3}
"""Of columns that are never cut, however narrow the terminal."""
PIPE_WIDTH = 400


def add(commands: Subcommands) -> None:
    jobs = add_command(commands, "jobs", _run, "List a server's jobs, newest first.")
    jobs.add_argument("--status", choices=[status.value for status in Status])
    jobs.add_argument("-n", "--limit", type=int, default=20)
    add_server(jobs)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    args.server = server_of(args, settings)
    query = {"limit": args.limit} | ({"status": args.status} if args.status else {})

    async def ask() -> Any:
        async with connect(args.server, args.token) as client:
            return await client.get("/jobs", **query)

    table = Table(box=None)
    for column in ("id", "status", "%", "language", "seconds", "submitted", "file"):
        table.add_column(column, no_wrap=True, min_width=WIDTHS.get(column), overflow="ellipsis")
    for job in anyio.run(ask)["jobs"]:
        table.add_row(
            job["id"],
            job["status"],
            str(job["progress"]),
            job.get("language", ""),
            f"{job['duration_secs']:.1f}" if "duration_secs" in job else "",
            job["created_at"],
            job.get("filename", ""),
        )
    # A pipe has no width, and nothing is cut for it.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
    return 0
