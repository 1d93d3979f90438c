"""A subscription as an event stream."""

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from litestar.response import Stream

from actors.events.subscription import Subscription

KEEPALIVE_S = 15.0
KEEPALIVE = b": keepalive\n\n"
HEADERS = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}

StillIn = Callable[[], Awaitable[bool]]

_encode = msgspec.json.Encoder().encode


def event(name: str, data: object, event_id: str | None = None) -> bytes:
    """One event in the format of the HTML standard, section 9.2."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + _encode(data) + b"\n\n"


async def while_in(frames: AsyncIterator[bytes], still_in: StillIn) -> AsyncIterator[bytes]:
    """The frames, until somebody who may not hear them any more would get one."""
    async for frame in frames:
        if not await still_in():
            return
        yield frame


def stream(
    frames: AsyncIterator[bytes], subscription: Subscription, still_in: StillIn | None = None
) -> Stream:
    """The response; the subscription is closed with it, however that comes about. ``still_in``: of
    `while_in`."""
    told = frames if still_in is None else while_in(frames, still_in)

    async def closing() -> AsyncIterator[bytes]:
        try:
            yield b": welcome\n\n"  # so that proxies and clients see the head at once
            async for frame in told:
                yield frame
        finally:
            subscription.close()

    return Stream(closing(), media_type="text/event-stream", headers=HEADERS)
