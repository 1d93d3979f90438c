"""What is removed, and what is not."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.jobs.janitor import Janitor
from actors.jobs.messages import JanitorMessage, JobEnded, JobExpired, Sweep
from actors.jobs.settings import RetentionSettings
from actors.kernel.mailbox import Mailbox
from actors.media.messages import MakeRoom
from storage.blobs import Spool
from storage.records import Job, Order, Speakers, SpeakersStatus, Status
from storage.times import utc
from tests.probe import Probe
from tests.records import job

pytestmark = pytest.mark.anyio

SWEEP, ENDED = Sweep(), JobEnded("a", Order())


class Rows:
    """What `storage.jobs` and `storage.speakers` tell of one job."""

    def __init__(self, *states: Job, speakers: SpeakersStatus | None = None) -> None:
        """At each look but the last the first of ``states`` goes."""
        self.states, self.speakers = list(states), speakers

    def _now(self) -> Job:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    async def get(self, job_id: str) -> Job | None:
        return self._now()

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Job]:
        return {found.id: found for found in [self._now()] if found.id in ids} if ids else {}

    async def ended_before(self, moment: str, most: int) -> list[Job]:
        job = self._now()
        return [job] if job.completed_at and job.completed_at < moment else []

    async def of_jobs(self, jobs: Sequence[Job]) -> dict[int, Speakers]:
        if self.speakers is None:
            return {}
        found = Speakers(
            job_number=jobs[0].number, status=self.speakers, provider=None, turns=(), error=None,
            tries=0, updated_at="",
        )  # fmt: skip
        return {jobs[0].number: found}


def ended(secs_ago: float = 0) -> Job:
    return job(id="a", status=Status.DONE, completed_at=utc(time.time() - secs_ago))


def janitor(rows: Rows, spool: Spool, **settings: float) -> tuple[Janitor, Probe[Any]]:
    """One that keeps recordings for no time unless told otherwise, and what it publishes."""
    facts: Probe[Any] = Probe()
    retention = RetentionSettings(**{"keep_upload_hours": 0.0, **settings})
    return Janitor(
        Mailbox("janitor"), jobs=rows, speakers=rows, spool=spool,  # type: ignore[arg-type]
        publish=facts.tell, retention=retention,
    ), facts  # fmt: skip


async def is_kept(
    rows: Rows, folder: Path, message: JanitorMessage = SWEEP, keep_hours: float = 0
) -> bool:
    """Whether the input is there afterwards. The file itself is of long ago."""
    spool = Spool(folder)
    actor, _ = janitor(rows, spool, keep_upload_hours=keep_hours)
    async with anyio.create_task_group() as group:
        group.start_soon(actor.run)
        await actor.me.ask(SWEEP)  # after its own first one, which finds nothing
        spool.input("a").write_bytes(b"x")
        os.utime(spool.input("a"), (0, 0))
        await actor.me.ask(message)
        group.cancel_scope.cancel()
    assert {path.name for path in spool.files()} <= {"a.input"}
    return spool.input("a").exists()


@pytest.mark.parametrize("message", [SWEEP, ENDED])
async def test_the_input_of_an_ended_job_goes(tmp_path: Path, message: JanitorMessage) -> None:
    assert not await is_kept(Rows(ended()), tmp_path, message)


@pytest.mark.parametrize("message", [SWEEP, ENDED])
async def test_it_stays_while_speakers_are_listened_for(
    tmp_path: Path, message: JanitorMessage
) -> None:
    rows = Rows(ended(), speakers=SpeakersStatus.PENDING)
    assert await is_kept(rows, tmp_path, message)


async def test_how_long_it_stays_counts_from_the_end_of_its_job(tmp_path: Path) -> None:
    assert await is_kept(Rows(ended(10)), tmp_path, keep_hours=1)
    assert not await is_kept(Rows(ended(7200)), tmp_path, keep_hours=1)


@pytest.mark.parametrize("message", [SWEEP, ENDED])
async def test_a_job_that_is_restarted_meanwhile_has_its_input_again(
    tmp_path: Path, message: JanitorMessage
) -> None:
    rows = Rows(ended(), job(id="a", status=Status.QUEUED))
    assert await is_kept(rows, tmp_path, message)


async def test_the_file_of_nobody_goes_after_an_hour(tmp_path: Path) -> None:
    assert not await is_kept(Rows(job(id="b")), tmp_path)


class Disk(Spool):
    """A disk on which every recording takes a gigabyte."""

    def __init__(self, folder: Path, spare: int) -> None:
        super().__init__(folder)
        self._spare_at_first = spare

    def spare_bytes(self) -> int:
        gone = 3 - sum(path.suffix == ".input" for path in self.files())
        return self._spare_at_first + gone * GIGABYTE


GIGABYTE = 1 << 30


class Three(Rows):
    """Jobs that ended one after the other: the last number is the oldest."""

    def __init__(self, speakers: SpeakersStatus | None = None) -> None:
        super().__init__(ended(), speakers=speakers)
        self.jobs = {
            name: job(id=name, status=Status.DONE, completed_at=utc(time.time() - 3600 * n))
            for n, name in enumerate("abc")
        }

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Job]:
        return {name: self.jobs[name] for name in ids}


async def kept_on(disk: Disk, rows: Rows, message: JanitorMessage, **settings: Any) -> set[str]:
    """Whose recordings are there after the message."""
    for name in "abc":
        disk.input(name).write_bytes(b"x")
    actor, _ = janitor(rows, disk, **{"keep_upload_hours": None, **settings})
    async with anyio.create_task_group() as group:
        group.start_soon(actor.run)
        await actor.me.ask(message)
        group.cancel_scope.cancel()
    return {path.stem for path in disk.files()}


async def test_recordings_are_kept_while_the_disk_has_room(tmp_path: Path) -> None:
    assert await kept_on(Disk(tmp_path, 2 * GIGABYTE), Three(), SWEEP) == {"a", "b", "c"}


async def test_on_a_full_disk_the_oldest_recordings_go_first(tmp_path: Path) -> None:
    assert await kept_on(Disk(tmp_path, 0), Three(), SWEEP) == {"a", "b"}


async def test_an_upload_that_needs_room_is_given_as_much_as_it_needs(tmp_path: Path) -> None:
    disk = Disk(tmp_path, GIGABYTE)
    assert await kept_on(disk, Three(), MakeRoom(3 * GIGABYTE)) == {"a"}


async def test_recordings_that_are_in_use_stay_on_a_full_disk(tmp_path: Path) -> None:
    rows = Three(speakers=SpeakersStatus.RUNNING)
    assert await kept_on(Disk(tmp_path, 0), rows, SWEEP) == {"a", "b", "c"}


async def test_who_has_set_how_long_recordings_stay_has_them_so_long(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 0)
    assert await kept_on(disk, Three(), SWEEP, keep_upload_hours=24) == {"a", "b", "c"}


@pytest.mark.parametrize(("days", "expired"), [(None, []), (2, []), (0.5, [JobExpired("a")])])
async def test_a_job_expires_after_the_days_that_jobs_are_kept(
    tmp_path: Path, days: float | None, expired: list[JobExpired]
) -> None:
    settings: dict[str, Any] = {"keep_upload_hours": None, "keep_jobs_days": days}
    actor, facts = janitor(Rows(ended(86_400)), Spool(tmp_path), **settings)
    async with anyio.create_task_group() as group:
        group.start_soon(actor.run)
        await actor.me.ask(SWEEP)
        group.cancel_scope.cancel()
    assert facts.told() == expired
