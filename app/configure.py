"""From the settings and this box to a configuration."""

from pathlib import Path

from actors.engine.settings import EngineSettings
from actors.models import devices, processors
from actors.models.catalogue import Catalogue, named_by, suitable_models
from actors.models.devices import Device
from actors.models.settings import ModelSettings
from actors.models.sources import Form
from actors.models.vram import Gpu
from actors.system import Configuration
from app.settings import Settings
from storage.errors import Invalid, Unusable

FORMS: dict[str, tuple[Form, ...]] = {
    "auto": (),
    "whisper.cpp": (Form.GGML,),
    "ctranslate2": (Form.CTRANSLATE2,),
}
"""By the setting ENGINE."""


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
    forms = FORMS[settings.engine.engine] or _best_forms(device)
    suitable = suitable_models(memory_mb, threads, forms[0])
    catalogue = _catalogue(settings.models, forms, suitable)
    return Configuration(
        data_dir=settings.server.data_dir.absolute(),
        catalogue=catalogue,
        suitable_model=suitable[0],
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


def _best_forms(device: Device | None) -> tuple[Form, ...]:
    """On a GPU whisper.cpp comes first: CTranslate2 has not been measured there yet."""
    return (Form.GGML, Form.CTRANSLATE2) if device else (Form.CTRANSLATE2, Form.GGML)


def _catalogue(
    settings: ModelSettings, forms: tuple[Form, ...], suitable: tuple[str, ...]
) -> Catalogue:
    """``suitable``: the models that suit this box, the best first. One that is here already is
    taken before one that would have to be downloaded."""
    wanted, path = settings.whisper_model, settings.whisper_model_path
    if wanted is not None and ("/" in wanted or wanted.endswith(".bin")):
        path, wanted = path or Path(wanted), None
    folder, aliases = settings.whisper_models_dir.absolute(), dict(settings.model_aliases)
    if path is not None:
        name, path = wanted or named_by(path), path.expanduser().absolute()
        form = Form.CTRANSLATE2 if path.is_dir() else Form.GGML
        if form not in forms and path.exists():
            raise Unusable(f"ENGINE is set to one that cannot load {path}, which is {form}")
        return Catalogue(folder, {name: path}, aliases=aliases, default=name, forms=forms)
    if wanted is None:
        here = {model.name for model in Catalogue(folder, forms=forms).installed()}
        wanted = next((name for name in suitable if name in here), suitable[0])
    catalogue = Catalogue(folder, aliases=aliases, default=wanted, forms=forms)
    try:
        catalogue.find(wanted)
    except Invalid as error:
        raise Unusable(f"WHISPER_MODEL: {error.message}") from None
    return catalogue


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
