"""Whether the client is still there."""

from typing import Any

from litestar import Request


async def disconnected(request: Request[Any, Any, Any]) -> None:
    """Returns when the client hangs up; call it when the whole body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
