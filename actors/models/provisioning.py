"""Finds the file of a model by the model's name, downloads it if needed, and checks it."""

from collections.abc import Awaitable, Callable

import anyio

from actors.models.catalogue import Catalogue
from actors.models.downloads import PullFailed, pull
from actors.models.messages import LifecycleMessage, WeightsFound, WeightsMissing, WeightsPulled
from actors.models.weights import Unavailable, inspect
from storage.errors import Invalid

Tell = Callable[[LifecycleMessage], None]


def provisioner(catalogue: Catalogue) -> Callable[[str, int, Tell], Awaitable[None]]:
    """The function that the lifecycle runs beside its mailbox at the start of each load."""

    async def provision(name: str, load: int, tell: Tell) -> None:
        try:
            model = catalogue.find(name)
            if not model.path.exists() and model.can_be_pulled:
                await pull(model, lambda done, total: tell(WeightsPulled(load, done, total)))
            weights = await anyio.to_thread.run_sync(inspect, model.path)
        except Unavailable as error:
            tell(WeightsMissing(load, error.message, certain=False))
        except Invalid as error:
            tell(WeightsMissing(load, error.message, certain=True))
        except PullFailed as error:
            tell(WeightsMissing(load, error.message, certain=error.certain))
        except OSError as error:
            tell(WeightsMissing(load, f"cannot prepare {name}: {error.strerror}", certain=False))
        else:
            tell(WeightsFound(load, weights.path, weights.memory_mb))

    return provision
