"""``whisperbox serve``"""

import argparse

from app.cli.arguments import Subcommands, add_command
from app.settings import Settings


def add(commands: Subcommands) -> None:
    add_command(
        commands,
        "serve",
        _run,
        "Run the server until it is stopped. Its settings are environment variables.",
        ["serve"],
    )


def _run(_: argparse.Namespace, settings: Settings) -> int:
    from app.main import run  # the server's weight, which no other command needs

    return run(settings)
