"""``whisperbox backup``"""

import argparse
from pathlib import Path

from app.cli.arguments import Subcommands, add_command
from app.cli.terminal import terminal
from app.settings import Settings
from storage.backup import backup
from storage.data_folder import make_private


def add(commands: Subcommands) -> None:
    command = add_command(
        commands,
        "backup",
        _run,
        "Write a consistent copy of the database and of the recordings of jobs that are not over, "
        "also while they are in use.",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="a tar archive to write")


def _run(args: argparse.Namespace, settings: Settings) -> int:
    make_private()
    written = backup(settings.server.data_dir, args.file)
    mebibytes = written.size / 2**20
    terminal.print(f"wrote {args.file}, {mebibytes:.1f} MiB; unpack it into an empty DATA_DIR")
    if written.left_out:
        terminal.print(
            "left out, because the jobs ended and their recordings were deleted meanwhile: "
            + ", ".join(written.left_out)
        )
    return 0
