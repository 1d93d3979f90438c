"""Checks a Whisper model, without loading it: a file in ggml's format or CTranslate2's folder."""

import math
import os
import re
import struct
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from storage.errors import Invalid

MAGIC = b"lmgg"
# Bytes of one block and weights in it, by ggml's tensor type number (ggml.h, ggml-common.h).
BLOCKS = {
    0: (4, 1),  # f32
    1: (2, 1),  # f16
    2: (18, 32),  # q4_0
    3: (20, 32),  # q4_1
    6: (22, 32),  # q5_0
    7: (24, 32),  # q5_1
    8: (34, 32),  # q8_0
    10: (84, 256),  # q2_K
    11: (110, 256),  # q3_K
    12: (144, 256),  # q4_K
    13: (176, 256),  # q5_K
    14: (210, 256),  # q6_K
}
MOST = 1 << 20
"""The highest number that a header may contain. The dimensions of Whisper models are far smaller,
so a file with higher numbers is damaged."""
FOLDER_MARK = "model.bin"
"""The file that makes a folder a model for CTranslate2."""
FOLDER_FILES = ("config.json", "tokenizer.json", FOLDER_MARK)
"""What a folder for CTranslate2 must have. Without the tokenizer, faster-whisper would download
one."""
FOLDER_VERSION = 6
"""The newest version of CTranslate2's format: ``CURRENT_BINARY_VERSION`` in its model_spec.py."""
_ENCODER_LAYER = re.compile(r"encoder/layer_\d+/")


class Weights(msgspec.Struct, frozen=True):
    """A model that is complete, as far as this can be checked without loading it."""

    path: Path
    bytes: int
    audio_state: int
    audio_layers: int
    multilingual: bool

    @property
    def memory_mb(self) -> int:
        """The estimated memory of the loaded model, in MiB.

        The file, plus buffers that grow with the encoder: 180 MiB + 0.02 MiB for each state and
        layer. The constants are fitted to the table "Memory usage" of whisper.cpp's README
        (tiny 273 MB, base 388, small 852, medium 2.1 GB, large 3.9 GB) and are within 8 % of it.
        """
        buffers = 180 + 0.02 * self.audio_state * self.audio_layers
        return round(self.bytes / 2**20 + buffers)


def inspect(path: Path) -> Weights:
    """Check a model: read its header and step through all its tensors.

    Raises:
        Unavailable: it is missing, not readable or not complete now.
        Invalid: it is not a Whisper model in one of the two formats, or it is damaged.
    """
    try:
        if path.is_dir():
            return _inspect_folder(path)
        with path.open("rb") as file:
            return _Reader(file, path).weights()
    except OSError as error:
        raise Unavailable(f"cannot read the model file {path.name}: {error.strerror}") from error


def _inspect_folder(folder: Path) -> Weights:
    for name in FOLDER_FILES:
        if not (folder / name).is_file():
            raise Unavailable(f"the model folder {folder.name} has no {name}")
    path = folder / FOLDER_MARK
    with path.open("rb") as file:
        return _FolderReader(file, path).weights()


class Unavailable(Invalid):
    """The model file may be right later: its disk is mounted again, or its copy is finished."""


class _Steps:
    """Reads a file of which each part says how long it is."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._size = os.fstat(file.fileno()).st_size

    def _unpack(self, form: str) -> tuple[int, ...]:
        data = self._file.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form):
            self._incomplete()
        return struct.unpack(form, data)

    def _skip(self, count: int) -> None:
        if self._file.seek(count, os.SEEK_CUR) > self._size:
            self._incomplete()

    def _damaged(self) -> NoReturn:
        raise Invalid(f"the model file {self._path.name} is damaged")

    def _incomplete(self) -> NoReturn:
        raise Unavailable(
            f"the model file {self._path.name} is not complete: download it again, or remove it so "
            "that it is downloaded at the next load"
        )


class _Reader(_Steps):
    """ggml's format: see `tools.ggml_whisper`."""

    def weights(self) -> Weights:
        magic = self._file.read(4)
        if magic in (b"", bytes(4)):  # a copy that has just begun, or whose place is only reserved
            self._incomplete()
        if magic != MAGIC:
            raise Invalid(f"the model file {self._path.name} is not in ggml's format")
        (vocab, _, state, _, layers, _, _, _, _, mels, _) = self._numbers(11)
        n_mels, n_bins = self._numbers(2)
        if mels not in (80, 128) or n_mels != mels or not 0 < layers <= 64:
            raise Invalid(f"the model file {self._path.name} is not a Whisper model")
        self._skip(4 * n_mels * n_bins)
        for _ in range(self._numbers(1)[0]):
            self._skip(self._numbers(1)[0])
        while self._file.tell() < self._size:
            self._tensor()
        return Weights(self._path, self._size, state, layers, vocab >= 51865)

    def _tensor(self) -> None:
        n_dims, name_length, kind = self._numbers(3)
        if n_dims == name_length == 0:  # reserved, but not written yet
            self._incomplete()
        if not 0 < n_dims <= 4 or kind not in BLOCKS:
            self._damaged()
        count = 1
        for size in self._numbers(n_dims):
            count *= size
        self._skip(name_length)
        block_bytes, block_weights = BLOCKS[kind]
        self._skip(count // block_weights * block_bytes)

    def _numbers(self, count: int) -> tuple[int, ...]:
        numbers = self._unpack(f"<{count}i")
        if not all(0 <= number <= MOST for number in numbers):
            self._damaged()
        return numbers


class _FolderReader(_Steps):
    """CTranslate2's ``model.bin``: ``ModelSpec.save`` writes it (ctranslate2/specs/model_spec.py).

    All numbers are unsigned and little-endian: u32 version, the specification's name, u32 revision,
    u32 count of tensors; for each its name, u8 rank, u32[rank] shape, u8 type, u32 bytes and the
    bytes; then the aliases. A name is u16 length and that many bytes, the last of which is 0.
    """

    def weights(self) -> Weights:
        (version,) = self._unpack("<I")
        if not 0 < version <= FOLDER_VERSION or self._name() != "WhisperSpec":
            raise Invalid(f"the model file {self._path} is not a Whisper model for CTranslate2")
        _, count = self._unpack("<II")
        shapes = dict(self._tensor() for _ in range(min(count, MOST)))
        try:
            vocab, _ = shapes["decoder/embeddings/weight"]
            state = shapes["encoder/conv1/weight"][0]
        except (KeyError, ValueError, IndexError):
            self._damaged()
        layers = {found[0] for found in map(_ENCODER_LAYER.match, shapes) if found}
        return Weights(self._path.parent, self._size, state, len(layers), vocab >= 51865)

    def _name(self) -> str:
        (length,) = self._unpack("<H")
        return self._file.read(length)[:-1].decode(errors="replace")

    def _tensor(self) -> tuple[str, tuple[int, ...]]:
        name = self._name()
        (rank,) = self._unpack("<B")
        shape = self._unpack(f"<{rank}I")
        _, size = self._unpack("<BI")
        if not math.prod(shape) <= size <= 4 * math.prod(shape):
            self._damaged()
        self._skip(size)
        return name, shape
