"""The ``whisperbox`` command."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table

from actors.engine.catalogue import DEMO, NAMES, SPEAKERS, Catalogue, Model
from actors.engine.pulling import PullFailed, pull
from app import people
from app.access import PERMISSIONS, SCOPES
from app.client import ServerSaid, connect
from app.settings import Settings
from app.show import bar, terminal, transcribe
from app.transcripts import FORMATS
from storage.backup import backup
from storage.errors import Refusal, Unusable
from storage.records import Segment, Status, Word

WIDTHS = {"id": 36, "status": 9, "%": 3}
"""Of columns that are never cut, however narrow the terminal."""
PIPE_WIDTH = 400
MEDIA = frozenset(
    ".aac .ac3 .aif .aiff .amr .avi .flac .m4a .m4b .mka .mkv .mov .mp3 .mp4 .mpg .oga .ogg .opus "
    ".ts .wav .webm .wma".split()
)
"""What is taken from a folder. A file that is named is always taken."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 1 where something failed, 2 for wrong usage."""
    args = _parser().parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ)
        if "token" in args:
            args.token = args.token or settings.whisperbox_token
        status: int = args.run(args, settings)
        return status
    except (Unusable, ServerSaid) as error:
        _complain(str(error))
    except Refusal as error:
        _complain(error.message)
    except aiohttp.ClientConnectorError:
        _complain(
            f"no server answers at {args.server}: start one with `whisperbox serve`, "
            "or name another with --server"
        )
    except KeyboardInterrupt:
        terminal.print("interrupted")
        return 130
    return 1


def _complain(sentence: str) -> None:
    terminal.print(f"whisperbox: {sentence}", style="red", markup=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="whisperbox",
        description="Turn speech into text on your own box.",
        epilog="The server is set up by environment variables; docs/guide.md lists them all.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int], about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(run=run)
        return made

    command("serve", _serve, "Run the server until it is stopped.")

    files = command("transcribe", _transcribe, "Send files to a server and get their transcripts.")
    files.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a file, or a folder")
    files.add_argument("-f", "--format", choices=[*FORMATS, "json"], default="txt")
    files.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="write FILE.txt, FILE.srt … there instead of to the terminal",
    )
    files.add_argument("-l", "--language", help="ISO 639-1 code; left out, it is detected")
    files.add_argument("--translate", action="store_true", help="translate to English")
    files.add_argument("--words", action="store_true", help="with the time of each word, in JSON")
    files.add_argument("--prompt", help="names and words to expect")
    files.add_argument("--model", help="a model's name, if not the server's own")
    _with_server(files)

    jobs = command("jobs", _jobs, "List a server's jobs, newest first.")
    jobs.add_argument("--status", choices=[status.value for status in Status])
    jobs.add_argument("-n", "--limit", type=int, default=20)
    _with_server(jobs)

    models = commands.add_parser(
        "models", help="List, download or remove models.", description="Models on this box."
    ).add_subparsers(title="commands", required=True, metavar="COMMAND")
    models.add_parser("list", help="names that can be used").set_defaults(run=_models_list)
    for name, run, about in (
        ("pull", _models_pull, "download a model, or go on with a download"),
        ("rm", _models_rm, "remove a downloaded model"),
    ):
        one = models.add_parser(name, help=about, description=about)
        one.add_argument(
            "name", metavar="NAME", help=f"as `list` shows it; {SPEAKERS}: to tell voices apart"
        )
        one.set_defaults(run=run)

    _add_people(commands)

    command("doctor", _doctor, "Say what this box has, what is wrong, and what to do about it.")

    copy = command(
        "backup",
        _backup,
        "Write a consistent copy of the database and of the recordings of jobs that are not over, "
        "also while they are in use.",
    )
    copy.add_argument("file", type=Path, metavar="FILE", help="a tar archive to write")
    return parser


