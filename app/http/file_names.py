"""Requests for files whose names no disk can have."""

from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp, Receive, Scope, Send

LONGEST_NAME = 255
"""Bytes of a file's name, on all usual file systems."""


def possible_names(app: ASGIApp) -> ASGIApp:
    """Middleware: such a file is not found. Python raises for them, and Litestar would crash."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if "\0" in path or any(len(part.encode()) > LONGEST_NAME for part in path.split("/")):
            raise NotFoundException
        await app(scope, receive, send)

    return serve
