"""The GPU's memory, as NVML reports it. Without an NVIDIA driver, everything here is None."""

import msgspec
import pynvml

MIB = 1 << 20


class Vram(msgspec.Struct, frozen=True):
    """A GPU's memory, in MiB."""

    total_mb: int
    used_mb: int
    free_mb: int


class Gpu:
    """One GPU, by its number in NVML."""

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
        """The current numbers; None without a GPU, or if the driver has been removed meanwhile."""
        if self._handle is None:
            return None
        try:
            memory = pynvml.nvmlDeviceGetMemoryInfo(self._handle)
        except pynvml.NVMLError:
            return None
        return Vram(memory.total // MIB, memory.used // MIB, memory.free // MIB)
