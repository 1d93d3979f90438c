"""Every route of the pages."""

from pathlib import Path

from litestar import Router
from litestar.config.compression import CompressionConfig
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware
from litestar.static_files import create_static_files_router

from app.auth.guards import in_browser
from app.http.file_names import possible_names
from app.web import (
    account,
    batch,
    edits,
    errors,
    export,
    install,
    job,
    line_form,
    lines,
    live,
    queue,
    server,
    share_page,
    sign_in,
)
from app.web.queue import LONGEST_BODY

HERE = Path(__file__).parent
smaller = DefineMiddleware(
    CompressionMiddleware, config=CompressionConfig(backend="gzip", exclude=["/events$", "/audio$"])
)
"""For what a page is made of: streams are not to be held back, nor recordings to lose ranges."""

routers: list[Router] = [
    Router("/", route_handlers=[share_page.router], middleware=[smaller]),
    create_static_files_router(
        "/static", [HERE / "static"], include_in_schema=False, middleware=[possible_names, smaller]
    ),
    Router(
        "/",
        route_handlers=[*sign_in.handlers, *install.handlers],
        exception_handlers=errors.HANDLERS,
    ),
    Router(
        "/whisper",
        route_handlers=[
            *job.handlers,
            *lines.handlers,
            *edits.handlers,
            *batch.handlers,
            *export.handlers,
            *line_form.handlers,
            *queue.handlers,
            *live.handlers,
            *account.handlers,
            *server.handlers,
        ],
        guards=[in_browser],
        exception_handlers=errors.HANDLERS,
        middleware=[smaller],
        request_max_body_size=LONGEST_BODY,
    ),
]
