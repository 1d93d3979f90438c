"""What the settings make of a box. Its GPUs are told here, since few that run this have any."""

import pytest

from actors.models import devices
from actors.models.devices import Build, Device, EngineUnusable
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
