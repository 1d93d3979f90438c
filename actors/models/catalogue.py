"""The models that can be named, where each lies, and which one fits a box."""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import msgspec

from storage.errors import Invalid

SEGMENTATION, EMBEDDING = "segmentation.onnx", "embedding.onnx"
"""The models for voices, as they lie in their folder."""
REPOSITORY = "ggerganov/whisper.cpp"
DEMO = "demo"

# whisper.cpp's names: models/download-ggml-model.sh.
_PLAIN = (
    "tiny tiny.en base base.en small small.en medium medium.en "
    "large-v1 large-v2 large-v3 large-v3-turbo"
).split()
_QUANTISED = {
    "q5_0": "medium medium.en large-v2 large-v3 large-v3-turbo".split(),
    "q5_1": "tiny tiny.en base base.en small small.en".split(),
    "q8_0": (
        "tiny tiny.en base base.en small small.en medium medium.en large-v2 large-v3-turbo"
    ).split(),
}
NAMES = (*_PLAIN, *(f"{name}-{kind}" for kind, names in _QUANTISED.items() for name in names))

TURBO_MB = 2100
"""VRAM for large-v3-turbo: 1,549 MiB of weights, 819 MiB of buffers less the shared part."""
FAST_CPU_CORES = 6


class Model(msgspec.Struct, frozen=True):
    """A model by its name, and the file that is or will be its own."""

    name: str
    path: Path
    can_be_pulled: bool


class Source(msgspec.Struct, frozen=True):
    """Where on the hub a file comes from."""

    repository: str
    file: str
    sha256: str | None = None
    """Where it is known beforehand; else the hub says it."""


SPEAKERS = "speakers"
"""The name that both models for voices go under, and their folder."""
_VOICES = {
    SEGMENTATION: Source(
        "csukuangfj/sherpa-onnx-pyannote-segmentation-3-0",
        "model.onnx",
        "220ad67ca923bef2fa91f2390c786097bf305bceb5e261d4af67b38e938e1079",
    ),
    EMBEDDING: Source(
        "csukuangfj/speaker-embedding-models",
        "3dspeaker_speech_campplus_sv_zh_en_16k-common_advanced.onnx",
        "aa3cfc16963a10586a9393f5035d6d6b57e98d358b347f80c2a30bf4f00ceba2",
    ),
}
"""sherpa-onnx's own exports of pyannote's segmentation 3.0 (MIT) and 3D-Speaker's CAM++
(Apache 2.0), which nobody has to sign anything for."""


class Catalogue:
    """The known names, the files in the models folder, and the bundled demo model."""

    def __init__(
        self,
        folder: Path,
        named: Mapping[str, Path] | None = None,
        *,
        aliases: Mapping[str, str] | None = None,
        default: str = DEMO,
    ) -> None:
        """``named``: files elsewhere, by the name they go under; ``aliases``: other names of
        models, and what they mean; ``default``: the model of whoever names none."""
        self.folder, self.default = folder, default
        self._named, self._aliases = named or {}, aliases or {}

    def resolve(self, name: str | None) -> str:
        """The model that is meant by a name, an alias, or by naming none."""
        return self.default if name is None else self._aliases.get(name, name)

    def find(self, name: str) -> Model:
        """
        Raises:
            Invalid: no model has that name.
        """
        if name in self._named:
            return Model(name, self._named[name], can_be_pulled=False)
        if name == DEMO:
            demo = resources.files("actors.engine") / "demo" / "demo.bin"
            return Model(name, Path(str(demo)), can_be_pulled=False)
        if name in NAMES or name in self._placed_by_hand():
            return Model(name, self.folder / file_name(name), can_be_pulled=name in NAMES)
        raise Invalid(f"there is no model '{name}': `whisperbox models list` shows the names")

    def may_be_requested(self, name: str) -> bool:
        """Whether a client may ask for it, by its name or an alias: what is on this box, and the
        default model. Otherwise anyone who may submit could have every model downloaded.
        """
        model = self.resolve(name)
        return model in (DEMO, self.default, *self._named) or model in self._placed_by_hand()

    def offered(self) -> list[str]:
        """The models that a client may ask for, the default first."""
        there = {model.name for model in self.installed()}
        return [self.default, *sorted(there - {self.default})]

    def installed(self) -> Iterator[Model]:
        for path in sorted(self.folder.glob("ggml-*.bin")):
            name = named_by(path)
            yield Model(name, path, name in NAMES)

    def voices(self) -> list[Model]:
        """What it takes to tell voices apart."""
        folder = self.folder / SPEAKERS
        return [Model(SPEAKERS, folder / name, can_be_pulled=True) for name in _VOICES]

    def _placed_by_hand(self) -> set[str]:
        return {model.name for model in self.installed()}


def source(path: Path) -> Source:
    """Of the model that lies there, or will."""
    return _VOICES.get(path.name) or Source(REPOSITORY, path.name)


def file_name(name: str) -> str:
    return f"ggml-{name}.bin"


def named_by(path: Path) -> str:
    """The name that a model file goes under: ``ggml-tiny.bin`` is ``tiny``."""
    return path.name.removeprefix("ggml-").removesuffix(".bin")


def fitting(vram_mb: int | None, cores: int) -> str:
    """The model that this hardware runs well; q8_0 is the fastest kind on CPU."""
    if vram_mb is not None and vram_mb >= TURBO_MB:
        return "large-v3-turbo"
    return "small-q8_0" if cores >= FAST_CPU_CORES else "base-q8_0"
