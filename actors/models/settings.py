"""What can be set about models."""

from dataclasses import dataclass
from pathlib import Path

from actors.kernel.folders import MODELS
from actors.kernel.setting import setting


def parse_aliases(text: str) -> tuple[tuple[str, str], ...]:
    """Aliases from a text like ``large=large-v3,fast=base-q8_0``.

    Raises:
        ValueError: a part is not NAME=MODEL.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not all(part.partition("=")):
            raise ValueError(f"has '{part}', but each part must be NAME=MODEL")
    return tuple((name, model) for name, _, model in (part.partition("=") for part in parts))


@dataclass(frozen=True)
class ModelSettings:
    whisper_model: str | None = setting(
        None,
        "A model's name, the path of a ggml file or of a CTranslate2 folder, or `demo` for the "
        "bundled one. "
        "Unset: what the hardware runs well.",
    )
    whisper_model_path: Path | None = setting(
        None, "A ggml file or a CTranslate2 folder to load, whatever WHISPER_MODEL calls it."
    )
    whisper_models_dir: Path = setting(MODELS, "Where models are downloaded to.")
    model_aliases: tuple[tuple[str, str], ...] = setting(
        (("large", "large-v3"),),
        "Other names of models, as NAME=MODEL, separated by commas.",
        parse=parse_aliases,
    )
    idle_timeout_secs: float = setting(
        300, "Seconds without work after which the model is unloaded; 0 is never.", minimum=0
    )
    gpu_poll_interval_secs: int = setting(
        30, "Seconds between two looks at a GPU that has too little free memory.", minimum=1
    )
