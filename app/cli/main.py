"""The ``whisperbox`` command: one module for each of its commands."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import metadata

import aiohttp

from app.cli import backup, doctor, jobs, models, serve, token, transcribe, user
from app.cli.arguments import Parser, epilog, print_help_alone
from app.cli.client import ServerSaid
from app.cli.terminal import complain, terminal
from app.settings import Settings
from storage.errors import Refusal, Unusable

COMMANDS = (serve, transcribe, jobs, models, user, token, doctor, backup)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 1 where something failed, 2 for wrong usage."""
    args = _parser().parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ)
        if "token" in args:
            args.token = args.token or settings.access.whisperbox_token
        status: int = args.run(args, settings)
        return status
    except (Unusable, ServerSaid) as error:
        complain(str(error))
    except Refusal as error:
        complain(error.message)
    except aiohttp.ClientConnectorError:
        complain(
            f"no server answers at {args.server}: start one with `whisperbox serve`, "
            "or name another with --server"
        )
    except aiohttp.ClientError:
        complain(f"what answers at {args.server} is no Whisperbox server")
    except KeyboardInterrupt:
        terminal.print("interrupted")
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="whisperbox",
        description="Turn speech into text on your own box.",
        epilog="The server is set up by environment variables; docs/guide.md lists them all.\n\n"
        f"{epilog(('serve', 'transcribe interview.mp3', 'jobs'))}",
    )
    version = metadata.version("whisperbox")
    parser.add_argument("--version", action="version", version=f"whisperbox {version}")
    print_help_alone(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
