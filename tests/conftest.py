import logging
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.audio import spoken
from tests.media_server import MediaServer
from tests.scripted import scripted_model, slow_model
from tools.real_weights import RealWeights, cached

hypothesis.settings.register_profile("shared", deadline=None)  # other tests use the cores, too
hypothesis.settings.load_profile("shared")

SCRIPT = "<|0.00|> Hello world.<|2.00|><|2.50|> How are you?<|4.00|>"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # aiosqlite's; tests in virtual time say trio


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that hears `SCRIPT` in everything, in German."""
    return scripted_model(tmp_path_factory.mktemp("models") / "scripted.bin", SCRIPT, language=2)


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes a second or two for a window."""
    return slow_model(tmp_path_factory.mktemp("models") / "slow.bin")


@pytest.fixture(scope="session")
def real_weights() -> RealWeights:
    weights = cached()
    if not weights.are_here:
        pytest.skip("no real weights: python -m tools.real_weights fetches them")
    return weights


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of speech."""
    return spoken(tmp_path_factory.mktemp("audio") / "clip.wav")


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four minutes: eight chunks or so."""
    return spoken(tmp_path_factory.mktemp("audio") / "talk.wav", [9.0] * 24)


@pytest.fixture
def web() -> Iterator[MediaServer]:
    server = MediaServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("asyncio").setLevel(logging.WARNING)
