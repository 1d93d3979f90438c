"""Every route of the pages."""

from litestar import Router

from app.access import in_browser
from app.web import live, queue, signing, troubles

routers = [
    Router("/", route_handlers=signing.handlers, exception_handlers=troubles.HANDLERS),
    Router(
        "/whisper",
        route_handlers=[*queue.handlers, *live.handlers],
        guards=[in_browser],
        exception_handlers=troubles.HANDLERS,
    ),
]
