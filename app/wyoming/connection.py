"""One client: it sends audio, and gets the transcript."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import msgspec
from wyoming.asr import (
    Transcribe,
    Transcript,
    TranscriptChunk,
    TranscriptStart,
    TranscriptStop,
)
from wyoming.audio import AudioChunk, AudioFormat, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_read_event, async_write_event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong

from actors.engine.languages import LANGUAGES
from app.http.event_stream import KEEPALIVE_S
from app.http.uploads import STALLED_S, WRITE_BLOCK, too_large
from app.services.calls import Answer, Call, Delta, unless_hung_up
from app.services.order_form import LONGEST_PROMPT, without_region
from app.services.samples import wav_header
from app.services.services import Services
from app.services.submit import Submission
from app.transcripts.whisper_json import text_of
from app.wyoming.info import info
from storage.errors import Invalid, Refusal
from storage.records import Channel, Order

LONGEST_EVENT = 1 << 20
"""Bytes of an event's data, or of its audio: 5 s at the highest rate that is in use."""
RATES, WIDTHS, CHANNELS = range(1000, 192_001), range(1, 5), range(1, 9)


class BoundedReader(asyncio.StreamReader):
    """Refuses to hold events that are far larger than audio needs to be."""

    async def readexactly(self, n: int) -> bytes:
        if n > LONGEST_EVENT:
            raise ValueError("the event is too large")  # wyoming takes it for the end
        return await super().readexactly(n)


class Hints(msgspec.Struct):
    """What a `transcribe` event may say."""

    name: str | None = None
    language: str | None = None
    transcript_names: list[str] | None = None
    transcript_terms: list[str] | None = None


class HungUp(Exception):
    """The client has gone, or sends nothing any more, or nothing that makes sense."""


class Connection:
    def __init__(
        self, services: Services, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._services, self._reader, self._writer = services, reader, writer
        self._hints = Hints()

    async def run(self) -> None:
        """Answer the client until it hangs up."""
        try:
            while True:
                await self._handle(await self._next())
        except (HungUp, OSError):
            pass
        except Refusal as refusal:
            await self._send(Error(text=refusal.message, code=refusal.code))

    async def _handle(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self._send(info(self._services.system.configuration.catalogue))
        elif Ping.is_type(event.type):
            await self._send(Pong(text=Ping.from_event(event).text))
        elif Transcribe.is_type(event.type):
            self._hints = _hints(event)
        elif AudioStart.is_type(event.type):
            await self._transcribe(event)

    async def _transcribe(self, start: Event) -> None:
        """
        Raises:
            HungUp: before the end.
            Refusal: there will be no transcript.
        """
        calls = self._services.calls
        with calls.upload():
            submission = await self._services.submissions.begin({}, unchecked=True)
            size = await self._store(submission, _format(start))
            job = await calls.queue(submission, self._order(), size)
        self._hints = Hints()
        async with calls.attend(job) as call:
            answer, hung_up = await unless_hung_up(self._hang_up, self._tell(call))
        if hung_up or answer is None:
            raise HungUp
        text = text_of(answer.segments, answer.job.order.written_in)
        await self._send(Transcript(text=text, language=answer.job.language))
        await self._send(TranscriptStop())

    async def _tell(self, call: Call) -> AsyncIterator[Answer | None]:
        """Send the text as it is heard."""
        await self._send(TranscriptStart(language=call.job.language))
        async for told in call.deltas(KEEPALIVE_S):
            if isinstance(told, Delta):
                await self._send(TranscriptChunk(text=told.text))
            else:
                yield told

    async def _store(self, submission: Submission, header: bytes) -> int:
        """Store the audio as a WAV file; returns its bytes, without the header.

        Raises:
            HungUp: before the end of the audio.
            Invalid: there was none.
            TooLarge: it has more bytes than the operator wants.
            NoSpace: it does not fit on the disk.
        """
        submissions = self._services.submissions
        most = submissions.settings.most_bytes
        size, block = 0, bytearray(header)
        with self._services.system.spool.receiving(submission.job_id) as receiving:
            while not AudioStop.is_type((event := await self._next()).type):
                if not AudioChunk.is_type(event.type):
                    continue
                block += event.payload or b""
                size += len(event.payload or b"")
                if most is not None and size > most:
                    raise too_large(most)
                if len(block) > WRITE_BLOCK:
                    await submissions.make_room(len(block))
                    await anyio.to_thread.run_sync(receiving.write, block)
                    block = bytearray()
            if not size:
                raise Invalid("no audio was sent")
            await anyio.to_thread.run_sync(receiving.keep, block)
        return size

    def _order(self) -> Order:
        """What the client wants. A model or a language that is not known is left to the server."""
        hints, catalogue = self._hints, self._services.system.configuration.catalogue
        language = without_region(hints.language or "")
        words = [*(hints.transcript_names or ()), *(hints.transcript_terms or ())]
        known = hints.name is not None and catalogue.may_be_requested(hints.name)
        return Order(
            model=hints.name if known else None,
            language=language if language in LANGUAGES else None,
            prompt=", ".join(words)[:LONGEST_PROMPT] or None,
            filename="voice.wav",
            media_type="audio/wav",
            channel=Channel.WYOMING,
            urgent=True,  # somebody has spoken and waits
        )

    async def _next(self) -> Event:
        """
        Raises:
            HungUp: there is no next event.
        """
        try:
            with anyio.fail_after(STALLED_S):
                event = await async_read_event(self._reader)
        except (TimeoutError, asyncio.IncompleteReadError, LookupError, TypeError, AttributeError):
            event = None  # or its JSON is no event
        if event is None or not isinstance(event.data, dict):
            raise HungUp
        return event

    async def _hang_up(self) -> None:
        """Returns when the client hangs up; it sends nothing while it waits."""
        while await self._reader.read(LONGEST_EVENT):
            pass

    async def _send(self, message: Eventable) -> None:
        await async_write_event(message.event(), self._writer)


def _hints(event: Event) -> Hints:
    """
    Raises:
        Invalid: they are of another type than they should be.
    """
    try:
        return msgspec.convert(event.data, Hints)
    except msgspec.ValidationError as error:
        raise Invalid(f"transcribe: {error}") from None


def _format(start: Event) -> bytes:
    """The header of a recording of that format.

    Raises:
        Invalid: there is no such format.
    """
    try:
        form: AudioFormat = AudioStart.from_event(start)
        right = form.rate in RATES and form.width in WIDTHS and form.channels in CHANNELS
    except (KeyError, TypeError):
        right = False
    if not right:
        raise Invalid("audio-start must state the rate, the width and the channels of the audio")
    return wav_header(form.rate, form.width, form.channels)
