from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.receiver import Receiver
from tests.acceptance.server import Server

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path, scripted: Path) -> Iterator[Start]:
    """Starts servers on one data folder, with the scripted model unless told otherwise."""
    started: list[Server] = []

    def begin(**settings: object) -> Server:
        server = Server(
            tmp_path, **{"WHISPER_MODEL_PATH": scripted, "REQUESTS_PER_MINUTE": 0, **settings}
        )
        started.append(server)
        return server.start()

    yield begin
    for server in started:
        if server.running:
            server.kill()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, scripted: Path) -> Iterator[Server]:
    """One server with its model loaded, for the tests that leave no traces."""
    server = Server(
        tmp_path_factory.mktemp("shared"),
        WHISPER_MODEL_PATH=scripted,
        CORS_ORIGINS="https://front.example",
    ).start()
    server.load()
    yield server
    server.kill()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
