"""A multipart body, streamed into the spool without ever being held."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
from litestar import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from app.http.refusals import TooLarge, TooSlow
from storage.blobs import Receiving, Spool
from storage.errors import Invalid

STALLED_S = 30.0
"""Seconds in which at least LEAST_BYTES must come, counted while the server waits for them."""
LEAST_BYTES = 1 << 10
MOST_PARTS = 32
LONGEST_FIELD = 16 << 10
WRITE_BLOCK = 1 << 20
CHECK_DISK_EVERY = 64 << 20
MOST_BESIDES = 1 << 20
"""Bytes of a body that are not its file."""

Check = Callable[[str, str], None]
MakeRoom = Callable[[int], Awaitable[None]]


@dataclass
class Upload:
    found: bool = False
    """Whether there was a file at all; it is stored unless it is empty."""
    filename: str | None = None
    media_type: str | None = None
    size: int = 0


async def receive(
    request: Request[Any, Any, Any],
    spool: Spool,
    job_id: str,
    file_field: str,
    check: Check,
    *,
    before_file: Callable[[], None],
    make_room: MakeRoom,
    most_bytes: int | None = None,
    head: bytes = b"",
) -> Upload:
    """Store the file of ``file_field`` as the job's input; ``check`` sees each text field.

    What was stored is durable, and gone again if this raises. ``before_file`` may raise, too: it
    is called where the file begins. ``make_room`` sees to it that so many bytes fit on the disk,
    or raises NoSpace. ``head`` is stored before the file, unless it begins as ``head`` does.

    Raises:
        Invalid: the body is not what it should be, or its file has another field's name.
        TooLarge: the file has more than ``most_bytes``.
        NoSpace: it does not fit on the disk.
        TooSlow: the client sent less than LEAST_BYTES in STALLED_S seconds.
    """
    parser = _parser(request)
    expected = int(request.headers.get("content-length", 0))
    if most_bytes is not None and expected > most_bytes + MOST_BESIDES:
        raise too_large(most_bytes)
    await make_room(expected)
    with spool.receiving(job_id) as receiving:
        sorter = _Sorter(receiving, file_field, check, before_file, make_room, most_bytes, head)
        try:
            async for data in _stream(request):
                for event in parser.parse(data):
                    sorter.take(event)
                await sorter.flush()
            parser.close()
        except MultipartError as error:
            raise Invalid(f"multipart error: {error.args[0] if error.args else error}") from error
        if sorter.upload.size:
            await anyio.to_thread.run_sync(receiving.keep, sorter.block)
    return sorter.upload


def too_large(most_bytes: int) -> TooLarge:
    return TooLarge(f"the file is larger than {most_bytes >> 20} MB, which is all that is taken")


def _parser(request: Request[Any, Any, Any]) -> PushMultipartParser:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        raise Invalid("multipart error: the content-type must be multipart/form-data")
    if not options.get("boundary"):
        raise Invalid("multipart error: the content-type has no boundary")
    try:
        return PushMultipartParser(options["boundary"], max_segment_count=MOST_PARTS)
    except MultipartError as error:
        raise Invalid(f"multipart error: {error}") from error


async def _stream(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """The body as it comes. The deadline is around each receive, never around a yield."""
    patience, received = STALLED_S, 0
    async with contextlib.aclosing(request.stream()) as parts:
        while True:
            began = anyio.current_time()
            try:
                with anyio.fail_after(patience):
                    part = await anext(parts, None)
            except TimeoutError:
                raise TooSlow(
                    f"less than {LEAST_BYTES} bytes were received in {STALLED_S:.0f} s"
                ) from None
            if part is None:
                return
            patience -= anyio.current_time() - began
            received += len(part)
            if received >= LEAST_BYTES:
                patience, received = STALLED_S, 0
            yield part


class _Sorter:
    """Takes the parser's events: the file to the disk, fields to a dictionary."""

    def __init__(
        self,
        receiving: Receiving,
        file_field: str,
        check: Check,
        before_file: Callable[[], None],
        make_room: MakeRoom,
        most_bytes: int | None,
        head: bytes,
    ) -> None:
        self.upload = Upload()
        self._receiving, self._file_field = receiving, file_field
        self._check, self._before_file, self._make_room = check, before_file, make_room
        self._most_bytes, self._head = most_bytes, head
        self._skipping = False
        """Whether the part at hand is a file that nobody asked for."""
        self._skipped = 0
        self._name: str | None = None
        self._value = bytearray()
        self.block = bytearray()
        self._checked_at = 0

    def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._name == self._file_field:
            if not self.upload.found:
                self._file_begins()
            if self._head and not self.upload.size and event[:4] != self._head[:4]:
                self.block += self._head
            self.block += event
            self.upload.size += len(event)
            if self._most_bytes is not None and self.upload.size > self._most_bytes:
                raise too_large(self._most_bytes)
        elif self._skipping:
            self._skip(len(event))
        else:
            self._value += event
            if len(self._value) > LONGEST_FIELD:
                raise Invalid(f"field '{self._name}' is longer than {LONGEST_FIELD} bytes")

    async def flush(self) -> None:
        """Write what has become a block; the rest of the file is in ``block`` at its end."""
        if len(self.block) <= WRITE_BLOCK:
            return
        if self.upload.size - self._checked_at > CHECK_DISK_EVERY:
            self._checked_at = self.upload.size
            await self._make_room(len(self.block))
        block, self.block = self.block, bytearray()
        await anyio.to_thread.run_sync(self._receiving.write, block)

    def _begin(self, segment: MultipartSegment) -> None:
        if not segment.name:
            raise Invalid("multipart error: a form field has no name")
        self._name = segment.name
        self._value.clear()
        self._skipping = self._name != self._file_field and segment.filename is not None
        if self._name == self._file_field:
            if self.upload.found:
                raise Invalid(f"there is more than one '{self._file_field}' field")
            self.upload.filename = segment.filename or None
            self.upload.media_type = segment.content_type or None
            # A browser sends a file that nobody chose as an empty one without a name.
            if segment.filename != "":
                self._file_begins()

    def _skip(self, length: int) -> None:
        """A file under another name is no recording; who sends one large one is told early."""
        self._skipped += length
        if self._skipped > MOST_BESIDES and not self.upload.found:
            raise Invalid(f"missing '{self._file_field}' field")

    def _file_begins(self) -> None:
        self._before_file()
        self.upload.found = True

    def _end(self) -> None:
        if self._name in (None, self._file_field) or self._skipping:
            return
        try:
            value = self._value.decode()
        except UnicodeDecodeError:
            raise Invalid(f"field '{self._name}' is not UTF-8 text") from None
        self._check(self._name, value)
