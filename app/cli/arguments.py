"""Arguments that several commands have."""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

from app.settings import Settings
from storage.accounts import SESSIONS_KEY, key_in
from storage.database import DATABASE
from storage.errors import Unusable


class Subcommands(Protocol):
    """What `argparse.ArgumentParser.add_subparsers` gives."""

    def add_parser(self, name: str, **how: Any) -> argparse.ArgumentParser: ...


class Parser(argparse.ArgumentParser):
    """An argparse parser that suggests a word for one with a typing error."""

    def __init__(self, **how: Any) -> None:
        form = partial(argparse.RawDescriptionHelpFormatter, max_help_position=26)
        super().__init__(formatter_class=form, **how)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = [str(choice) for choice in action.choices or ()]
        if action.choices is None or value in action.choices:
            return
        alike = get_close_matches(str(value), choices, 1)
        hint = f"did you mean '{alike[0]}'?" if alike else f"choose from {', '.join(choices)}"
        raise argparse.ArgumentError(action, f"there is no '{value}': {hint}")

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument COMMAND: ")
        self.exit(2, f"{self.prog}: {message}\n{self.prog} --help says more\n")


def add_command(
    commands: Subcommands, name: str, run: Any, about: str, examples: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """A command that runs ``run(args, settings)``, which returns the exit status."""
    made = commands.add_parser(name, help=about, description=about, epilog=epilog(examples))
    made.set_defaults(run=run)
    return made


def add_group(
    commands: Subcommands, name: str, about: str, examples: Sequence[str] = ()
) -> Subcommands:
    """A command that has commands of its own; alone it prints its help."""
    made = commands.add_parser(name, help=about, description=about, epilog=epilog(examples))
    print_help_alone(made)
    return made.add_subparsers(title="commands", metavar="COMMAND")


def print_help_alone(parser: argparse.ArgumentParser) -> None:
    def run(*_: object) -> int:
        parser.print_help()
        return 0

    parser.set_defaults(run=run)


def epilog(examples: Sequence[str]) -> str | None:
    lines = [f"  whisperbox {example}" for example in examples]
    return "\n".join(["examples:", *lines]) if lines else None


def add_server(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """``again``: the command before this one takes them, too."""
    default = argparse.SUPPRESS if again else None
    parser.add_argument(
        "--server",
        metavar="URL",
        default=default,
        help="the server's address (default: from HOST and PORT)",
    )
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        default=default,
        help="if the server requires one (default: WHISPERBOX_TOKEN; on the server's own box, who "
        "can read DATA_DIR needs none)",
    )


def key_of(args: argparse.Namespace, settings: Settings) -> bytes | None:
    """The key of this box's own server, where the command may read its data and has no token."""
    if args.server is not None or args.token is not None:
        return None
    return key_in(settings.server.data_dir / DATABASE, SESSIONS_KEY)


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
    return str(args.server).rstrip("/").removesuffix("/v1")
