"""Connections on which nothing moves are closed, before they use up the server's files."""

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.uploads import LEAST_BYTES

HEAD_S = 30.0
"""Seconds that a client may take over the head of a request, from the connection or, on one that
stays open, from the request's first byte."""
LARGEST_HEAD = 64 << 10
"""Bytes."""
REST_S = 30.0
"""Seconds in which at least LEAST_BYTES of a body must come that was answered before its end; many
clients read nothing before they have sent everything."""
UNREAD_S = 60.0
"""Seconds that a client may leave what was sent to it unread; nginx's send_timeout is as long. A
player that has paused for longer asks for the rest of its recording anew."""


class LimitedPatience(HttpToolsProtocol):
    """uvicorn's protocol, with limits on how long it waits for a client.

    uvicorn waits for ever for the rest of a head, and keeps as much of it as comes; for the rest
    of a body that it has answered, as long as a byte comes now and then; and until a client reads.
    Some thousand such clients would leave no connection for others. Bodies that are not answered
    yet have limits of their own (`app.http.uploads`, `app.http.bodies`).
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._waiting: asyncio.TimerHandle | None = None
        self._for_head = False
        self._received = 0
        """Bytes, since the server waits."""
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Else the end of an answer that nobody reads would be kept without a call of pause_writing.
        transport.set_write_buffer_limits(0)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._received += len(data)
        if self._waiting is None:
            if self.cycle is not None and self.cycle.response_complete:
                self._await_head()  # blank lines, which begin no message, end uvicorn's own timer
        elif self._for_head and self._received > LARGEST_HEAD:
            self._close(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._waiting is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._await_rest()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self._reset)

    def resume_writing(self) -> None:
        self._stop_timing_reader()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_timing_reader()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._for_head, self._received = True, 0
        self._waiting = self.loop.call_later(HEAD_S, self._close, b"408 Request Timeout")

    def _await_rest(self) -> None:
        self._stop_waiting()
        self._for_head, self._received = False, 0
        self._waiting = self.loop.call_later(REST_S, self._judge_rest)

    def _judge_rest(self) -> None:
        if self._received < LEAST_BYTES:
            self._reset()
        else:
            self._await_rest()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _stop_timing_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _close(self, status: bytes) -> None:
        if self._received:  # else nothing was asked that could be answered
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\n")
        self._stop_waiting()
        self.transport.close()

    def _reset(self) -> None:
        """Close, and have the system drop what it keeps for the client: up to some MiB for each."""
        connection = self.transport.get_extra_info("socket")
        at_once = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.transport.abort()
