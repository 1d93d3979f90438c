"""The models that can be named, where each lies, and which one fits a box."""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import msgspec

from storage.errors import Invalid

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


class Catalogue:
    """The known names, the files in the models folder, and the bundled demo model."""

    def __init__(self, folder: Path, named: Mapping[str, Path] | None = None) -> None:
        """``named``: files elsewhere, by the name they go under."""
        self.folder = folder
        self._named = named or {}

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

    def nameable(self, name: str) -> bool:
        """Whether a client may ask for it: what is on this box, by name and never by path.

        Or anyone who may submit could have every model there is downloaded.
        """
        return name in (DEMO, *self._named) or name in self._placed_by_hand()

    def installed(self) -> Iterator[Model]:
        for path in sorted(self.folder.glob("ggml-*.bin")):
            name = named_by(path)
            yield Model(name, path, name in NAMES)

    def _placed_by_hand(self) -> set[str]:
        return {model.name for model in self.installed()}


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
