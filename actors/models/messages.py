"""The messages that the lifecycle receives, and the facts about models."""

from pathlib import Path

import msgspec

from actors.engine.messages import EngineEnded, EngineFailed, EngineReady
from actors.kernel.mailbox import Question

# The model's state.


class Unloaded(msgspec.Struct, frozen=True):
    problem: str | None = None
    """Why the last load failed; None if it did not."""


class Loading(msgspec.Struct, frozen=True):
    model: str
    pulled: float | None = None
    """The part of the download that is done, 0 to 1; None if nothing is being downloaded."""


class WaitingForGpu(msgspec.Struct, frozen=True):
    model: str
    vram_needed_mb: int
    vram_free_mb: int
    retry_in_secs: int


class Ready(msgspec.Struct, frozen=True):
    model: str
    loaded_at: str


ModelState = Unloaded | Loading | WaitingForGpu | Ready


# To the lifecycle.


class RequireReady(Question[None], frozen=True):
    """Refused with NotReady unless the model is ready. If no model is loaded, a load begins."""


class State(Question[ModelState], frozen=True):
    pass


class LoadModel(Question[bool], frozen=True):
    """Load the default model if none is loaded. The answer says whether a model is ready now."""


class UnloadModel(Question[None], frozen=True):
    pass


class Work(msgspec.Struct, frozen=True):
    """The job that the queue would transcribe next, and its model; None if there is no job."""

    job_id: str | None
    model: str | None = None

    @property
    def waiting(self) -> bool:
        return self.job_id is not None


class WeightsPulled(msgspec.Struct, frozen=True):
    load: int
    done: int
    total: int


class WeightsFound(msgspec.Struct, frozen=True):
    load: int
    path: Path
    memory_mb: int


class WeightsMissing(msgspec.Struct, frozen=True):
    load: int
    problem: str
    certain: bool


class TimerRang(msgspec.Struct, frozen=True):
    """One of the lifecycle's own timers ran out.

    It is ignored unless ``generation`` is that of the latest timer of this name.
    """

    timer: str
    generation: int


LifecycleMessage = (
    RequireReady
    | State
    | LoadModel
    | UnloadModel
    | Work
    | WeightsPulled
    | WeightsFound
    | WeightsMissing
    | EngineReady
    | EngineFailed
    | EngineEnded
    | TimerRang
)


# Facts.


class ModelReady(msgspec.Struct, frozen=True):
    model: str
    load: int
    """The number of the load: what is to be transcribed names it, so that no other model does."""
    capacity: int = 1
    """How many chunks the engine can be given at once."""


class ModelGone(msgspec.Struct, frozen=True):
    pass


class ModelWaits(msgspec.Struct, frozen=True):
    """This model cannot be loaded now; it will be tried again as long as a job needs it."""

    model: str


class ModelFailed(msgspec.Struct, frozen=True):
    """This model cannot be loaded, and trying again cannot help: the jobs that need it fail."""

    model: str
    problem: str


class ModelChanged(msgspec.Struct, frozen=True):
    state: ModelState


class ModelLoaded(msgspec.Struct, frozen=True):
    loaded_at: str


class ModelUnloaded(msgspec.Struct, frozen=True):
    pass
