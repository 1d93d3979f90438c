import pytest

from actors.models.messages import Loading, Ready, Unloaded, WaitingForGpu
from app.services.model_line import ModelLine, model_line

AT = "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (Unloaded(), ModelLine("unloaded", "not loaded")),
        (Unloaded("no such file"), ModelLine("unloaded", "not loaded: no such file")),
        (Loading("small"), ModelLine("loading", "small is loading", "small")),
        (Loading("small", 0.5), ModelLine("loading", "small is being downloaded: 50%", "small")),
        (
            WaitingForGpu("large", 4000, 100, 30),
            ModelLine(
                "waiting", "large waits for the GPU: needs 4000 MB, 100 MB are free", "large"
            ),
        ),
        (Ready("small", AT), ModelLine("ready", "small is ready", "small", AT)),
    ],
)
def test_the_model_is_told_in_a_line(state: object, line: ModelLine) -> None:
    assert model_line(state) == line  # type: ignore[arg-type]
