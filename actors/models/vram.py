"""What NVML says of the GPU. None everywhere where there is no NVIDIA driver."""

import msgspec
import pynvml

MIB = 1 << 20


class Vram(msgspec.Struct, frozen=True):
    """MiB."""

    total_mb: int
    used_mb: int
    free_mb: int


class Gpu:
    """One device, by NVML's index."""

    def __init__(self, index: int = 0) -> None:
        self._index = index
        self._handle: object | None = None
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        except pynvml.NVMLError:
            pass

    @property
    def present(self) -> bool:
        return self._handle is not None

    def name(self) -> str | None:
        if self._handle is None:
            return None
        try:
            name = pynvml.nvmlDeviceGetName(self._handle)
        except pynvml.NVMLError:
            return None
        return name.decode() if isinstance(name, bytes) else str(name)

    def vram(self) -> Vram | None:
        """Now; None also when the driver has gone away since the start."""
        if self._handle is None:
            return None
        try:
            memory = pynvml.nvmlDeviceGetMemoryInfo(self._handle)
        except pynvml.NVMLError:
            return None
        return Vram(memory.total // MIB, memory.used // MIB, memory.free // MIB)
