"""Lets event streams begin a few at a time, so that a crowd of them does not hold up others."""

import anyio
from litestar.types import ASGIApp, Message, Receive, Scope, Send

PATHS = ("/stream", "/events")
"""How the paths of event streams end."""
AT_ONCE = 4


def paced(app: ASGIApp) -> ASGIApp:
    """The app, in which AT_ONCE streams at most are between their request and their first byte.

    To begin a stream takes about a millisecond. When the network or a proxy comes back, thousands
    of clients begin theirs together, and everybody else would wait for all of them.
    """
    beginning = anyio.CapacityLimiter(AT_ONCE)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith(PATHS):
            await app(scope, receive, send)
            return
        place = object()  # not the task's own: the answer may begin in another one
        held = True

        def give_way() -> None:
            nonlocal held
            if held:
                held = False
                beginning.release_on_behalf_of(place)

        async def send_and_give_way(message: Message) -> None:
            await send(message)
            give_way()

        await beginning.acquire_on_behalf_of(place)
        try:
            await app(scope, receive, send_and_give_way)
        finally:
            give_way()

    return serve
