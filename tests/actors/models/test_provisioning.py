"""What the lifecycle is told of weights that are there, are fetched, or cannot be had."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from actors.models.catalogue import Catalogue, Model
from actors.models.downloads import PullFailed
from actors.models.messages import LifecycleMessage, WeightsFound, WeightsMissing, WeightsPulled
from actors.models.provisioning import provisioner
from actors.models.sources import Form
from actors.models.weights import inspect

pytestmark = pytest.mark.anyio

LOAD = 7


@dataclass
class Hub:
    """Puts a file into its place, or fails as it is told to."""

    file: bytes = b""
    fails: Exception | None = None
    pulled: list[str] = field(default_factory=list)

    async def pull(self, model: Model, report: Callable[[int, int], object]) -> None:
        self.pulled.append(model.name)
        report(1, 4)
        if self.fails:
            raise self.fails
        model.path.write_bytes(self.file)
        report(4, 4)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub()
    monkeypatch.setattr("actors.models.provisioning.pull", hub.pull)
    return hub


async def told(catalogue: Catalogue, name: str) -> list[LifecycleMessage]:
    """What the lifecycle is told of a load of that name."""
    messages: list[LifecycleMessage] = []
    await provisioner(catalogue)(name, LOAD, messages.append)
    return messages


def found(path: Path) -> WeightsFound:
    return WeightsFound(LOAD, path, inspect(path).memory_mb)


async def test_weights_that_are_there_are_found_and_not_fetched(
    hub: Hub, scripted: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ggml-tiny.bin"
    path.symlink_to(scripted)
    assert await told(Catalogue(tmp_path), "tiny") == [found(path)]
    assert hub.pulled == []


async def test_weights_elsewhere_go_by_their_name(hub: Hub, scripted: Path, tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, {"mine": scripted})
    assert await told(catalogue, "mine") == [found(scripted)]


async def test_weights_that_are_not_there_are_fetched_with_visible_progress(
    hub: Hub, scripted: Path, tmp_path: Path
) -> None:
    hub.file = scripted.read_bytes()
    messages = await told(Catalogue(tmp_path, forms=(Form.GGML,)), "tiny")
    assert messages == [
        WeightsPulled(LOAD, 1, 4),
        WeightsPulled(LOAD, 4, 4),
        found(tmp_path / "ggml-tiny.bin"),
    ]


async def test_a_folder_that_is_being_copied_is_waited_for_and_not_fetched(
    hub: Hub, tmp_path: Path
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    (missing,) = await told(Catalogue(tmp_path), "tiny")
    problem = "the model folder tiny has no tokenizer.json"
    assert missing == WeightsMissing(LOAD, problem, certain=False)
    assert hub.pulled == []


async def test_a_name_that_no_model_has_is_certain(hub: Hub, tmp_path: Path) -> None:
    problem = "there is no model 'huge': `whisperbox models list` shows the names"
    assert await told(Catalogue(tmp_path), "huge") == [WeightsMissing(LOAD, problem, certain=True)]
    assert hub.pulled == []


async def test_a_file_that_was_named_and_is_gone_may_come_back_and_is_not_fetched(
    hub: Hub, tmp_path: Path
) -> None:
    catalogue = Catalogue(tmp_path, {"mine": tmp_path / "mine.bin"})
    problem = "cannot read the model file mine.bin: No such file or directory"
    assert await told(catalogue, "mine") == [WeightsMissing(LOAD, problem, certain=False)]
    assert hub.pulled == []


@pytest.mark.parametrize(
    ("file", "problem", "certain"),
    [(b"no model at all", "is not in ggml's format", True),
     (b"lmgg" + bytes(9), "is not complete", False),
     (b"", "is not complete", False),
     (bytes(4096), "is not complete", False)],
)  # fmt: skip
async def test_only_a_file_that_can_never_be_a_model_is_certain_and_it_stays_where_it_is(
    hub: Hub, tmp_path: Path, file: bytes, problem: str, certain: bool
) -> None:
    path = tmp_path / "ggml-tiny.bin"
    path.write_bytes(file)
    (missing,) = await told(Catalogue(tmp_path), "tiny")
    assert isinstance(missing, WeightsMissing)
    assert (missing.load, missing.certain) == (LOAD, certain)
    assert f"the model file ggml-tiny.bin {problem}" in missing.problem
    assert (path.read_bytes(), hub.pulled) == (file, [])


@pytest.mark.parametrize("reserved", [False, True])
async def test_half_of_a_model_may_be_a_copy_under_way(
    hub: Hub, scripted: Path, tmp_path: Path, reserved: bool
) -> None:
    whole = scripted.read_bytes()
    half = whole[: len(whole) // 2]
    (tmp_path / "ggml-tiny.bin").write_bytes(half + bytes(len(half) if reserved else 0))
    (missing,) = await told(Catalogue(tmp_path), "tiny")
    assert isinstance(missing, WeightsMissing)
    assert missing.problem.startswith("the model file ggml-tiny.bin is not complete")
    assert not missing.certain


@pytest.mark.parametrize("certain", [True, False])
async def test_a_download_that_fails_is_as_certain_as_it_says(
    hub: Hub, tmp_path: Path, certain: bool
) -> None:
    hub.fails = PullFailed("the hub has a cold", certain=certain)
    assert await told(Catalogue(tmp_path), "tiny") == [
        WeightsPulled(LOAD, 1, 4),
        WeightsMissing(LOAD, "the hub has a cold", certain),
    ]


async def test_what_the_system_refuses_may_come_later(hub: Hub, tmp_path: Path) -> None:
    hub.fails = OSError(28, "No space left on device")
    messages = await told(Catalogue(tmp_path), "tiny")
    problem = "cannot prepare tiny: No space left on device"
    assert messages[-1] == WeightsMissing(LOAD, problem, certain=False)
