"""Models for voices that know two of them: a dull one and a sharp one.

The segmentation takes whatever is loud for one person who speaks; the embedding is the shape of the
spectrum. So the real library does its whole work, on a few kilobytes.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actors.models.sources import EMBEDDING, SEGMENTATION
from storage.records import RATE

WINDOW_S, FIELD, SHIFT = 10, 991, 270
"""pyannote's: each frame sees 991 samples, and they are 270 apart."""
CLASSES = 7
"""Nobody, each of three, each pair of them."""
LOUD, SURE, NEVER = 0.01, 1e4, -1e5
BINS = 80


def scripted_voices(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    _save(_segmentation(), folder / SEGMENTATION, {
        "model_type": "pyannote-segmentation-3.0", "sample_rate": RATE,
        "window_size": WINDOW_S * RATE, "window_shift": RATE, "receptive_field_size": FIELD,
        "receptive_field_shift": SHIFT, "num_speakers": 3, "powerset_max_classes": 2,
        "num_classes": CLASSES,
    })  # fmt: skip
    _save(_embedding(), folder / EMBEDDING, {
        "framework": "3d-speaker", "language": "none", "sample_rate": RATE, "output_dim": BINS,
        "normalize_samples": 1, "feature_normalize_type": "",
    })  # fmt: skip
    return folder


def dull(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    return _band(seconds, seed, 200, 500)


def sharp(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    return _band(seconds, seed, 2500, 4000)


def quiet(seconds: float) -> NDArray[np.int16]:
    return np.asarray(_noise(seconds, 9) * 10, np.int16)


def _noise(seconds: float, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def _band(seconds: float, seed: int, low: float, high: float) -> NDArray[np.int16]:
    noise = _noise(seconds, seed)
    spectrum, hertz = np.fft.rfft(noise), np.fft.rfftfreq(len(noise), 1 / RATE)
    spectrum[(hertz < low) | (hertz > high)] = 0
    samples = np.fft.irfft(spectrum, len(noise))
    return np.asarray(samples / np.abs(samples).max() * 20000, np.int16)


def _segmentation() -> onnx.GraphProto:
    """Of samples [batch, 1, time], scores [batch, frame, class]."""
    weights = np.zeros((CLASSES, 1, FIELD), np.float32)
    weights[0], weights[1] = -SURE / FIELD, SURE / FIELD
    bias = np.full(CLASSES, NEVER, np.float32)
    bias[0], bias[1] = SURE * LOUD, -SURE * LOUD
    nodes = [
        helper.make_node("Abs", ["x"], ["level"]),
        helper.make_node("Conv", ["level", "weights", "bias"], ["scores"], strides=[SHIFT]),
        helper.make_node("Transpose", ["scores"], ["y"], perm=[0, 2, 1]),
    ]
    return helper.make_graph(
        nodes, "segmentation",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, "T"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "F", CLASSES])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )  # fmt: skip


def _embedding() -> onnx.GraphProto:
    """Of log mel energies [batch, time, bin], each bin's share of the whole."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Softmax", ["mean"], ["embedding"], axis=1),
    ]
    return helper.make_graph(
        nodes, "embedding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", BINS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", BINS])],
    )  # fmt: skip


def _save(graph: onnx.GraphProto, path: Path, facts: dict[str, object]) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {name: str(value) for name, value in facts.items()})
    onnx.save(model, path)
