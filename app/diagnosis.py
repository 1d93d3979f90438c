"""``whisperbox doctor``: what this box has, what is wrong with it, and what to do about that."""

import os
import platform
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from actors.diarization import voices
from actors.models import devices, processors
from actors.models.devices import Build
from actors.models.sources import SPEAKERS
from actors.models.vram import Gpu
from actors.models.weights import inspect
from app.configure import configure
from app.settings import Settings
from storage.errors import Invalid, Unusable

LITTLE_DISK = 5 << 30


@dataclass(frozen=True)
class Finding:
    """``cure`` is what to do, where something is wrong."""

    subject: str
    found: str
    cure: str | None = None


def examine(settings: Settings) -> Iterator[Finding]:
    cores = processors.usable_cores()
    yield Finding("python", f"{platform.python_version()} on {platform.machine()}")
    yield Finding("cpu", f"{cores} physical cores for us, {os.cpu_count()} logical in all")
    try:
        build = devices.examine(str(settings.engine.cuda_device))
    except devices.EngineUnusable as error:
        yield Finding("engine", f"does not run: {error}", "install again")
    else:
        yield _engine(build)
        yield _gpu(settings, build)
    yield from _models(settings)
    yield _speakers(settings)
    yield _disk("data", settings.server.data_dir)
    yield _disk("models", settings.models.whisper_models_dir)
    yield _port(settings)


def _engine(build: Build) -> Finding:
    cure = None
    if "AVX2" not in build.flags and platform.machine() == "x86_64" and not build.gpus:
        cure = "this build has no AVX2: it will be slow; build pywhispercpp from source"
    return Finding("engine", f"for {', '.join(build.backends)}; {build.flags}", cure)


def _gpu(settings: Settings, build: Build) -> Finding:
    gpu = Gpu(settings.engine.cuda_device)
    vram = gpu.vram()
    if build.gpus:
        name, memory_mb = build.gpus[0].description, build.gpus[0].memory_mb
        if vram:
            return Finding("gpu", f"{name}, {vram.free_mb} of {vram.total_mb} MiB free")
        memory = f"{memory_mb} MiB" if memory_mb else "memory shared with the system"
        return Finding("gpu", f"{name}, {memory}; NVML does not know it: nobody asks what is free")
    found = f"{gpu.name()}, not used" if vram else "none; the CPU does the work"
    cure = None
    if settings.engine.whisper_device not in (("cpu",) if vram else ("cpu", "auto")):
        cure = "the engine is built for the CPU alone: see 'GPU' in README.md"
        if build.supports_gpus:
            cure = "the engine finds none: is its driver there, and as new as the engine's build?"
    return Finding("gpu", found, cure)


def _models(settings: Settings) -> Iterator[Finding]:
    try:
        catalogue = configure(settings).catalogue
    except Unusable as error:
        yield Finding("settings", str(error), "put that right: the server does not start with it")
        return
    model = catalogue.find(catalogue.default)
    if not model.path.exists():
        cure = None if model.can_be_pulled else f"put a ggml file at {model.path}"
        yield Finding("model", f"{model.name}: not there yet, the first load downloads it", cure)
    for each in {model.path: model, **{m.path: m for m in catalogue.installed()}}.values():
        if each.path.exists():
            yield _weights(each.name, each.path)


def _speakers(settings: Settings) -> Finding:
    if not settings.diarization.diarization:
        return Finding("speakers", "not told apart: DIARIZATION is off")
    if not voices.installed():
        return Finding(
            "speakers",
            "told apart by their channels alone; "
            "pip install 'whisperbox[diarization]' adds their voices",
        )
    models = settings.models.whisper_models_dir.absolute() / SPEAKERS
    if voices.complete(models):
        return Finding("speakers", f"told apart by their voices: {models}")
    return Finding("speakers", "told apart by their voices: the first use downloads the models")


def _weights(name: str, path: Path) -> Finding:
    try:
        weights = inspect(path)
    except Invalid as error:
        return Finding(
            "model", error.message, f"remove {path}, then `whisperbox models pull {name}`"
        )
    return Finding("model", f"{name}: {path}, needs {weights.memory_mb} MiB")


def _disk(what: str, folder: Path) -> Finding:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        variable = "DATA_DIR" if what == "data" else "WHISPER_MODELS_DIR"
        return Finding(what, f"{folder} cannot be written", f"set {variable} to another folder")
    free = shutil.disk_usage(there).free
    cure = (
        "make room: uploads are refused when the disk is nearly full"
        if free < LITTLE_DISK
        else None
    )
    return Finding(what, f"{folder.absolute()}, {free / 2**30:.1f} GiB free", cure)


def _port(settings: Settings) -> Finding:
    six = ":" in settings.server.host
    where = (
        f"[{settings.server.host}]:{settings.server.port}"
        if six
        else f"{settings.server.host}:{settings.server.port}"
    )
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.server.host, settings.server.port))
        except OSError:
            pass
        else:
            return Finding("server", f"not running; {where} is free")
    try:
        urllib.request.urlopen(f"http://{where}/livez", timeout=2).close()
    except (OSError, urllib.error.URLError):
        return Finding("server", f"{where} is taken by another program", "set PORT to another")
    return Finding("server", f"running on {where}")
