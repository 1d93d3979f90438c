"""Every route of the pages."""

from litestar import Router

from app.access import in_browser
from app.web import account, job, live, queue, server, signing, troubles
from app.web.queue import LONGEST_BODY

routers = [
    Router("/", route_handlers=signing.handlers, exception_handlers=troubles.HANDLERS),
    Router(
        "/whisper",
        route_handlers=[
            *job.handlers,
            *queue.handlers,
            *live.handlers,
            *account.handlers,
            *server.handlers,
        ],
        guards=[in_browser],
        exception_handlers=troubles.HANDLERS,
        request_max_body_size=LONGEST_BODY,
    ),
]
