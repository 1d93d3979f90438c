"""What the settings make of a box. Its GPUs are told here, since few that run this have any."""

from pathlib import Path

import pytest

from actors.models import devices
from actors.models.catalogue import Catalogue
from actors.models.devices import Build, Device, EngineUnusable
from actors.models.sources import Form
from app.configure import configure
from app.diagnosis import Finding, examine
from app.settings import Settings
from storage.errors import Unusable

CARD = Device("Vulkan0", "A card", 8192)
CPU_BUILD = Build("CPU : AVX2 = 1", ("CPU",), ())
NO_CARD = Build("CPU : AVX2 = 1", ("Vulkan", "CPU"), ())
WITH_CARD = Build("CPU : AVX2 = 1", ("Vulkan", "CPU"), (CARD,))
BUILDS = [CPU_BUILD, NO_CARD, WITH_CARD]


def set_up(monkeypatch: pytest.MonkeyPatch, build: Build, **values: str) -> Settings:
    monkeypatch.setattr(devices, "examine", lambda cuda_device=None: build)
    return Settings.from_environment(values)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("wanted", ["auto", "cpu"])
def test_the_engine_takes_a_gpu_that_is_here_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, build: Build, wanted: str
) -> None:
    configuration = configure(set_up(monkeypatch, build, WHISPER_DEVICE=wanted))
    assert configuration.device == (CARD if build.gpus and wanted == "auto" else None)


@pytest.mark.parametrize(
    ("build", "why"), [(CPU_BUILD, "built for the CPU alone"), (NO_CARD, "finds no GPU here")]
)
def test_a_gpu_that_is_asked_for_and_is_not_here_is_an_error(
    monkeypatch: pytest.MonkeyPatch, build: Build, why: str
) -> None:
    with pytest.raises(Unusable, match=f"WHISPER_DEVICE is vulkan, but .*{why}"):
        configure(set_up(monkeypatch, build, WHISPER_DEVICE="vulkan"))


def test_a_card_with_memory_gets_a_large_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configure(set_up(monkeypatch, WITH_CARD)).catalogue.default == "large-v3-turbo"
    shared = Build("", ("Vulkan",), (Device("Vulkan0", "In the processor", None),))
    assert configure(set_up(monkeypatch, shared)).catalogue.default != "large-v3-turbo"


def catalogue(
    build: Build, folder: Path, monkeypatch: pytest.MonkeyPatch, **values: str
) -> Catalogue:
    values |= {"WHISPER_MODELS_DIR": str(folder)}
    return configure(set_up(monkeypatch, build, **values)).catalogue


def test_a_cpu_prefers_folders_and_a_gpu_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert catalogue(CPU_BUILD, tmp_path, monkeypatch).find("small").form is Form.CTRANSLATE2
    assert catalogue(WITH_CARD, tmp_path, monkeypatch).find("small").form is Form.GGML


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(
    ("engine", "form"), [("whisper.cpp", Form.GGML), ("ctranslate2", Form.CTRANSLATE2)]
)
def test_an_engine_that_is_set_decides_the_form(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: Build, engine: str, form: Form
) -> None:
    made = catalogue(build, tmp_path, monkeypatch, ENGINE=engine)
    assert made.find("small").form is form
    assert made.find(made.default).form is form


def test_a_default_model_that_is_here_is_not_replaced_by_a_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh = catalogue(CPU_BUILD, tmp_path, monkeypatch, WHISPER_CPU_THREADS="2")
    assert fresh.default == "base"
    (tmp_path / "ggml-base-q8_0.bin").touch()
    earlier = catalogue(CPU_BUILD, tmp_path, monkeypatch, WHISPER_CPU_THREADS="2")
    assert earlier.default == "base-q8_0"


def test_a_model_that_the_engine_cannot_load_is_an_error_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.bin").touch()
    for values in (
        {"WHISPER_MODEL": "base-q8_0"},
        {"WHISPER_MODEL_PATH": str(tmp_path / "mine.bin")},
    ):
        with pytest.raises(Unusable, match=r"ENGINE is set to one that cannot load .*ggml"):
            catalogue(CPU_BUILD, tmp_path, monkeypatch, ENGINE="ctranslate2", **values)


def gpu(settings: Settings) -> Finding:
    return next(each for each in examine(settings) if each.subject == "gpu")


def test_the_doctor_tells_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu(set_up(monkeypatch, WITH_CARD)).found.startswith("A card, 8192 MiB")
    assert gpu(set_up(monkeypatch, NO_CARD)).cure is None
    without_driver = gpu(set_up(monkeypatch, NO_CARD, WHISPER_DEVICE="gpu"))
    assert without_driver.cure
    assert "driver" in without_driver.cure
    built_without = gpu(set_up(monkeypatch, CPU_BUILD, WHISPER_DEVICE="gpu"))
    assert built_without.cure
    assert "README" in built_without.cure


def test_the_doctor_and_the_server_name_an_engine_that_does_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(cuda_device: str | None = None) -> Build:
        raise EngineUnusable("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(devices, "examine", broken)
    settings = Settings.from_environment({})
    with pytest.raises(Unusable, match="does not run here: libcuda"):
        configure(settings)
    engine = next(each for each in examine(settings) if each.subject == "engine")
    assert "libcuda" in engine.found
    assert engine.cure
