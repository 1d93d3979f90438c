"""What is removed, and what is not."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from actors.jobs.janitor import Janitor
from actors.jobs.messages import JanitorMessage, Release, Sweep
from actors.kernel.mailbox import Mailbox
from storage.blobs import Spool
from storage.records import Job, Speakers, SpeakersStatus, Status
from storage.times import utc
from tests.records import job

pytestmark = pytest.mark.anyio

SWEEP, RELEASE = Sweep(), Release("a")


class Rows:
    """What `storage.jobs` and `storage.speakers` tell of one job."""

    def __init__(self, *states: Job, speakers: SpeakersStatus | None = None) -> None:
        """At each look but the last the first of ``states`` goes."""
        self.states, self.speakers = list(states), speakers

    def _now(self) -> Job:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    async def get(self, job_id: str) -> Job | None:
        return self._now()

    async def known(self, ids: Sequence[str]) -> dict[str, Job]:
        return {found.id: found for found in [self._now()] if found.id in ids} if ids else {}

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


async def is_kept(
    rows: Rows, folder: Path, message: JanitorMessage = SWEEP, keep_secs: float = 0
) -> bool:
    """Whether the input is there afterwards. The file itself is of long ago."""
    spool, me = Spool(folder), Mailbox[JanitorMessage]("janitor")
    janitor = Janitor(me, jobs=rows, speakers=rows, spool=spool, keep_input_secs=keep_secs)  # type: ignore[arg-type]
    async with anyio.create_task_group() as group:
        group.start_soon(janitor.run)
        await me.ask(SWEEP)  # after its own first one, which finds nothing
        spool.input("a").write_bytes(b"x")
        os.utime(spool.input("a"), (0, 0))
        await me.ask(message)
        group.cancel_scope.cancel()
    assert {path.name for path in spool.files()} <= {"a.input"}
    return spool.input("a").exists()


@pytest.mark.parametrize("message", [SWEEP, RELEASE])
async def test_the_input_of_an_ended_job_goes(tmp_path: Path, message: JanitorMessage) -> None:
    assert not await is_kept(Rows(ended()), tmp_path, message)


@pytest.mark.parametrize("message", [SWEEP, RELEASE])
async def test_it_stays_while_speakers_are_listened_for(
    tmp_path: Path, message: JanitorMessage
) -> None:
    rows = Rows(ended(), speakers=SpeakersStatus.PENDING)
    assert await is_kept(rows, tmp_path, message)


async def test_how_long_it_stays_counts_from_the_end_of_its_job(tmp_path: Path) -> None:
    assert await is_kept(Rows(ended(10)), tmp_path, keep_secs=3600)
    assert not await is_kept(Rows(ended(7200)), tmp_path, keep_secs=3600)


@pytest.mark.parametrize("message", [SWEEP, RELEASE])
async def test_a_job_that_is_restarted_meanwhile_has_its_input_again(
    tmp_path: Path, message: JanitorMessage
) -> None:
    rows = Rows(ended(), job(id="a", status=Status.QUEUED))
    assert await is_kept(rows, tmp_path, message)


async def test_the_file_of_nobody_goes_after_an_hour(tmp_path: Path) -> None:
    assert not await is_kept(Rows(job(id="b")), tmp_path)
