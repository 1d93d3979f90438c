"""``whisperbox models list|pull|rm``"""

import argparse
import shutil
from pathlib import Path

import anyio
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table

from actors.models.catalogue import DEMO, NAMES, SPEAKERS, Catalogue, Model
from actors.models.downloads import PullFailed, pull
from app.cli.arguments import Subcommands, add_command, add_group
from app.cli.terminal import terminal
from app.settings import Settings
from storage.errors import Unusable


def add(commands: Subcommands) -> None:
    models = add_group(
        commands,
        "models",
        "List, download or remove models.",
        ["models list", "models pull small-q8_0", "models rm small-q8_0"],
    )
    add_command(models, "list", _list, "names that can be used")
    for name, run, about in (
        ("pull", _pull, "download a model, or go on with a download"),
        ("rm", _remove, "remove a downloaded model"),
    ):
        add_command(models, name, run, about).add_argument(
            "name", metavar="NAME", help=f"as `list` shows it; {SPEAKERS}: to tell voices apart"
        )


def _list(_: argparse.Namespace, settings: Settings) -> int:
    catalogue = Catalogue(settings.models.whisper_models_dir.absolute())
    there = {model.name: model for model in catalogue.installed()}
    table = Table("name", "on this box", "form", box=None)
    for name in (DEMO, *NAMES, *sorted(there.keys() - set(NAMES))):
        model = catalogue.find(name)
        table.add_row(name, _size(model.path), _form(model.path))
    table.add_row(SPEAKERS, _size(*(model.path for model in catalogue.voices())), "")
    Console().print(table)
    return 0


def _size(*paths: Path) -> str:
    """The size of these files and folders together; empty unless all are there."""
    if not all(path.exists() for path in paths):
        return ""
    files = (file for path in paths for file in (path.iterdir() if path.is_dir() else [path]))
    return f"{sum(file.stat().st_size for file in files) / 2**20:,.0f} MiB"


def _form(path: Path) -> str:
    if not path.exists():
        return ""
    return "CTranslate2" if path.is_dir() else "ggml"


def _pull(args: argparse.Namespace, settings: Settings) -> int:
    for model in _named(args.name, settings):
        if model.path.exists() or not model.can_be_pulled:
            terminal.print(f"{model.name} is on this box: {model.path}")
            continue
        try:
            anyio.run(_pull_shown, model)
        except PullFailed as error:
            raise Unusable(error.message) from error
        except OSError as error:
            where = f"WHISPER_MODELS_DIR {settings.models.whisper_models_dir}"
            raise Unusable(f"cannot write to {where}: {error.strerror}") from error
        terminal.print(f"{model.name}: {model.path}")
    return 0


def _named(name: str, settings: Settings) -> list[Model]:
    """One, or the two that tell voices apart."""
    catalogue = Catalogue(settings.models.whisper_models_dir.absolute())
    return catalogue.voices() if name == SPEAKERS else [catalogue.find(name)]


async def _pull_shown(model: Model) -> None:
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress("{task.description}", *columns, console=terminal) as progress:
        task = progress.add_task(model.name, total=None)
        await pull(model, lambda done, total: progress.update(task, completed=done, total=total))


def _remove(args: argparse.Namespace, settings: Settings) -> int:
    there = [m for m in _named(args.name, settings) if m.name != DEMO and m.path.exists()]
    if not there:
        raise Unusable(
            f"{args.name} has not been downloaded to {settings.models.whisper_models_dir}"
        )
    for model in there:
        if model.path.is_dir() and not model.path.is_symlink():
            shutil.rmtree(model.path)
        else:
            model.path.unlink()
        terminal.print(f"removed {model.path}")
    return 0
