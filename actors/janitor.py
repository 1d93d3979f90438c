"""Clears away what nobody needs any more."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

import anyio

from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.messages import JanitorMessage, Release, Remove, Sweep
from storage.blobs import GOING, Spool
from storage.jobs import Jobs
from storage.records import Job, SpeakersStatus
from storage.speakers import SpeakerTurns
from storage.times import seconds

log = logging.getLogger(__name__)

EVERY_S = 600.0
ORPHANED_S = 3600.0
"""A file without a job is younger than this while its upload may still be on its way."""


OPEN = (SpeakersStatus.PENDING, SpeakersStatus.RUNNING)


class Janitor(Actor[JanitorMessage]):
    def __init__(
        self,
        mailbox: Mailbox[JanitorMessage],
        *,
        jobs: Jobs,
        speakers: SpeakerTurns,
        spool: Spool,
        keep_input_secs: float,
    ) -> None:
        """``keep_input_secs``: how long an ended job's submitted file stays; 0 is not at all."""
        super().__init__(mailbox)
        self._jobs, self._speakers, self._spool = jobs, speakers, spool
        self._keep_input_secs = keep_input_secs

    async def started(self) -> None:
        self.me.tell(Sweep())

    async def handle(self, message: JanitorMessage) -> object:
        match message:
            case Release(job_id):
                return await self._release(job_id)
            case Remove(job_id):
                files = [self._spool.pcm(job_id), self._spool.input(job_id)]
                return await anyio.to_thread.run_sync(_unlink, files)
            case Sweep():
                return await self._sweep()
            case _:
                assert_never(message)

    async def _release(self, job_id: str) -> None:
        job = await self._jobs.get(job_id)
        if job is not None and not job.status.terminal:
            return  # it was restarted since
        await anyio.to_thread.run_sync(_unlink, [self._spool.pcm(job_id)])
        if not self._keep_input_secs and not await self._still_heard(job):
            await self._remove([self._spool.input(job_id)])

    async def _still_heard(self, job: Job | None) -> bool:
        """Whether somebody still listens for its speakers, and releases it again afterwards."""
        if job is None:
            return False
        speakers = (await self._speakers.of_jobs([job])).get(job.number)
        return speakers is not None and speakers.status in OPEN

    async def _sweep(self) -> None:
        """Remove orphans, and the inputs of ended jobs whose time has come."""
        self.later(EVERY_S, Sweep())
        files = await anyio.to_thread.run_sync(self._spool.files)
        now = time.time()
        idle = {path: now - changed for path in files if (changed := _changed(path)) is not None}
        known = await self._jobs.known(list({_owner(path) for path in idle}))
        doomed = []
        for path, age in idle.items():
            job = known.get(_owner(path))
            if job is None:
                keep = age < ORPHANED_S
            elif not job.status.terminal:
                keep = True
            else:
                keep = path.suffix == ".input" and await self._is_kept(job, now)
            if not keep:
                doomed.append(path)
        if doomed:
            log.info("removing %d files that nobody needs", len(doomed))
            await self._remove(doomed)

    async def _is_kept(self, job: Job, now: float) -> bool:
        assert job.completed_at
        since = now - seconds(job.completed_at)
        return since < self._keep_input_secs or await self._still_heard(job)

    async def _remove(self, paths: list[Path]) -> None:
        """But for those of a job that is restarted meanwhile: out of its sight first, a restart
        that comes later finds nothing; one that came before has its file again."""
        aside = {path: path.with_name(path.name + GOING) for path in paths}
        await anyio.to_thread.run_sync(_rename, aside)
        known = await self._jobs.known(list({_owner(path) for path in paths}))
        wanted = {
            path for path in paths if (job := known.get(_owner(path))) and not job.status.terminal
        }
        await anyio.to_thread.run_sync(_rename, {aside[path]: path for path in wanted})
        await anyio.to_thread.run_sync(_unlink, [aside[path] for path in paths])


def _owner(path: Path) -> str:
    return path.name.split(".")[0]


def _changed(path: Path) -> float | None:
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
        except OSError as error:  # a file that stays is no reason to stop
            log.warning("cannot remove %s: %s", path, error.strerror)
