"""The engine child: ``python -m actors.engine.child SOCKET_FD``.

Loads one model, transcribes the windows that it is sent, and ends when the socket closes. It is a
child process for two reasons: its exit gives back all its VRAM, and if CUDA aborts the process,
only one chunk is lost and not the server.
"""

import os
import socket
import sys
import threading
import time
from collections import deque

import msgspec

from actors.engine import protocol
from actors.engine.backends import EngineBroken, LoadFailed, backend_for
from actors.engine.backends.audio import hold, let_go
from actors.engine.protocol import Failed, Loaded, Window, frame

GATHER_S = 0.005
"""Seconds that a batch waits for one more window. It is little beside the time of a window."""


class ServerConnection:
    """The socket to the server.

    A separate thread reads it, so that an Abort or the end of the connection is noticed while an
    inference runs.
    """

    def __init__(self, connection: socket.socket, abort: threading.Event) -> None:
        """``abort`` is set when all windows of the batch at hand are aborted."""
        self._connection, self._abort = connection, abort
        self._waiting: deque[Window] = deque()
        self._at_hand: set[int] = set()
        """The windows of the batch at hand that are not aborted."""
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._decode = msgspec.msgpack.Decoder(protocol.ToEngine).decode

    def send(self, message: protocol.FromEngine) -> None:
        with self._sending:
            try:
                self._connection.sendall(frame(message))
            except OSError:
                os._exit(0)

    def receive(self) -> protocol.ToEngine:
        (length,) = protocol.LENGTH.unpack(self._exactly(protocol.LENGTH.size))
        message: protocol.ToEngine = self._decode(self._exactly(length))
        return message

    def follow(self) -> None:
        """Read messages until the process ends; runs in the reader thread."""
        while True:
            message = self.receive()
            with self._changed:
                match message:
                    case protocol.Transcribe(windows):
                        self._waiting.extend(windows)
                        self._changed.notify()
                    case protocol.Abort(ids):
                        self._refuse({window.id for window in self._waiting} & set(ids))
                        if self._at_hand and self._at_hand <= set(ids):
                            self._abort.set()
                        self._at_hand -= set(ids)
                    case protocol.GiveBack():
                        self._refuse({window.id for window in self._waiting})

    def next_batch(self, most: int) -> list[Window]:
        """Wait for windows, and take up to ``most`` of them."""
        with self._changed:
            self._at_hand = set()
            self._changed.wait_for(lambda: self._waiting)
            # The server sends windows one by one, so that the next may be on its way.
            while (so_far := len(self._waiting)) < most and self._changed.wait_for(
                lambda: len(self._waiting) != so_far, timeout=GATHER_S
            ):
                pass
            batch = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._at_hand = {window.id for window in batch}
            self._abort.clear()
            return batch

    def _refuse(self, ids: set[int]) -> None:
        self._waiting = deque(window for window in self._waiting if window.id not in ids)
        for number in sorted(ids):
            self.send(Failed(number, "aborted", "aborted"))

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            try:
                part = self._connection.recv(length - len(data))
            except OSError:  # the server died before it had read all our answers
                part = b""
            if not part:  # the server has ended or has closed the socket: nothing to clean up
                os._exit(0)
            data += part
        return bytes(data)


def main(fd: int) -> None:
    abort = threading.Event()
    pipe = ServerConnection(socket.socket(fileno=fd), abort)
    load = pipe.receive()
    assert isinstance(load, protocol.Load)
    began = time.monotonic()
    try:
        engine = backend_for(load, abort)
        loaded = time.monotonic()
        engine.warm_up()
    except LoadFailed as error:
        pipe.send(Failed(None, error.kind, f"the model did not load: {error}"))
        os._exit(1)
    warm_up_secs = time.monotonic() - loaded
    pipe.send(Loaded(loaded - began, warm_up_secs, engine.batch, engine.device, engine.build))
    threading.Thread(target=pipe.follow, daemon=True).start()
    while True:
        batch = pipe.next_batch(engine.batch)
        windows = hold(batch)
        for window in batch:
            if window not in windows:
                pipe.send(Failed(window.id, "lost", "the decoded audio is gone"))
        if not windows:
            continue
        try:
            for answer in engine.transcribe(windows):
                pipe.send(answer)
        except EngineBroken:
            for window in windows:
                pipe.send(Failed(window.id, "out_of_memory", "the engine ran out of memory"))
            os._exit(1)
        let_go()


if __name__ == "__main__":
    main(int(sys.argv[1]))