def _add_people(commands: Any) -> None:
    def group(name: str, about: str) -> Any:
        made = commands.add_parser(name, help=about, description=about)
        return made.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(of: Any, name: str, run: Callable[..., Any], about: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = of.add_parser(name, help=about, description=about)
        made.set_defaults(run=people.command(run))
        return made

    users = group("user", "Accounts: who may sign in, and what they may do.")
    add = command(users, "add", people.add_user, "make an account")
    add.add_argument("email")
    add.add_argument("--admin", action="store_true", help="may do everything")
    _with_permissions(add, "--grant", action="append", default=[], metavar="PERMISSION")
    _with_password(add)
    command(users, "list", people.list_users, "everybody, and what they may do")
    _with_password(_with_email(command(users, "passwd", people.set_password, "set a password")))
    for name, run, about in (
        ("grant", people.grant, "let somebody do more"),
        ("revoke", people.revoke, "let somebody do less"),
    ):
        one = _with_email(command(users, name, run, about))
        _with_permissions(one, "permissions", nargs="+", metavar="PERMISSION")
    _with_email(command(users, "disable", people.disable, "lock somebody out, at once"))
    _with_email(command(users, "enable", people.enable, "let somebody in again"))

    tokens = group("token", "Keys for programs.")
    create = command(tokens, "create", people.create_token, "make a token, and print it this once")
    create.add_argument("email", help="whose it is")
    create.add_argument("--scope", action="append", choices=list(SCOPES), required=True)
    create.add_argument("--name", default="", help="what it is for")
    create.add_argument("--expires-days", type=float, metavar="DAYS", help="left out: never")
    listed = command(tokens, "list", people.list_tokens, "everybody's tokens, or somebody's")
    listed.add_argument("email", nargs="?")
    revoke = command(tokens, "revoke", people.revoke_token, "end a token, at once")
    revoke.add_argument("number", type=int, help="as `token list` shows it")


def _with_email(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("email")
    return parser


def _with_permissions(parser: argparse.ArgumentParser, name: str, **how: Any) -> None:
    parser.add_argument(name, choices=list(PERMISSIONS), help=", ".join(PERMISSIONS), **how)


def _with_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input instead of asking for it",
    )


def _with_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server", metavar="URL", help="the server's address (by default from HOST and PORT)"
    )
    parser.add_argument(
        "--token", help="where the server wants one (by default WHISPERBOX_TOKEN)", metavar="TOKEN"
    )


def _serve(_: argparse.Namespace, settings: Settings) -> int:
    from app.main import run  # the server's weight, which no other command needs

    return run(settings)


def _transcribe(args: argparse.Namespace, settings: Settings) -> int:
    files = dict(_files(args.files))
    if not files:
        raise Unusable("there is no audio or video in what you named")
    args.server = _server(args, settings)
    if args.output:
        files = _apart(files, args.format)
        try:
            for target in files.values():
                (args.output / target).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unusable(f"cannot write to {args.output}: {error.strerror}") from error
    return anyio.run(_transcribe_all, args, files)


def _apart(files: Mapping[Path, Path], form: str) -> dict[Path, Path]:
    """Where each transcript goes: ``talk.srt``, or ``talk.mp3.srt`` beside another talk's.

    Raises:
        Unusable: two would be one file even so.
    """
    short = {path: place.with_suffix(f".{form}") for path, place in files.items()}
    taken = Counter(short.values())
    chosen = {
        path: place.with_name(f"{place.name}.{form}") if taken[short[path]] > 1 else short[path]
        for path, place in files.items()
    }
    for target, count in Counter(chosen.values()).items():
        if count > 1:
            both = " and ".join(str(path) for path in chosen if chosen[path] == target)
            raise Unusable(f"{both} would be one transcript, {target}: name the folder they are in")
    return chosen


async def _transcribe_all(args: argparse.Namespace, files: Mapping[Path, Path]) -> int:
    fields = {
        "language": args.language,
        "task": "translate" if args.translate else None,
        "word_timestamps": "true" if args.words else None,
        "prompt": args.prompt,
        "model": args.model,
    }
    given = {key: value for key, value in fields.items() if value}
    failures = 0
    async with connect(args.server, args.token) as client:
        with bar() as progress:
            for path, target in files.items():
                try:
                    job = await transcribe(client, path, given, progress, live=False)
                    _put(args, path, target, job, titled=len(files) > 1)
                except ServerSaid as error:
                    failures += 1
                    _complain(f"{path}: {error}")
    return 1 if failures else 0


