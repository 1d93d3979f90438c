"""What this installation's engine can run on.

``python -m actors.models.devices`` prints it as JSON. It is asked in a child, because the engine's
libraries, once loaded, stay in a process.
"""

import ctypes
import os
import subprocess
import sys

import msgspec

MIB = 1 << 20
GPU, INTEGRATED = 1, 2
"""Of ggml's ``enum ggml_backend_dev_type``."""
PATIENCE_SECS = 60
"""A first use of a GPU after its driver has come up takes some seconds."""


class Device(msgspec.Struct, frozen=True):
    """A GPU that the engine found."""

    name: str
    """ggml's, e.g. ``CUDA0`` or ``Vulkan0``."""
    description: str
    """The driver's, e.g. ``NVIDIA GeForce RTX 2080``."""
    memory_mb: int | None
    """Its own, in MiB; None where it shares the system's, and where NVML is the one to ask."""


class Build(msgspec.Struct, frozen=True):
    flags: str
    """whisper.cpp's words, e.g. ``CPU : AVX2 = 1``."""
    backends: tuple[str, ...]
    """ggml's names of what it was built for, e.g. ``CUDA`` and ``CPU``."""
    gpus: tuple[Device, ...]
    """What is here of it; the engine takes the first."""

    @property
    def for_gpus(self) -> bool:
        return any(name not in ("CPU", "BLAS") for name in self.backends)


class Broken(Exception):
    """The engine cannot be imported; the message says why."""


def environment(cuda_device: str | None) -> dict[str, str]:
    """What a child that runs the engine needs; ``cuda_device`` as in the settings."""
    env = os.environ | {
        "GGML_NO_BACKTRACE": "1",  # or it prints through gdb
        "OMP_WAIT_POLICY": "passive",  # spinning threads starve a shared box
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as NVML counts
    }
    if cuda_device is not None:
        env["CUDA_VISIBLE_DEVICES"] = cuda_device
        # Vulkan counts even what only acts as a GPU; left alone, ggml takes a real card first.
        if cuda_device != "0":
            env["GGML_VK_VISIBLE_DEVICES"] = cuda_device
    return env


def examine(cuda_device: str | None = None) -> Build:
    """Ask the engine; takes some tenths of a second.

    Raises:
        Broken
    """
    command = [sys.executable, "-m", "actors.models.devices"]
    try:
        done = subprocess.run(
            command,
            env=environment(cuda_device),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECS,
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"it does not say within {PATIENCE_SECS} s what it runs on") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
        raise Broken(said[-1])
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Build)  # ggml may print, too


def main() -> None:
    import _pywhispercpp as whisper

    # pywhispercpp has no names for these; a library's handle finds what the library needs, too.
    ggml = ctypes.CDLL(whisper.__file__)
    for name, arguments, gives in (
        ("ggml_backend_reg_count", [], ctypes.c_size_t),
        ("ggml_backend_reg_get", [ctypes.c_size_t], ctypes.c_void_p),
        ("ggml_backend_reg_name", [ctypes.c_void_p], ctypes.c_char_p),
        ("ggml_backend_dev_count", [], ctypes.c_size_t),
        ("ggml_backend_dev_get", [ctypes.c_size_t], ctypes.c_void_p),
        ("ggml_backend_dev_type", [ctypes.c_void_p], ctypes.c_int),
        ("ggml_backend_dev_name", [ctypes.c_void_p], ctypes.c_char_p),
        ("ggml_backend_dev_description", [ctypes.c_void_p], ctypes.c_char_p),
        ("ggml_backend_dev_memory", 3 * [ctypes.c_void_p], None),
    ):
        function = getattr(ggml, name)
        function.argtypes, function.restype = arguments, gives
    backends = [
        ggml.ggml_backend_reg_name(ggml.ggml_backend_reg_get(n)).decode()
        for n in range(ggml.ggml_backend_reg_count())
    ]
    gpus = [
        _device(ggml, device)
        for n in range(ggml.ggml_backend_dev_count())
        if ggml.ggml_backend_dev_type(device := ggml.ggml_backend_dev_get(n)) in (GPU, INTEGRATED)
    ]
    flags = whisper.whisper_print_system_info().strip(" |\n")
    sys.stdout.buffer.write(msgspec.json.encode(Build(flags, tuple(backends), tuple(gpus))))


def _device(ggml: ctypes.CDLL, device: int) -> Device:
    name = ggml.ggml_backend_dev_name(device).decode()
    memory_mb = None
    # CUDA would open a context for the answer, and abort on a card that has no memory left.
    if name.startswith("Vulkan") and ggml.ggml_backend_dev_type(device) == GPU:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        memory_mb = total.value // MIB
    return Device(name, ggml.ggml_backend_dev_description(device).decode(), memory_mb)


if __name__ == "__main__":
    main()
