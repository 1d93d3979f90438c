"""The actor that decodes a recording, finds where somebody speaks in it, and plans its chunks."""

import logging
from contextlib import aclosing
from functools import partial
from typing import assert_never

import anyio
import numpy as np

from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.processes import ChildFailed, Killed, retry_if_killed
from actors.kernel.publisher import Publish
from actors.kernel.tasks import Tasks
from actors.media import silence
from actors.media.decoding import BROKEN, Decoders
from actors.media.messages import (
    ChunkerMessage,
    Heartbeat,
    MakeRoom,
    Planned,
    Split,
    SplitFailed,
    SplitsLost,
    StopSplit,
)
from actors.media.planning import plan
from actors.media.silence import FRAME, SILENCE_DB, Levels, levels, take_whole, waveform
from actors.media.speech import Likelihood, speech
from storage.blobs import DISK_FULL, RECORDING_GONE, Spool, rename_durably
from storage.errors import Invalid, NoSpace
from storage.records import RATE, SAMPLE_BYTES, Chunk, Stage

log = logging.getLogger(__name__)

CHECK_DISK_EVERY = 64 << 20
FULL_DISK_PAUSE_S = 10.0
WANTED_FREE_BYTES = 1 << 30
"""The free space that the janitor is asked for: enough for nine hours of decoded audio."""
HEARTBEAT_S = 5.0
NO_ROOM = "the disk has too little free space for the decoded audio"


class Chunker(Actor[ChunkerMessage]):
    def __init__(
        self,
        mailbox: Mailbox[ChunkerMessage],
        *,
        spool: Spool,
        publish: Publish,
    ) -> None:
        super().__init__(mailbox)
        self._spool, self._publish = spool, publish
        self._splits = Tasks(self)
        self._decoders = Decoders()

    async def started(self) -> None:
        self.spawn(self._decoders.run)
        self._publish(SplitsLost())

    async def handle(self, message: ChunkerMessage) -> object:
        match message:
            case Split(job_id):
                return self._splits.begin(job_id, self._split, message)
            case StopSplit(job_id):
                return self._splits.stop(job_id)
            case _:
                assert_never(message)

    # This part runs beside the mailbox, in a task of its own: the work on one recording.

    async def _split(self, message: Split) -> None:
        job_id = message.job_id
        try:
            self._publish(await self._planned_when_there_is_room(message))
        except Exception as error:
            if not isinstance(error, Invalid | Killed):
                log.exception("splitting failed", extra={"job": job_id})
            self._publish(SplitFailed(job_id, _sentence(error)))

    async def _planned_when_there_is_room(self, message: Split) -> Planned:
        """Decode and plan a recording; if the disk is full or fails, wait and try again.

        The job has been accepted, so it must not fail because the server lacks room.
        """
        job_id = message.job_id
        while True:
            try:
                return await retry_if_killed(partial(self._planned, message))
            except (NoSpace, OSError, ChildFailed) as error:
                problem = _sentence(error)
                reason = str(error) if isinstance(error, ChildFailed) else None
                log.warning("%s; trying again", problem, extra={"job": job_id, "reason": reason})
                self._publish(Heartbeat(job_id, Stage.DECODING, problem))
                if isinstance(error, NoSpace):
                    self._publish(MakeRoom(WANTED_FREE_BYTES))
            await anyio.sleep(FULL_DISK_PAUSE_S)

    async def _planned(self, message: Split) -> Planned:
        job_id = message.job_id
        source, part = self._spool.input(job_id), self._spool.part(job_id)
        if not source.exists():
            raise Invalid(RECORDING_GONE)
        # One buffer for all levels: an array for each block would fragment the heap, and that
        # takes five times the memory of the arrays.
        heard, likelihood, rest, size = bytearray(), bytearray(), bytearray(), 0
        heartbeat_at = anyio.current_time()
        notices: list[str] = []
        try:
            with part.open("wb") as file:
                track = message.audio_track
                async with aclosing(self._decoders.decode(source, track, notices)) as blocks:
                    async for sound in blocks:
                        block = sound.pcm
                        likelihood += sound.likelihood
                        await anyio.to_thread.run_sync(file.write, block)
                        size += len(block)
                        if size % CHECK_DISK_EVERY < len(block) and not self._spool.spare_bytes():
                            raise NoSpace(NO_ROOM)
                        rest += block
                        frames = take_whole(rest, FRAME * SAMPLE_BYTES)
                        heard += await anyio.to_thread.run_sync(_levels, frames)
                        if anyio.current_time() - heartbeat_at > HEARTBEAT_S:
                            heartbeat_at = anyio.current_time()
                            so_far = f"decoded {size / SAMPLE_BYTES / RATE / 60:.0f} min"
                            self._publish(Heartbeat(job_id, Stage.DECODING, so_far))
                await anyio.to_thread.run_sync(rename_durably, file, part, self._spool.pcm(job_id))
        except OSError as error:
            if error.errno in DISK_FULL:
                raise NoSpace(NO_ROOM) from error
            raise
        finally:
            part.unlink(missing_ok=True)
        length = size // SAMPLE_BYTES
        level = np.frombuffer(heard, np.float32)
        spoken = np.frombuffer(likelihood, np.uint8) if message.vad else None
        chunks = await anyio.to_thread.run_sync(_plan, level, spoken, length)
        if not chunks:
            notices.append(
                f"No speech was found in {length / RATE:.1f} s of audio, whose loudest moment is "
                f"at {level.max(initial=SILENCE_DB):.0f} dBFS."
            )
        log.info("%.1f s of audio in %d chunks", length / RATE, len(chunks), extra={"job": job_id})
        return Planned(job_id, length / RATE, tuple(chunks), waveform(level), tuple(notices))


def _levels(pcm: bytes) -> bytes:
    return levels(pcm).tobytes()


def _plan(level: Levels, likelihood: Likelihood | None, length: int) -> list[Chunk]:
    """``likelihood`` None: every sound counts as speech."""
    spans = silence.speech(level) if likelihood is None else speech(level, likelihood)
    return plan(spans, level, length)


def _sentence(error: Exception) -> str:
    match error:
        case Invalid(message=message) | NoSpace(message=message):
            return message
        case Killed():
            return BROKEN
        case ChildFailed():
            return "the audio decoder could not do its work"
        case OSError(strerror=reason):
            return f"the audio could not be stored: {reason}"
        case _:
            return "the audio could not be prepared: an error in the server, which its log shows"
