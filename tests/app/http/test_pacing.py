"""Event streams that begin together."""

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from litestar.types import Receive, Scope, Send

from app.http.pacing import AT_ONCE, paced

pytestmark = pytest.mark.anyio


class App:
    """Begins its answers when it may, and ends them when it may."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_answer, self.may_end = anyio.Event(), anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append(scope["path"])
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.may_end.wait()


async def asked(app: Any, path: str) -> None:
    async def nothing(*_: object) -> Any:
        return None

    await app({"type": "http", "path": path}, nothing, nothing)


async def until_nothing_moves() -> None:
    for _ in range(50):
        await checkpoint()


async def test_a_crowd_of_streams_begins_a_few_at_a_time_and_holds_up_nobody_else() -> None:
    app = App()
    server = paced(app)
    async with anyio.create_task_group() as group:
        for n in range(3 * AT_ONCE):
            group.start_soon(asked, server, f"/jobs/{n}/stream")
        await until_nothing_moves()
        assert len(app.begun) == AT_ONCE
        group.start_soon(asked, server, "/health")
        await until_nothing_moves()
        assert app.begun[-1] == "/health"
        app.may_answer.set()  # streams that have begun to answer make room, and stay open
        await until_nothing_moves()
        assert len(app.begun) == 3 * AT_ONCE + 1
        app.may_end.set()


async def test_a_stream_that_fails_or_is_cancelled_makes_room() -> None:
    app = App()
    server = paced(app)
    async with anyio.create_task_group() as group:
        for n in range(AT_ONCE):
            group.start_soon(asked, server, f"/jobs/{n}/stream")
        await until_nothing_moves()
        group.cancel_scope.cancel()
    app.may_answer.set()
    app.may_end.set()
    with anyio.fail_after(5):
        for n in range(2 * AT_ONCE):
            await asked(server, f"/jobs/{n}/stream")
