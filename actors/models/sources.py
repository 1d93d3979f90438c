"""The models on the Hugging Face hub: their names, in which forms they are there, and how large."""

import re
from enum import StrEnum
from pathlib import Path

import msgspec

from actors.models.weights import FOLDER_FILES


class Form(StrEnum):
    """How a model is stored. Each form has its own engine."""

    GGML = "ggml"
    """One file, for whisper.cpp."""
    CTRANSLATE2 = "CTranslate2"
    """A folder, for CTranslate2."""


class Source(msgspec.Struct, frozen=True):
    """Where a model is downloaded from: a repository on the hub, and files in it."""

    repository: str
    files: tuple[str, ...]
    optional: tuple[str, ...] = ()
    """Files that some repositories have; those that are there are downloaded."""
    sha256: str | None = None
    """The checksum of the one file, if it is known beforehand; otherwise the hub's own is used."""

    @property
    def is_folder(self) -> bool:
        return len(self.files) > 1


SEGMENTATION, EMBEDDING = "segmentation.onnx", "embedding.onnx"
"""The file names of the two voice models."""
SPEAKERS = "speakers"
"""The common name of the two voice models, and the name of their folder."""
VOICES = {
    SEGMENTATION: Source(
        "csukuangfj/sherpa-onnx-pyannote-segmentation-3-0",
        ("model.onnx",),
        sha256="220ad67ca923bef2fa91f2390c786097bf305bceb5e261d4af67b38e938e1079",
    ),
    EMBEDDING: Source(
        "csukuangfj/speaker-embedding-models",
        ("3dspeaker_speech_campplus_sv_zh_en_16k-common_advanced.onnx",),
        sha256="aa3cfc16963a10586a9393f5035d6d6b57e98d358b347f80c2a30bf4f00ceba2",
    ),
}
"""sherpa-onnx's exports of pyannote's segmentation 3.0 (MIT) and 3D-Speaker's CAM++ (Apache 2.0).
They can be downloaded without an account and without accepting conditions."""

_GGML_REPOSITORY = "ggerganov/whisper.cpp"
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
GGML_NAMES = (*_PLAIN, *(f"{name}-{kind}" for kind, names in _QUANTISED.items() for name in names))

_DISTILLED = {
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
_FOLDER_REPOSITORIES = {
    **{name: f"Systran/faster-whisper-{name}" for name in _PLAIN},
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    **_DISTILLED,
}
"""The repositories that faster-whisper itself uses (its utils.py)."""

NAMES = (*GGML_NAMES, *_DISTILLED)
"""The names that can be downloaded, in one form or in both."""

_ENGLISH = re.compile(r"\.en(?![a-z])")
_MIB = {
    "tiny": 75, "base": 142, "small": 466, "medium": 1533, "large-v3-turbo": 1549, "large": 2950,
    "distil-small.en": 317, "distil-medium.en": 752, "distil-large": 1442,
}  # fmt: skip
"""MiB with 16 bits for each weight: the table in the README of whisper.cpp's repository on the hub;
the distilled ones from their numbers of weights (166, 394 and 756 million)."""
_SHARE = {"q8_0": 0.54, "q5_1": 0.39, "q5_0": 0.35}
"""Of that, for quantised ones: the mean of the same table, which is up to 6 % away from it."""


def can_be_pulled(name: str, form: Form) -> bool:
    return name in (GGML_NAMES if form is Form.GGML else _FOLDER_REPOSITORIES)


def source_of(path: Path) -> Source:
    """Where to download the model that is to be at ``path``."""
    if path.name in VOICES:
        return VOICES[path.name]
    if path.name in _FOLDER_REPOSITORIES:
        return Source(
            _FOLDER_REPOSITORIES[path.name],
            FOLDER_FILES,
            ("preprocessor_config.json", "vocabulary.json", "vocabulary.txt"),
        )
    return Source(_GGML_REPOSITORY, (path.name,))


def download_mib(name: str) -> int | None:
    """About how large a download is, in MiB, with two digits; None for a name that is not known."""
    plain, _, kind = name.partition("-q")
    size = next((mib for start, mib in _MIB.items() if plain.startswith(start)), None)
    if name not in NAMES or size is None:
        return None
    exact = size * (_SHARE[f"q{kind}"] if kind else 1)
    return int(float(f"{exact:.2g}"))


def knows_only_english(name: str) -> bool:
    """Whether a model was trained for English alone: ``tiny.en`` says so, and so do the distilled
    ones of the catalogue."""
    return _ENGLISH.search(name) is not None or name in _DISTILLED
