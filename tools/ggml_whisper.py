"""Reads and writes Whisper models in ggml's file format.

This is the format that whisper.cpp's ``whisper_model_load`` reads and its
``models/convert-pt-to-ggml.py`` writes. All numbers are little-endian:

    i32 magic, 11 x i32 dimensions,
    i32 n_mels, i32 n_fft_bins, f32[n_mels, n_fft_bins] mel filters,
    i32 n_words, then for each word i32 length and its bytes,
    then for each tensor i32 n_dims, i32 name length, i32 type, i32[n_dims] shape
    (innermost first), its name and its data.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x67676D6C
BLOCK = 32
"""Weights in one block of a quantised tensor."""

# name -> (file type in the header, type of the tensors): ggml_ftype and ggml_type in ggml.h.
TYPES = {"f32": (0, 0), "f16": (1, 1), "q8_0": (7, 8), "q5_0": (8, 6)}
QUANTISATION_VERSION = 2000
"""ggml's GGML_QNT_VERSION (2) times 1000. It is added to the file type of a quantised model."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Dimensions:
    """A Whisper model's dimensions, in the order of the file."""

    n_vocab: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int
    n_mels: int


@dataclass(frozen=True)
class Frame:
    """Everything in a model file except the weights."""

    dimensions: Dimensions
    filters: Array
    """f32[n_mels, 201]: the mel filters, which turn a power spectrum into mel bands."""
    words: list[bytes]

    def with_dimensions(self, **changes: int) -> "Frame":
        return replace(self, dimensions=replace(self.dimensions, **changes))


def read_frame(path: Path) -> Frame:
    """Read the dimensions, the mel filters and the vocabulary of a model file.

    Raises:
        ValueError: the file does not begin with ggml's magic number.
    """
    data = path.read_bytes()
    magic, *numbers = struct.unpack_from("<12i", data)
    if magic != MAGIC:
        raise ValueError(f"{path} is not a ggml file")
    n_mels, n_bins = struct.unpack_from("<2i", data, 48)
    at = 56 + 4 * n_mels * n_bins
    filters = np.frombuffer(data[56:at], "<f4").reshape(n_mels, n_bins)
    (n_words,) = struct.unpack_from("<i", data, at)
    at += 4
    words = []
    for _ in range(n_words):
        (length,) = struct.unpack_from("<i", data, at)
        words.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return Frame(Dimensions(*numbers[:10]), filters, words)


def tokenise(text: str, words: list[bytes]) -> list[int]:
    """The token ids of ``text``, found by always taking the longest token that matches.

    This is not Whisper's own algorithm, but it is good enough for plain words.
    """
    ids = {word: index for index, word in enumerate(words) if word}
    rest, tokens = text.encode(), []
    while rest:
        length = next(n for n in range(min(len(rest), 24), 0, -1) if rest[:n] in ids)
        tokens.append(ids[rest[:length]])
        rest = rest[length:]
    return tokens


