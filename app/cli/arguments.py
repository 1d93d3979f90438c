"""Arguments that several commands have."""

import argparse
from typing import Any, Protocol
from urllib.parse import urlsplit

from app.settings import Settings
from storage.errors import Unusable


class Subcommands(Protocol):
    """What `argparse.ArgumentParser.add_subparsers` gives."""

    def add_parser(self, name: str, **how: Any) -> argparse.ArgumentParser: ...


def add_command(commands: Subcommands, name: str, run: Any, about: str) -> argparse.ArgumentParser:
    """A command that runs ``run(args, settings)``, which returns the exit status."""
    made = commands.add_parser(name, help=about, description=about)
    made.set_defaults(run=run)
    return made


def add_group(commands: Subcommands, name: str, about: str) -> Subcommands:
    """A command that has commands of its own."""
    made = commands.add_parser(name, help=about, description=about)
    return made.add_subparsers(title="commands", required=True, metavar="COMMAND")


def add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server", metavar="URL", help="the server's address (by default from HOST and PORT)"
    )
    parser.add_argument(
        "--token", help="where the server wants one (by default WHISPERBOX_TOKEN)", metavar="TOKEN"
    )


def server_of(args: argparse.Namespace, settings: Settings) -> str:
    """
    Raises:
        Unusable: what --server names is no address.
    """
    if args.server is None:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{settings.server.port}"
    parts = urlsplit(args.server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unusable(f"--server is '{args.server}', but must be like http://127.0.0.1:8080")
    return str(args.server)
