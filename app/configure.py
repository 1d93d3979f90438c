"""From the settings and this box to a configuration."""

from pathlib import Path

from actors.engine.settings import EngineSettings
from actors.models import devices, processors
from actors.models.catalogue import Catalogue, named_by, suitable_model
from actors.models.devices import Device
from actors.models.settings import ModelSettings
from actors.models.vram import Gpu
from actors.system import Configuration
from app.settings import Settings
from storage.errors import Invalid, Unusable


def configure(settings: Settings) -> Configuration:
    """
    Raises:
        Unusable: the settings ask for what this box does not have, or contradict each other.
    """
    _check_language_model(settings)
    gpu = Gpu(settings.engine.cuda_device)
    device = _device(settings.engine)
    threads = settings.engine.whisper_cpu_threads or processors.usable_cores()
    memory_mb = _memory_mb(device, gpu) if device else None
    model, files = _default_model(settings.models, memory_mb, threads)
    catalogue = Catalogue(
        settings.models.whisper_models_dir.absolute(),
        files,
        aliases=dict(settings.models.model_aliases),
        default=model,
    )
    try:
        catalogue.find(model)
    except Invalid as error:
        raise Unusable(f"WHISPER_MODEL: {error.message}") from None
    return Configuration(
        data_dir=settings.server.data_dir.absolute(),
        catalogue=catalogue,
        gpu=gpu,
        device=device,
        threads=threads,
        models=settings.models,
        engine=settings.engine,
        fetch=settings.fetch,
        webhooks=settings.webhooks,
        language_model=settings.language_model,
        diarization=settings.diarization,
        retention=settings.retention,
    )


def cookie_lines(settings: Settings) -> int | None:
    """Lines of the cookie file for web pages; None where none is set.

    Raises:
        Unusable: it cannot be read.
    """
    file = settings.fetch.fetch_cookies
    try:
        return len(file.read_text().splitlines()) if file else None
    except OSError as error:
        raise Unusable(f"cannot read FETCH_COOKIES {file}: {error.strerror}") from None


def _check_language_model(settings: Settings) -> None:
    given = settings.language_model
    if not given.present and (given.openai_base_url or given.openai_api_key):
        raise Unusable("OPENAI_MODEL is not set, but OPENAI_BASE_URL or OPENAI_API_KEY is")


def _default_model(
    settings: ModelSettings, memory_mb: int | None, threads: int
) -> tuple[str, dict[str, Path]]:
    """The default model's name, and its file where the settings give one."""
    wanted, path = settings.whisper_model, settings.whisper_model_path
    if wanted is not None and ("/" in wanted or wanted.endswith(".bin")):
        path, wanted = path or Path(wanted), None
    if path is not None:
        name = wanted or named_by(path)
        return name, {name: path.expanduser().absolute()}
    return wanted or suitable_model(memory_mb, threads), {}


def _device(settings: EngineSettings) -> Device | None:
    """The GPU that the engine is to take, if any."""
    wanted = settings.whisper_device
    if wanted == "cpu":
        return None
    try:
        build = devices.examine(str(settings.cuda_device))
    except devices.EngineUnusable as error:
        raise Unusable(f"the engine does not run here: {error}") from None
    if build.gpus or wanted == "auto":
        return build.gpus[0] if build.gpus else None
    if not build.supports_gpus:
        raise Unusable(
            f"WHISPER_DEVICE is {wanted}, but this engine is built for the CPU alone: "
            "see 'GPU' in README.md, or set WHISPER_DEVICE to cpu"
        )
    raise Unusable(
        f"WHISPER_DEVICE is {wanted}, but the engine finds no GPU here: check its driver, "
        "or set WHISPER_DEVICE to auto"
    )


def _memory_mb(device: Device, gpu: Gpu) -> int | None:
    vram = gpu.vram()
    return vram.total_mb if vram else device.memory_mb