def sinusoids(length: int, channels: int) -> Array:
    """The positional embedding of Whisper's encoder: f32[length, channels].

    See ``sinusoids`` in model.py of openai/whisper.
    """
    rate = np.exp(-np.log(10_000) / (channels // 2 - 1) * np.arange(channels // 2))
    phase = np.arange(length)[:, None] * rate
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=1).astype(np.float32)


def shapes(d: Dimensions) -> dict[str, tuple[int, ...]]:
    """The name and shape (outermost dimension first) of every tensor, in the order of the file."""
    audio, text = d.n_audio_state, d.n_text_state
    return {
        "encoder.positional_embedding": (d.n_audio_ctx, audio),
        "encoder.conv1.weight": (audio, d.n_mels, 3),
        "encoder.conv1.bias": (audio, 1),
        "encoder.conv2.weight": (audio, audio, 3),
        "encoder.conv2.bias": (audio, 1),
        "encoder.ln_post.weight": (audio,),
        "encoder.ln_post.bias": (audio,),
        **_blocks("encoder", d.n_audio_layer, audio, cross=False),
        "decoder.positional_embedding": (d.n_text_ctx, text),
        "decoder.token_embedding.weight": (d.n_vocab, text),
        "decoder.ln.weight": (text,),
        "decoder.ln.bias": (text,),
        **_blocks("decoder", d.n_text_layer, text, cross=True),
    }


def _blocks(side: str, layers: int, state: int, *, cross: bool) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        block = f"{side}.blocks.{layer}"
        found |= {
            f"{block}.mlp_ln.weight": (state,),
            f"{block}.mlp_ln.bias": (state,),
            f"{block}.mlp.0.weight": (4 * state, state),
            f"{block}.mlp.0.bias": (4 * state,),
            f"{block}.mlp.2.weight": (state, 4 * state),
            f"{block}.mlp.2.bias": (state,),
        }
        for attention in ("attn", "cross_attn") if cross else ("attn",):
            found |= {
                f"{block}.{attention}_ln.weight": (state,),
                f"{block}.{attention}_ln.bias": (state,),
                f"{block}.{attention}.query.weight": (state, state),
                f"{block}.{attention}.query.bias": (state,),
                f"{block}.{attention}.key.weight": (state, state),
                f"{block}.{attention}.value.weight": (state, state),
                f"{block}.{attention}.value.bias": (state,),
                f"{block}.{attention}.out.weight": (state, state),
                f"{block}.{attention}.out.bias": (state,),
            }
    return found


def write(path: Path, frame: Frame, tensors: Mapping[str, Array], kind: str = "f16") -> None:
    """Write a model file. Its matrices are stored as ``kind``, which is a key of TYPES.

    Raises:
        KeyError: a tensor is missing, or ``kind`` is unknown.
        ValueError: a tensor's shape does not match the model's dimensions.
    """
    d, (file_type, _) = frame.dimensions, TYPES[kind]
    if kind.startswith("q"):
        file_type += QUANTISATION_VERSION
    with path.open("wb") as out:
        numbers = [getattr(d, name) for name in Dimensions.__dataclass_fields__]
        out.write(struct.pack("<12i", MAGIC, *numbers, file_type))
        out.write(struct.pack("<2i", *frame.filters.shape))
        out.write(frame.filters.astype("<f4").tobytes())
        out.write(struct.pack("<i", len(frame.words)))
        for word in frame.words:
            out.write(struct.pack("<i", len(word)) + word)
        for name, shape in shapes(d).items():
            values = np.asarray(tensors[name], np.float32).reshape(shape)
            stored = _stored_as(name, shape, kind)
            out.write(struct.pack("<3i", len(shape), len(name), TYPES[stored][1]))
            out.write(struct.pack(f"<{len(shape)}i", *shape[::-1]) + name.encode())
            out.write(encode(values, stored))


def _stored_as(name: str, shape: tuple[int, ...], kind: str) -> str:
    """The type that whisper.cpp expects for this tensor in a file of ``kind``."""
    if len(shape) < 2 or name.endswith(("positional_embedding", "conv1.bias", "conv2.bias")):
        return "f32"
    if "conv" in name:
        return "f32" if kind == "f32" else "f16"
    return kind


def encode(values: Array, kind: str) -> bytes:
    """Encode f32 ``values`` as ggml stores them.

    If ``kind`` is quantised, the length of each row must be a multiple of BLOCK.
    """
    match kind:
        case "f32":
            return values.astype("<f4").tobytes()
        case "f16":
            return values.astype("<f2").tobytes()
        case "q8_0":
            return _q8_0(values.reshape(-1, BLOCK))
        case "q5_0":
            return _q5_0(values.reshape(-1, BLOCK))
        case _:
            raise KeyError(kind)


def _q8_0(blocks: Array) -> bytes:
    scale = np.abs(blocks).max(axis=1) / 127
    out = np.zeros((len(blocks), 2 + BLOCK), np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    out[:, 2:] = np.rint(blocks * _inverse(scale)[:, None]).astype(np.int8).view(np.uint8)
    return out.tobytes()


def _q5_0(blocks: Array) -> bytes:
    largest = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(axis=1)]
    scale = largest / -16
    codes = np.clip((blocks * _inverse(scale)[:, None] + 16.5).astype(np.int32), 0, 31)
    low, high = codes[:, :16], codes[:, 16:]
    fifth_bits = ((codes >> 4 & 1).astype(np.uint32) << np.arange(BLOCK, dtype=np.uint32)).sum(
        axis=1, dtype=np.uint32
    )
    out = np.zeros((len(blocks), 2 + 4 + BLOCK // 2), np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    out[:, 2:6] = fifth_bits.astype("<u4").view(np.uint8).reshape(-1, 4)
    out[:, 6:] = (low & 15) | ((high & 15) << 4)
    return out.tobytes()


def _inverse(scale: Array) -> Array:
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
