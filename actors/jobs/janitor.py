"""The actor that removes files and jobs whose retention time is over."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

import anyio

from actors.jobs.messages import (
    FetchedAfterEnd,
    JanitorMessage,
    JobDeleted,
    JobEnded,
    JobExpired,
    SpeakersSettled,
    Sweep,
)
from actors.jobs.settings import RetentionSettings
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.publisher import Publish
from actors.media.messages import MakeRoom
from storage.blobs import REMOVING_SUFFIX, Spool
from storage.jobs import Jobs
from storage.records import Job, SpeakersStatus
from storage.speakers import SpeakerTurns
from storage.times import seconds, utc

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 600.0
ORPHANED_S = 3600.0
"""Seconds. A file without a job is removed only when it is older than this, because until then its
upload may still be running."""
EXPIRED_AT_ONCE = 200
"""The most jobs that one sweep deletes."""
SPARE_BYTES = 1 << 30
"""A sweep removes old recordings until this many bytes are free beyond the disk's reserve."""
IN_USE = (SpeakersStatus.PENDING, SpeakersStatus.RUNNING)


class Janitor(Actor[JanitorMessage]):
    def __init__(
        self,
        mailbox: Mailbox[JanitorMessage],
        *,
        jobs: Jobs,
        speakers: SpeakerTurns,
        spool: Spool,
        publish: Publish,
        retention: RetentionSettings,
    ) -> None:
        super().__init__(mailbox)
        self._jobs, self._speakers, self._spool = jobs, speakers, spool
        self._publish, self._retention = publish, retention

    async def started(self) -> None:
        self.me.tell(Sweep())

    async def handle(self, message: JanitorMessage) -> object:
        match message:
            case JobEnded(job_id=job_id) | FetchedAfterEnd(job_id) | SpeakersSettled(job_id):
                return await self._remove_unneeded(job_id)
            case JobDeleted(job_id):
                files = [self._spool.pcm(job_id), self._spool.input(job_id)]
                return await anyio.to_thread.run_sync(_unlink, files)
            case MakeRoom(wanted):
                return await self._make_room(wanted)
            case Sweep():
                return await self._sweep()
            case _:
                assert_never(message)

    async def _remove_unneeded(self, job_id: str) -> None:
        job = await self._jobs.get(job_id)
        if job is not None and not job.status.terminal:
            return  # the job was restarted in the meantime
        await anyio.to_thread.run_sync(_unlink, [self._spool.pcm(job_id)])
        if self._retention.recording_secs == 0 and not await self._diarizer_needs(job):
            await self._remove([self._spool.input(job_id)])

    async def _diarizer_needs(self, job: Job | None) -> bool:
        """Whether the diarizer still needs the job's recording.

        If it does, SpeakersSettled arrives when it is done.
        """
        if job is None:
            return False
        speakers = (await self._speakers.of_jobs([job])).get(job.number)
        return speakers is not None and speakers.status in IN_USE

    async def _sweep(self) -> None:
        """Remove files without a job, and recordings and jobs whose retention time is over."""
        self.later(SWEEP_EVERY_S, Sweep())
        await self._expire_jobs()
        await self._make_room(SPARE_BYTES)
        files = await anyio.to_thread.run_sync(self._spool.files)
        now = time.time()
        idle = {
            path: now - changed for path in files if (changed := _modified_at(path)) is not None
        }
        known = await self._jobs.by_ids(list({_job_id_of(path) for path in idle}))
        to_remove = []
        for path, age in idle.items():
            job = known.get(_job_id_of(path))
            if job is None:
                keep = age < ORPHANED_S
            elif not job.status.terminal:
                keep = True
            else:
                keep = path.suffix == ".input" and await self._is_kept(job, now)
            if not keep:
                to_remove.append(path)
        if to_remove:
            log.info("removing %d files that nobody needs", len(to_remove))
            await self._remove(to_remove)

    async def _is_kept(self, job: Job, now: float) -> bool:
        assert job.completed_at
        most = self._retention.recording_secs
        since = now - seconds(job.completed_at)
        return most is None or since < most or await self._diarizer_needs(job)

    async def _expire_jobs(self) -> None:
        most = self._retention.job_secs
        if most is not None:
            before = utc(time.time() - most)
            for job in await self._jobs.ended_before(before, EXPIRED_AT_ONCE):
                self._publish(JobExpired(job.id))

    async def _make_room(self, wanted: int) -> None:
        """Remove recordings of ended jobs until ``wanted`` bytes fit on the disk.

        The recordings of the jobs that ended first are removed first. Nothing is removed if the
        operator has set how long recordings are kept (KEEP_UPLOAD_HOURS).
        """
        if self._retention.recording_secs is not None or self._spool.spare_bytes() >= wanted:
            return
        files = await anyio.to_thread.run_sync(self._spool.files)
        inputs = {_job_id_of(path): path for path in files if path.suffix == ".input"}
        jobs = (await self._jobs.by_ids(list(inputs))).values()
        ended = [job for job in jobs if job.completed_at is not None]
        removed = 0
        for job in sorted(ended, key=lambda job: job.completed_at or ""):
            if self._spool.spare_bytes() >= wanted:
                break
            if not await self._diarizer_needs(job):
                await self._remove([inputs[job.id]])
                removed += 1
        if removed:
            log.warning("the disk is nearly full: removed the %d oldest recordings", removed)

    async def _remove(self, paths: list[Path]) -> None:
        """Remove files, except those of a job that is restarted at the same time.

        The files are renamed first. A restart after that finds no file, so it is refused or fetches
        the file again. If a job was restarted before the renaming, its file gets its name back.
        """
        aside = {path: path.with_name(path.name + REMOVING_SUFFIX) for path in paths}
        await anyio.to_thread.run_sync(_rename, aside)
        known = await self._jobs.by_ids(list({_job_id_of(path) for path in paths}))
        wanted = {
            path
            for path in paths
            if (job := known.get(_job_id_of(path))) and not job.status.terminal
        }
        await anyio.to_thread.run_sync(_rename, {aside[path]: path for path in wanted})
        await anyio.to_thread.run_sync(_unlink, [aside[path] for path in paths])


def _job_id_of(path: Path) -> str:
    return path.name.split(".")[0]


def _modified_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _rename(names: Mapping[Path, Path]) -> None:
    for old, new in names.items():
        try:
            old.rename(new)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("cannot move %s: %s", old, error.strerror)


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # one file that cannot be removed must not stop the sweep
            log.warning("cannot remove %s: %s", path, error.strerror)
