"""``whisperbox transcribe``"""

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import msgspec

from app.cli.arguments import Subcommands, add_command, add_server, key_of, server_of
from app.cli.client import ServerSaid, connect
from app.cli.terminal import bar, complain, transcribe
from app.services.recordings import ENDINGS
from app.settings import Settings
from app.transcripts.formats import FORMATS
from storage.errors import Unusable
from storage.records import Quality, Segment, Word

STDIN = Path("-")


def add(commands: Subcommands) -> None:
    files = add_command(
        commands,
        "transcribe",
        _run,
        "Send files to a server and get their transcripts.",
        [
            "transcribe interview.mp3",
            "transcribe -f srt -o subtitles films/",
            "transcribe --language de --translate rede.opus > speech.txt",
            "transcribe - < interview.mp3",
        ],
    )
    files.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a file, a folder, or - for stdin"
    )
    files.add_argument(
        "-f", "--format", choices=[*FORMATS, "json"], default="txt", help="txt if nothing is said"
    )
    files.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="write FILE.txt, FILE.srt … there instead of to the terminal",
    )
    files.add_argument("--force", action="store_true", help="write over files in DIR")
    files.add_argument("-l", "--language", help="ISO 639-1 code; left out, it is detected")
    files.add_argument("--translate", action="store_true", help="translate to English")
    files.add_argument("--words", action="store_true", help="with the time of each word, in JSON")
    files.add_argument("--prompt", help="names and words to expect")
    files.add_argument("--quality", choices=[*Quality], help="balanced, if it is left out")
    files.add_argument("--model", help="a model's name, if not the server's own")
    add_server(files)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    with _standard_input(args):
        return _transcribe(args, settings)


@contextmanager
def _standard_input(args: argparse.Namespace) -> Iterator[None]:
    """Put a file in the place of ``-``: what is sent may have to be sent again."""
    args.stdin_folder = None
    if STDIN not in args.files:
        yield
        return
    with TemporaryDirectory() as folder:
        args.stdin_folder = Path(folder)
        file = args.stdin_folder / "stdin"
        with file.open("wb") as content:
            shutil.copyfileobj(sys.stdin.buffer, content)
        args.files = [file if path == STDIN else path for path in args.files]
        yield


def _transcribe(args: argparse.Namespace, settings: Settings) -> int:
    files = dict(_files(args.files))
    if not files:
        raise Unusable("there is no audio or video in what you named")
    key = key_of(args, settings)
    args.server = server_of(args, settings)
    if args.output:
        files = _apart(files, args.format)
        there = [target for target in files.values() if (args.output / target).exists()]
        if there and not args.force:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise Unusable(
                f"{args.output / there[0]}{more} exists: --force writes over it, or choose "
                "another folder with -o"
            )
        try:
            for target in files.values():
                (args.output / target).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unusable(f"cannot write to {args.output}: {error.strerror}") from error
    return anyio.run(_transcribe_all, args, key, files)


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


async def _transcribe_all(
    args: argparse.Namespace, key: bytes | None, files: Mapping[Path, Path]
) -> int:
    fields = {
        "language": args.language,
        "task": "translate" if args.translate else None,
        "word_timestamps": "true" if args.words else None,
        "prompt": args.prompt,
        "quality": args.quality,
        "model": args.model,
    }
    given = {key: value for key, value in fields.items() if value}
    failures = 0
    async with connect(args.server, args.token, key) as client:
        with bar() as progress:
            for path, target in files.items():
                try:
                    job = await transcribe(client, path, given, progress, live=False)
                    _put(args, path, target, job, titled=len(files) > 1)
                except ServerSaid as error:
                    failures += 1
                    shown = path.name if path.parent == args.stdin_folder else path
                    complain(f"{shown}: {error}")
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
            found = sorted(p for p in path.rglob("*") if p.suffix[1:].lower() in ENDINGS)
            yield from ((file, file.relative_to(path)) for file in found)
        elif path.exists():
            yield path, Path(path.name)
        else:
            raise Unusable(f"there is no file {path}")
