"""Watches a folder: each recording in it becomes a job once, and its transcript a file.

What has become of a recording stands in the jobs' rows, by a key that is made from its path, size
and time of change. So after a kill nothing is transcribed twice and nothing is left out.
"""

import logging
import os
from pathlib import Path

import anyio
import msgspec
from anyio.to_thread import run_sync
from watchfiles import awatch

from app.services.services import Services
from app.transcripts.document import job_document
from app.transcripts.formats import FORMATS
from app.watch.files import (
    ERROR,
    Recording,
    all_since,
    copy_unchanged,
    recordings,
    write_beside,
)
from app.watch.settings import JSON, WatchSettings
from storage.errors import NoSpace, Refusal
from storage.records import Channel, Job, Order, Status
from storage.times import seconds

log = logging.getLogger(__name__)

SETTLE_S = 5.0
"""Seconds for which a recording must not have changed: longer than most copies over a network
pause. If one goes on after a longer pause, the whole recording is another job, and its transcript
takes the place of the first one's."""
LOOK_S = 2.0
"""Seconds between two looks while something is under way."""
MOST_OPEN = 4
"""How many recordings of the folder may be jobs at once: the others are on the disk anyway, and a
copy of each would fill it, and the queue."""
SWEEP_S = 30.0
"""Seconds between two looks otherwise: folders on a network tell of no changes."""


