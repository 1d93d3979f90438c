"""What NVML says, by nvidia-ml-py and a library that has NVML's calls and a card of its own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from actors.models.devices import examine
from tests.acceptance.conftest import Start

NVML = """
    #include <stdio.h>
    #include <string.h>
    typedef struct { unsigned long long total, free, used; } Memory;
    int nvmlInitWithFlags(unsigned flags) { return 0; }
    int nvmlInit_v2(void) { return 0; }
    int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
        *device = (void *)1L;
        return index ? 2 : 0;
    }
    int nvmlDeviceGetName(void *device, char *name, unsigned size) {
        strncpy(name, "A card", size);
        return 0;
    }
    int nvmlDeviceGetMemoryInfo(void *device, Memory *memory) {
        memory->total = 8192ULL << 20;
        memory->used = 1000ULL << 20;
        memory->free = memory->total - memory->used;
        return 0;
    }
"""


@pytest.fixture
def nvml(tmp_path: Path) -> Path:
    """The folder of the library."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is here")
    source, library = tmp_path / "nvml.c", tmp_path / "libnvidia-ml.so.1"
    source.write_text(NVML)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return tmp_path


def test_the_card_and_its_memory_are_in_the_answers(nvml: Path, start: Start) -> None:
    server = start(LD_LIBRARY_PATH=nvml)
    health = server.http.get("/health").json()
    assert (health["gpu_name"], health["vram_total_mb"]) == ("A card", 8192)
    status = server.http.get("/model/status").json()
    assert (status["vram_used_mb"], status["vram_total_mb"]) == (1000, 8192)
    assert "whisperbox_vram_used_bytes 1.048576e+09" in server.http.get("/metrics").text


def test_a_card_that_the_engine_is_not_built_for_is_told_and_costs_nothing(
    nvml: Path, start: Start
) -> None:
    if examine().supports_gpus:
        pytest.skip("this engine is built for GPUs")
    server = start(LD_LIBRARY_PATH=nvml, WHISPER_DEVICE="auto")
    server.wait_for_log("warning A card is here, but this engine cannot use it")
    server.load()
