"""Finds the devices that the installed engine can run on.

``python -m actors.models.devices`` prints them as JSON. The server runs this as a child process,
because the engine's libraries, once they are loaded, stay in a process.
"""

import ctypes
import os
import subprocess
import sys

import msgspec

MIB = 1 << 20
GPU, INTEGRATED = 1, 2
"""Values of ggml's ``enum ggml_backend_dev_type``."""
PATIENCE_SECS = 60
"""How long the child may take. The first use of a GPU after its driver has started takes some
seconds."""


class Device(msgspec.Struct, frozen=True):
    """A GPU that the engine found."""

    name: str
    """ggml's name, e.g. ``CUDA0`` or ``Vulkan0``."""
    description: str
    """The driver's name, e.g. ``NVIDIA GeForce RTX 2080``."""
    memory_mb: int | None
    """The GPU's own memory in MiB. None if it shares the system's memory, and for CUDA, where
    `actors.models.vram` asks NVML instead."""


class Build(msgspec.Struct, frozen=True):
    flags: str
    """whisper.cpp's own description, e.g. ``CPU : AVX2 = 1``."""
    backends: tuple[str, ...]
    """What the engine was built for, by ggml's names, e.g. ``CUDA`` and ``CPU``."""
    gpus: tuple[Device, ...]
    """The GPUs in this computer that the engine can use; it uses the first."""

    @property
    def supports_gpus(self) -> bool:
        return any(name not in ("CPU", "BLAS") for name in self.backends)


class EngineUnusable(Exception):
    """The engine cannot be imported; the message says why."""


def engine_environment(cuda_device: str | None) -> dict[str, str]:
    """The environment of a child that runs the engine; ``cuda_device`` is the setting's value."""
    env = os.environ | {
        "GGML_NO_BACKTRACE": "1",  # otherwise ggml starts gdb for a backtrace when it aborts
        "OMP_WAIT_POLICY": "passive",  # waiting threads must not keep the CPU busy
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # so that CUDA numbers the GPUs as NVML does
    }
    if cuda_device is not None:
        env["CUDA_VISIBLE_DEVICES"] = cuda_device
        # Vulkan's numbers also count software that only emulates a GPU. Without this variable,
        # ggml takes a real GPU first, so the default 0 is not passed on.
        if cuda_device != "0":
            env["GGML_VK_VISIBLE_DEVICES"] = cuda_device
    return env


def examine(cuda_device: str | None = None) -> Build:
    """Ask the engine, in a child process; this takes some tenths of a second and blocks.

    Raises:
        EngineUnusable: the engine cannot be imported, or does not answer in time.
    """
    command = [sys.executable, "-m", "actors.models.devices"]
    try:
        done = subprocess.run(
            command,
            env=engine_environment(cuda_device),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECS,
        )
    except subprocess.TimeoutExpired:
        raise EngineUnusable(f"it did not answer within {PATIENCE_SECS} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
        raise EngineUnusable(said[-1])
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Build)  # ggml may print, too


def main() -> None:
    import _pywhispercpp as whisper

    # pywhispercpp does not offer these functions. They are in a library that it links to, and so
    # they can be found through its handle.
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
    # CUDA is not asked: it would open a context for that, and abort if the GPU's memory is full.
    if name.startswith("Vulkan") and ggml.ggml_backend_dev_type(device) == GPU:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        memory_mb = total.value // MIB
    return Device(name, ggml.ggml_backend_dev_description(device).decode(), memory_mb)


if __name__ == "__main__":
    main()
