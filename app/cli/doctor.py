"""``whisperbox doctor``"""

import argparse

from rich.console import Console

from app.cli.arguments import Subcommands, add_command
from app.settings import Settings


def add(commands: Subcommands) -> None:
    add_command(
        commands, "doctor", _run, "Say what this box has, what is wrong, and what to do about it."
    )


def _run(_: argparse.Namespace, settings: Settings) -> int:
    from app.diagnosis import examine  # the server's weight, which no other command needs

    out, wrong = Console(highlight=False), 0
    for finding in examine(settings):
        mark = "[red]✗[/]" if finding.cure else "[green]✓[/]"
        out.print(mark, f"{finding.subject:8}", end=" ")
        out.print(finding.found, markup=False, soft_wrap=True)
        if finding.cure:
            wrong += 1
            cure = "           → " + finding.cure
            out.print(cure, markup=False, style="yellow", soft_wrap=True)
    return 1 if wrong else 0
