"""The known models, where their files are, and which model suits which computer."""

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import msgspec

from actors.models.weights import FOLDER_MARK
from storage.errors import Invalid

SEGMENTATION, EMBEDDING = "segmentation.onnx", "embedding.onnx"
"""The file names of the two voice models."""
REPOSITORY = "ggerganov/whisper.cpp"
DEMO = "demo"

_ENGLISH = re.compile(r"\.en(?![a-z])")

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
"""The VRAM in MiB that large-v3-turbo needs: 1,549 for the weights, and up to 819 for buffers, some
of which are shared."""
FAST_CPU_CORES = 6


class Model(msgspec.Struct, frozen=True):
    """A model's name and the path of its file, which may not have been downloaded yet."""

    name: str
    path: Path
    can_be_pulled: bool


class Source(msgspec.Struct, frozen=True):
    """Where a file is downloaded from: a repository on the Hugging Face hub and a file in it."""

    repository: str
    file: str
    sha256: str | None = None
    """The checksum, if it is known beforehand; otherwise the hub's own is used."""


SPEAKERS = "speakers"
"""The common name of the two voice models, and the name of their folder."""
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
"""sherpa-onnx's exports of pyannote's segmentation 3.0 (MIT) and 3D-Speaker's CAM++ (Apache 2.0).
They can be downloaded without an account and without accepting conditions."""


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
        """``named``: model files in other folders, by the model's name; ``aliases``: other names,
        each with the model's name; ``default``: the model if a job names none."""
        self.folder, self.default = folder, default
        self._named, self._aliases = named or {}, aliases or {}

    def resolve(self, name: str | None) -> str:
        """The name of the model that ``name`` stands for: a name, an alias, or None (default)."""
        return self.default if name is None else self._aliases.get(name, name)

    def find(self, name: str) -> Model:
        """The model with that name, which must not be an alias.

        Raises:
            Invalid: no model has that name.
        """
        if name in self._named:
            return Model(name, self._named[name], can_be_pulled=False)
        if name == DEMO:
            demo = resources.files("actors.engine") / "demo" / "demo.bin"
            return Model(name, Path(str(demo)), can_be_pulled=False)
        if name in NAMES or name in self._installed_names():
            folder = self.folder / name
            if (folder / FOLDER_MARK).exists():
                return Model(name, folder, can_be_pulled=False)
            return Model(name, self.folder / file_name(name), can_be_pulled=name in NAMES)
        raise Invalid(f"there is no model '{name}': `whisperbox models list` shows the names")

    def may_be_requested(self, name: str) -> bool:
        """Whether a client may ask for this model, by its name or an alias.

        Only the models that are on this computer and the default model may be requested. Otherwise
        everybody who may submit jobs could make the server download every model.
        """
        model = self.resolve(name)
        return model in (DEMO, self.default, *self._named) or model in self._installed_names()

    def offered(self) -> list[str]:
        """The models that a client may ask for, the default first."""
        there = {model.name for model in self.installed()}
        return [self.default, *sorted(there - {self.default})]

    def installed(self) -> Iterator[Model]:
        """The models that are on this computer. Of two forms, a folder is the one that is used."""
        folders = {path.parent.name: path.parent for path in self.folder.glob(f"*/{FOLDER_MARK}")}
        files = {named_by(path): path for path in self.folder.glob("ggml-*.bin")}
        for name, path in sorted((files | folders).items()):
            yield Model(name, path, name in NAMES and name not in folders)

    def voices(self) -> list[Model]:
        """The voice models, which are needed to tell speakers apart by their voices."""
        folder = self.folder / SPEAKERS
        return [Model(SPEAKERS, folder / name, can_be_pulled=True) for name in _VOICES]

    def _installed_names(self) -> set[str]:
        return {model.name for model in self.installed()}


def source(path: Path) -> Source:
    """Where to download the model whose file is to be at ``path``."""
    return _VOICES.get(path.name) or Source(REPOSITORY, path.name)


def file_name(name: str) -> str:
    return f"ggml-{name}.bin"


def named_by(path: Path) -> str:
    """The model's name from its file's name: ``ggml-tiny.bin`` is ``tiny``."""
    return path.name.removeprefix("ggml-").removesuffix(".bin")


def knows_only_english(name: str) -> bool:
    """Whether a model's name says that it was trained for English alone, as ``tiny.en`` does."""
    return _ENGLISH.search(name) is not None


def suitable_model(vram_mb: int | None, cores: int) -> str:
    """The model that suits this hardware. On a CPU, q8_0 is the fastest kind of weights.

    ``vram_mb`` is the GPU's memory in MiB, None without a GPU; ``cores`` counts physical cores.
    """
    if vram_mb is not None and vram_mb >= TURBO_MB:
        return "large-v3-turbo"
    return "small-q8_0" if cores >= FAST_CPU_CORES else "base-q8_0"
