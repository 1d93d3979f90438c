"""``whisperbox models list|pull|rm``"""

import argparse
import shutil
from pathlib import Path

import anyio
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table

from actors.models.catalogue import DEMO, Catalogue, Model
from actors.models.downloads import PullFailed, pull
from actors.models.sources import NAMES, SPEAKERS, download_mib, knows_only_english
from app.cli.arguments import Subcommands, add_command, add_group
from app.cli.terminal import terminal
from app.configure import configure
from app.settings import Settings
from storage.errors import Unusable


def add(commands: Subcommands) -> None:
    models = add_group(
        commands,
        "models",
        "List, download or remove models.",
        ["models list", "models pull small", "models rm small"],
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
    catalogue = configure(settings).catalogue
    default = catalogue.find(catalogue.default)
    table = Table("", "name", "on this box", "download", "form", "languages", box=None)
    models = {
        each.name: each
        for each in (default, catalogue.find(DEMO), *catalogue.installed(), *catalogue.pullable())
    }
    for model in sorted(models.values(), key=_place):
        mib = download_mib(model.name)
        table.add_row(
            "*" if model.name == default.name else "",
            model.name,
            _size(model.path),
            f"{mib:,} MiB" if mib else "",
            model.form,
            _languages(model.name),
        )
    table.add_row("", SPEAKERS, _size(*(model.path for model in catalogue.voices())), "", "ONNX")
    Console().print(table)
    Console().print(" * the default model. Sizes of downloads are approximate.", style="dim")
    return 0


def _place(model: Model) -> tuple[int, str]:
    """The known names stand in their own order, from small to large; others before them."""
    return (NAMES.index(model.name) if model.name in NAMES else -1), model.name


def _languages(name: str) -> str:
    if name == DEMO:
        return "English, German"
    if knows_only_english(name):
        return "English"
    return "about 100" if name in NAMES else ""


def _size(*paths: Path) -> str:
    """The size of these files and folders together; empty unless all are there."""
    if not all(path.exists() for path in paths):
        return ""
    files = (file for path in paths for file in (path.iterdir() if path.is_dir() else [path]))
    return f"{sum(file.stat().st_size for file in files) / 2**20:,.0f} MiB"


def _pull(args: argparse.Namespace, settings: Settings) -> int:
    configuration = configure(settings)
    for model in _named(args.name, configuration.catalogue):
        if model.path.exists() or not model.can_be_pulled:
            terminal.print(f"{model.name} is on this box: {model.path}")
            continue
        _say_what_fits(model, configuration.suitable_model)
        try:
            anyio.run(_pull_shown, model)
        except PullFailed as error:
            raise Unusable(error.message) from error
        except OSError as error:
            where = f"WHISPER_MODELS_DIR {settings.models.whisper_models_dir}"
            raise Unusable(f"cannot write to {where}: {error.strerror}") from error
        terminal.print(f"{model.name}: {model.path}")
    return 0


def _say_what_fits(model: Model, suitable: str) -> None:
    """Say before a long download if the model is larger than the one that suits this box."""
    size, fitting = download_mib(model.name), download_mib(suitable)
    if size and fitting and size > fitting:
        terminal.print(
            f"{model.name} is larger than {suitable}, which suits this box: it will be slower"
        )


def _named(name: str, catalogue: Catalogue) -> list[Model]:
    """One, or the two that tell voices apart."""
    return catalogue.voices() if name == SPEAKERS else [catalogue.find(name)]


async def _pull_shown(model: Model) -> None:
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress("{task.description}", *columns, console=terminal) as progress:
        task = progress.add_task(model.name, total=None)
        await pull(model, lambda done, total: progress.update(task, completed=done, total=total))


def _remove(args: argparse.Namespace, settings: Settings) -> int:
    catalogue = configure(settings).catalogue
    there = [m for m in _named(args.name, catalogue) if m.name != DEMO and m.path.exists()]
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