def _put(
    args: argparse.Namespace, path: Path, target: Path, job: dict[str, Any], *, titled: bool
) -> None:
    text = _written(args.format, job)
    if args.output:
        (args.output / target).write_text(text)
    else:
        title = f"==> {path} <==\n" if titled else ""
        sys.stdout.write(title + text)
        sys.stdout.flush()


def _written(form: str, job: dict[str, Any]) -> str:
    if form == "json":
        return json.dumps(job, ensure_ascii=False, indent=2) + "\n"
    segments = [
        Segment(
            index=s["index"],
            start=s["start"],
            end=s["end"],
            text=s["text"],
            words=tuple(msgspec.convert(word, Word) for word in s["words"]),
        )
        for s in job["segments"]
    ]
    return FORMATS[form][0](segments)


def _files(named: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Each file, and its path within the folder that was named.

    Raises:
        Unusable: a path does not exist.
    """
    for path in named:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in MEDIA)
            yield from ((file, file.relative_to(path)) for file in found)
        elif path.exists():
            yield path, Path(path.name)
        else:
            raise Unusable(f"there is no file {path}")


def _jobs(args: argparse.Namespace, settings: Settings) -> int:
    args.server = _server(args, settings)
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


def _models_list(_: argparse.Namespace, settings: Settings) -> int:
    catalogue = Catalogue(settings.whisper_models_dir.absolute())
    there = {model.name: model for model in catalogue.installed()}
    table = Table("name", "on this box", box=None)
    for name in (DEMO, *NAMES, *sorted(there.keys() - set(NAMES))):
        model = catalogue.find(name)
        size = f"{model.path.stat().st_size / 2**20:,.0f} MiB" if model.path.exists() else ""
        table.add_row(name, size)
    voices = [model.path for model in catalogue.voices()]
    there_too = [path.stat().st_size for path in voices if path.exists()]
    complete = len(there_too) == len(voices)
    table.add_row(SPEAKERS, f"{sum(there_too) / 2**20:,.0f} MiB" if complete else "")
    Console().print(table)
    return 0


def _models_pull(args: argparse.Namespace, settings: Settings) -> int:
    for model in _models_named(args.name, settings):
        if model.path.exists() or not model.can_be_pulled:
            terminal.print(f"{model.name} is on this box: {model.path}")
            continue
        try:
            anyio.run(_pull_shown, model)
        except PullFailed as error:
            raise Unusable(error.message) from error
        except OSError as error:
            where = f"WHISPER_MODELS_DIR {settings.whisper_models_dir}"
            raise Unusable(f"cannot write to {where}: {error.strerror}") from error
        terminal.print(f"{model.name}: {model.path}")
    return 0


def _models_named(name: str, settings: Settings) -> list[Model]:
    """One, or the two that tell voices apart."""
    catalogue = Catalogue(settings.whisper_models_dir.absolute())
    return catalogue.voices() if name == SPEAKERS else [catalogue.find(name)]


async def _pull_shown(model: Model) -> None:
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress("{task.description}", *columns, console=terminal) as progress:
        task = progress.add_task(model.name, total=None)
        await pull(model, lambda done, total: progress.update(task, completed=done, total=total))


def _models_rm(args: argparse.Namespace, settings: Settings) -> int:
    there = [m for m in _models_named(args.name, settings) if m.name != DEMO and m.path.exists()]
    if not there:
        raise Unusable(f"{args.name} has not been downloaded to {settings.whisper_models_dir}")
    for model in there:
        model.path.unlink()
        terminal.print(f"removed {model.path}")
    return 0


def _doctor(_: argparse.Namespace, settings: Settings) -> int:
    from app.doctor import examine

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


def _backup(args: argparse.Namespace, settings: Settings) -> int:
    size = backup(settings.data_dir, args.file)
    terminal.print(f"wrote {args.file}, {size / 2**20:.1f} MiB; unpack it into an empty DATA_DIR")
    return 0


def _server(args: argparse.Namespace, settings: Settings) -> str:
    """
    Raises:
        Unusable: what --server names is no address.
    """
    if args.server is None:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{settings.port}"
    parts = urlsplit(args.server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unusable(f"--server is '{args.server}', but must be like http://127.0.0.1:8080")
    return str(args.server)


if __name__ == "__main__":
    sys.exit(main())
