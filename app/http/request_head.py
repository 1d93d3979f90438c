"""Connections whose request does not come are closed, before they use up the server's files."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 30.0
"""Seconds that a client may take over the head of a request, from the connection or, on one that
stays open, from the request's first byte."""
LARGEST_HEAD = 64 << 10
"""Bytes."""


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, with limits on a request's head.

    uvicorn waits for the rest of a head for ever, and keeps as much of it as comes: some thousand
    clients that send a byte now and then would leave no connection for others. Bodies have limits
    of their own (`app.http.uploads`, `app.http.bodies`).
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._deadline is not None:
            self._size += len(data)
            if self._size > LARGEST_HEAD:
                self._close(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        self._head_is_over()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_over()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._size = 0
        self._deadline = self.loop.call_later(HEAD_S, self._close, b"408 Request Timeout")

    def _head_is_over(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self, status: bytes) -> None:
        if self._size:  # else nothing was asked that could be answered
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\n")
        self._head_is_over()
        self.transport.close()
