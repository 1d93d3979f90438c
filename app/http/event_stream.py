"""A subscription as an event stream."""

from collections.abc import AsyncIterator

import msgspec
from litestar.response import Stream

from actors.events.subscription import Subscription

KEEPALIVE_S = 15.0
KEEPALIVE = b": keepalive\n\n"
HEADERS = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}

_encode = msgspec.json.Encoder().encode


def event(name: str, data: object, event_id: str | None = None) -> bytes:
    """One event in the format of the HTML standard, section 9.2."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + _encode(data) + b"\n\n"


def stream(frames: AsyncIterator[bytes], subscription: Subscription) -> Stream:
    """The response; the subscription is closed with it, however that comes about."""

    async def closing() -> AsyncIterator[bytes]:
        try:
            yield b": welcome\n\n"  # so that proxies and clients see the head at once
            async for frame in frames:
                yield frame
        finally:
            subscription.close()

    return Stream(closing(), media_type="text/event-stream", headers=HEADERS)
