"""The models on this computer and those that can be downloaded, and which one suits it."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from actors.models.sources import NAMES, SPEAKERS, VOICES, Form, can_be_pulled
from actors.models.weights import FOLDER_MARK
from storage.errors import Invalid

DEMO = "demo"

TURBO_MB = 2100
"""The VRAM in MiB that large-v3-turbo needs: 1,549 for the weights, and up to 819 for buffers, some
of which are shared."""
FAST_CPU_CORES = 6


class Model(msgspec.Struct, frozen=True):
    """A model's name and the path of its file or folder, which may not be there yet."""

    name: str
    path: Path
    can_be_pulled: bool
    form: Form = Form.GGML


class Catalogue:
    """The known names, the models in the models folder, and the bundled demo model."""

    def __init__(
        self,
        folder: Path,
        named: Mapping[str, Path] | None = None,
        *,
        aliases: Mapping[str, str] | None = None,
        default: str = DEMO,
        forms: Sequence[Form] = (Form.CTRANSLATE2, Form.GGML),
    ) -> None:
        """``named``: models in other folders, by the model's name; ``aliases``: other names, each
        with the model's name; ``default``: the model if a job names none; ``forms``: those that
        may be used, the better one first."""
        self.folder, self.default, self.forms = folder, default, tuple(forms)
        self._named, self._aliases = named or {}, aliases or {}

    def resolve(self, name: str | None) -> str:
        """The name of the model that ``name`` stands for: a name, an alias, or None (default)."""
        return self.default if name is None else self._aliases.get(name, name)

    def find(self, name: str) -> Model:
        """The model with that name, which must not be an alias.

        It is taken in the form in which it is here, else in the one in which it can be downloaded;
        the better form first.

        Raises:
            Invalid: no model has that name, or none in a form that may be used.
        """
        if name in self._named:
            path = self._named[name]
            return Model(name, path, False, Form.CTRANSLATE2 if path.is_dir() else Form.GGML)
        if name == DEMO:
            demo = resources.files("actors.engine") / "demo" / "demo.bin"
            return Model(name, Path(str(demo)), can_be_pulled=False)
        here = (models[name] for form in self.forms if name in (models := self._here(form)))
        if found := next(here, None) or self._to_be_pulled(name):
            return found
        for form in set(Form) - set(self.forms):
            if name in self._here(form) or can_be_pulled(name, form):
                raise Invalid(f"ENGINE is set to one that cannot load '{name}', which is {form}")
        raise Invalid(f"there is no model '{name}': `whisperbox models list` shows the names")

    def may_be_requested(self, name: str) -> bool:
        """Whether a client may ask for this model, by its name or an alias.

        Only the models that are on this computer and the default model may be requested. Otherwise
        everybody who may submit jobs could make the server download every model.
        """
        model = self.resolve(name)
        return model in (DEMO, self.default, *self._named) or any(
            model == each.name for each in self.installed()
        )

    def offered(self) -> list[str]:
        """The models that a client may ask for, the default first."""
        there = {model.name for model in self.installed()}
        return [self.default, *sorted(there - {self.default})]

    def installed(self) -> Iterator[Model]:
        """The models that are in the models folder, each in the better of its forms."""
        found: dict[str, Model] = {}
        for form in self.forms:
            found = self._here(form) | found
        yield from (model for _, model in sorted(found.items()))

    def pullable(self) -> Iterator[Model]:
        """The models that are not here and can be downloaded."""
        there = {model.name for model in self.installed()}
        for name in NAMES:
            if name not in there and (model := self._to_be_pulled(name)):
                yield model

    def voices(self) -> list[Model]:
        """The voice models, which are needed to tell speakers apart by their voices."""
        folder = self.folder / SPEAKERS
        return [Model(SPEAKERS, folder / name, can_be_pulled=True) for name in VOICES]

    def _here(self, form: Form) -> dict[str, Model]:
        if form is Form.GGML:
            found = {named_by(path): path for path in self.folder.glob("ggml-*.bin")}
        else:
            found = {path.parent.name: path.parent for path in self.folder.glob(f"*/{FOLDER_MARK}")}
        return {
            name: Model(name, path, can_be_pulled(name, form), form) for name, path in found.items()
        }

    def _to_be_pulled(self, name: str) -> Model | None:
        """The model in the best form in which it can be downloaded."""
        for form in self.forms:
            if can_be_pulled(name, form):
                place = f"ggml-{name}.bin" if form is Form.GGML else name
                return Model(name, self.folder / place, True, form)
        return None


def named_by(path: Path) -> str:
    """The model's name from its file's name: ``ggml-tiny.bin`` is ``tiny``."""
    return path.name.removeprefix("ggml-").removesuffix(".bin")


def suitable_models(vram_mb: int | None, cores: int, form: Form) -> tuple[str, ...]:
    """The models that suit this hardware, the best first.

    With CTranslate2 on a CPU, which computes with 8 bits whatever it is given, that is the plain
    one; with whisper.cpp q8_0, its fastest kind of weights there.

    ``vram_mb`` is the GPU's memory in MiB, None without a GPU; ``cores`` counts physical cores;
    ``form`` is the one that the engine prefers.
    """
    if vram_mb is not None and vram_mb >= TURBO_MB:
        return ("large-v3-turbo",)
    name = "small" if cores >= FAST_CPU_CORES else "base"
    quantised = f"{name}-q8_0"
    return (name, quantised) if form is Form.CTRANSLATE2 else (quantised,)
