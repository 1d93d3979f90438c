"""What this box offers, and what to make of it."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

VULKAN = "VULKAN"


def threads() -> int:
    """Physical cores that this process may use: more threads than that are far slower."""
    allowed = os.sched_getaffinity(0)
    siblings = {_siblings(cpu) for cpu in allowed}
    return max(1, min(len(siblings), *_cgroup_cpus()))


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)


def _cgroup_cpus() -> list[int]:
    """The CPU quota of our control group in whole cores, where there is one."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return [sys.maxsize]
    return [sys.maxsize] if quota == "max" else [max(1, int(quota) // int(period))]


def engine_build() -> str:
    """whisper.cpp's own words about how it was built, e.g. ``CPU : AVX2 = 1``.

    In a child: once loaded, the engine's libraries stay in a process.
    """
    code = "import _pywhispercpp as w; print(w.whisper_print_system_info())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = done.stdout.strip().splitlines()
    if not said:
        return "the engine cannot be imported: " + done.stderr[-300:]
    libraries = metadata.files("pywhispercpp") or []
    # Of its backends the engine names those with flags, and Vulkan has none.
    vulkan = any("ggml-vulkan" in file.name for file in libraries)
    return said[-1].strip(" |") + (f" | {VULKAN}" if vulkan else "")


def built_for_gpu(build: str) -> bool:
    return any(name in build for name in ("CUDA", VULKAN, "HIP", "METAL", "SYCL"))
