"""What the model is doing, in a few words."""

from dataclasses import dataclass

from actors.models.messages import Loading, ModelState, Ready, Unloaded, WaitingForGpu


@dataclass(frozen=True)
class ModelLine:
    state: str
    """For the style: unloaded, loading, waiting, ready."""
    sentence: str
    """After the word "Model"."""
    name: str | None = None
    since: str | None = None


def model_line(model: ModelState) -> ModelLine:
    match model:
        case Unloaded(problem=problem):
            return ModelLine("unloaded", f"not loaded: {problem}" if problem else "not loaded")
        case Loading(model=name, pulled=None):
            return ModelLine("loading", f"{name} is loading", name)
        case Loading(model=name, pulled=share):
            return ModelLine("loading", f"{name} is being downloaded: {share or 0:.0%}", name)
        case WaitingForGpu(model=name, vram_needed_mb=needed, vram_free_mb=free):
            sentence = f"{name} waits for the GPU: needs {needed} MB, {free} MB are free"
            return ModelLine("waiting", sentence, name)
        case Ready(model=name, loaded_at=since):
            return ModelLine("ready", f"{name} is ready", name, since)
