from types import SimpleNamespace
from typing import Any, cast

import pytest

from actors.models.messages import Loading, State
from app.openai.audio import heartbeat


class Lifecycle:
    async def ask(self, question: object) -> Loading:
        assert question == State()
        return Loading("small", 0.5)


@pytest.mark.anyio
async def test_a_stream_that_waits_says_what_the_model_is_doing() -> None:
    services = cast(Any, SimpleNamespace(system=SimpleNamespace(lifecycle=Lifecycle())))
    assert await heartbeat(services) == b": model small is being downloaded: 50%\n\n"