class WatchedFolder:
    def __init__(self, services: Services, folder: Path, settings: WatchSettings) -> None:
        self._services, self._folder = services, folder
        self._output, self._formats = settings.watch_output, settings.watch_formats
        self._changed = anyio.Event()
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}
        """Recordings that are not jobs yet: their stamps, and since when they have had them."""
        self._settled: dict[Path, tuple[int, int]] = {}
        """Recordings whose transcripts, or errors, are written: their stamps."""
        self._open: set[Path] = set()
        """Recordings whose jobs are not over."""
        self._complained: set[str] = set()
        self._is_there = False

    async def run(self) -> None:
        logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it counts each change
        async with anyio.create_task_group() as group:
            group.start_soon(self._listen)
            while True:
                self._changed = anyio.Event()
                under_way = await self._look()
                with anyio.move_on_after(LOOK_S if under_way else SWEEP_S):
                    await self._changed.wait()
                    await anyio.sleep(LOOK_S)  # a copy makes many changes

    async def _listen(self) -> None:
        """Note changes in the folder as they happen, where the system tells of them."""
        while True:
            try:
                async for _ in awatch(self._folder, ignore_permission_denied=True):
                    self._changed.set()
            except Exception as error:
                # It is not there at the moment, or has a name that is no UTF-8: looks go on.
                log.debug("not told of changes in the watched folder: %r", error)
            await anyio.sleep(SWEEP_S)

    async def _look(self) -> bool:
        """Do what is to be done now; whether something is under way."""
        try:
            found = await run_sync(recordings, self._folder)
        except OSError as error:
            self._complain(
                f"cannot read WATCH_DIR {self._folder}: {error.strerror}; waiting for it"
            )
            self._is_there = False
            return False
        if not self._is_there:
            self._is_there = True
            log.info("watching the folder %s", self._folder)
        paths = {each.path for each in found}
        for known in (self._seen, self._settled):
            for gone in known.keys() - paths:
                del known[gone]
        self._open &= paths
        under_way = False
        for recording in found:
            try:
                under_way |= await self._see_to(recording)
            except OSError as error:
                self._complain(f"{recording.name}: {error.strerror}: {error.filename}")
            except Refusal as refusal:  # it is tried again
                self._complain(f"{recording.name}: {refusal.message}")
                under_way = True
            except Exception as error:  # one recording must not end the server
                self._complain(f"{recording.name}: {error!r}")
        return under_way

    async def _see_to(self, recording: Recording) -> bool:
        """Whether something is under way with this recording.

        Raises:
            OSError: a file cannot be read or written.
            Refusal: it cannot become a job now.
        """
        if self._settled.get(recording.path) == recording.stamp:
            return False
        known, _ = self._seen.get(recording.path, (None, 0.0))
        if known == recording.stamp:
            return await self._begin(recording)
        job = await self._services.system.jobs.by_idempotency_key(_key(recording))
        if job is None:
            return await self._begin(recording)
        if not job.status.terminal:
            self._open.add(recording.path)
            return True
        self._open.discard(recording.path)
        if job.status is Status.DONE:
            await self._write_transcript(recording, job)
            self._settled[recording.path] = recording.stamp
        else:
            sentence = job.error or "the job was cancelled"
            await self._write_error(recording, sentence, seconds(job.completed_at or ""))
        return False

    async def _begin(self, recording: Recording) -> bool:
        """Make a job of a recording that has not changed for a while.

        One whose transcript is there has been a job, which is kept no longer.
        """
        is_new = recording.path not in self._seen and recording.path not in self._settled
        jobs_end = self._services.system.configuration.retention.keep_jobs_days is not None
        if is_new and jobs_end and await run_sync(self._has_been_told, recording):
            self._settled[recording.path] = recording.stamp
            return False
        now = anyio.current_time()
        stamp, since = self._seen.get(recording.path, (None, now))
        if stamp != recording.stamp:
            self._seen[recording.path] = recording.stamp, now
        elif now - since >= SETTLE_S and len(self._open) < MOST_OPEN:
            await self._submit(recording)
        return True

    async def _submit(self, recording: Recording) -> None:
        spool, submissions = self._services.system.spool, self._services.submissions
        submission = await submissions.begin({})
        if recording.size > await run_sync(spool.spare_bytes):
            raise NoSpace("the disk has too little free space for a copy")
        part = spool.part(submission.job_id)
        try:
            if not await run_sync(copy_unchanged, recording, part):
                return
        except PermissionError:
            await self._write_error(recording, "the file cannot be read: permission denied")
            raise
        size = await run_sync(spool.take_over, submission.job_id, part)
        order = Order(
            filename=_storable(recording.path.name),
            channel=Channel.WATCH,
            idempotency_key=_key(recording),
        )
        job = await submissions.queue(submission, order, size, limited=False)
        del self._seen[recording.path]
        self._open.add(recording.path)
        log.info("%s is job %s", _storable(recording.name), job.id)

    async def _write_transcript(self, recording: Recording, job: Job) -> None:
        """Write the files that are not there yet. Those that are there may have been corrected."""
        jobs, ended = self._services.system.jobs, seconds(job.completed_at or "")
        for ending in self._formats:
            path = await self._place(recording, ending, job)
            if await run_sync(all_since, [path], ended):
                continue
            segments = await jobs.transcript(job)
            if ending == JSON:
                document = job_document(job, segments, await jobs.left_out(job))
                text = msgspec.json.encode(document).decode()
            else:
                text = FORMATS[ending][0](segments)
            await run_sync(write_beside, recording, path, text)
        await run_sync(lambda: recording.output(self._output, ERROR).unlink(missing_ok=True))

    async def _place(self, recording: Recording, ending: str, job: Job) -> Path:
        """Where a transcript goes: never in the place of a file that is not the server's."""
        usual = recording.output(self._output, ending)
        beside = recording.output(self._output, f"transcript.{ending}")
        if await run_sync(beside.exists):
            return beside
        ended = seconds(job.completed_at or "")
        if not await run_sync(usual.exists) or await run_sync(all_since, [usual], ended):
            return usual
        had_one = await self._services.system.jobs.was_done_before(_path_key(recording), job)
        return usual if had_one else beside

    async def _write_error(self, recording: Recording, sentence: str, since: float = 0) -> None:
        """Write why there is no transcript, unless that has been written since then."""
        error = recording.output(self._output, ERROR)
        if not await run_sync(all_since, [error], since):
            await run_sync(write_beside, recording, error, f"{sentence}\n")

    def _has_been_told(self, recording: Recording) -> bool:
        """Whether its transcript, or why there is none, is newer than the recording. Blocks."""
        transcript = [recording.output(self._output, ending) for ending in self._formats]
        error = [recording.output(self._output, ERROR)]
        changed = recording.mtime_ns / 1e9
        return all_since(transcript, changed) or all_since(error, changed)

    def _complain(self, sentence: str) -> None:
        """Say it in the log, once."""
        if sentence not in self._complained:
            self._complained.add(sentence)
            log.warning("watched folder: %s", _storable(sentence))


def _key(recording: Recording) -> str:
    # A header has no line breaks, so that no native client can send this key.
    return f"{_path_key(recording)}:{recording.size}:{recording.mtime_ns}"


def _path_key(recording: Recording) -> str:
    return f"{Channel.WATCH}\n{_storable(recording.name)}"


def _storable(name: str) -> str:
    """The name; bytes that are no UTF-8, which old archives and drives have, as ``\\xe9``."""
    return os.fsencode(name).decode(errors="backslashreplace")
