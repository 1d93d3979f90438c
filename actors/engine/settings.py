"""What can be set about the engine."""

from dataclasses import dataclass

from actors.kernel.setting import setting


@dataclass(frozen=True)
class EngineSettings:
    engine: str = setting(
        "auto",
        "auto, whisper.cpp or ctranslate2: in which form models are downloaded and used. auto "
        "prefers CTranslate2 on a CPU and whisper.cpp on a GPU.",
        choices=("auto", "whisper.cpp", "ctranslate2"),
    )
    whisper_cpu_threads: int = setting(
        0, "Threads of the engine; 0: one for each physical core that we may use.", minimum=0
    )
    whisper_device: str = setting(
        "auto",
        "auto, cpu, or gpu (cuda and vulkan mean the same).",
        choices=("auto", "cpu", "gpu", "cuda", "vulkan"),
    )
    cuda_device: int = setting(0, "Which GPU, as nvidia-smi numbers them, or Vulkan.", minimum=0)
