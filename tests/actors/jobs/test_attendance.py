"""Who waits for which job, in virtual time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
import trio.testing

from actors.jobs.attendance import GRACE_S, Attendance
from actors.jobs.messages import (
    Attend,
    AttendanceMessage,
    JobAbandoned,
    Leave,
    UploadBegun,
    UploadEnded,
)
from actors.kernel.mailbox import Mailbox
from tests.probe import Probe

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class House:
    me: Mailbox[AttendanceMessage] = field(default_factory=lambda: Mailbox("attendance"))
    facts: Probe[Any] = field(default_factory=Probe)

    async def after(self, secs: float, *messages: AttendanceMessage) -> list[Any]:
        """What is published within that time of these messages."""
        for message in messages:
            self.me.tell(message)
        await anyio.sleep(secs)
        return self.facts.told()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with anyio.create_task_group() as group:
        group.start_soon(Attendance(house.me, publish=house.facts.tell).run)
        yield house
        group.cancel_scope.cancel()


async def test_a_job_that_nobody_waits_for_any_more_is_given_up_after_a_while(
    house: House,
) -> None:
    assert await house.after(GRACE_S - 1, Attend("a"), Leave("a", 1)) == []
    assert await house.after(2) == [JobAbandoned("a", 1)]


async def test_a_job_is_kept_while_somebody_else_waits_for_it(house: House) -> None:
    assert await house.after(100, Attend("a"), Attend("a"), Leave("a", 1)) == []
    assert await house.after(100, Leave("a", 1)) == [JobAbandoned("a", 1)]


async def test_a_client_that_comes_again_in_time_keeps_its_job(house: House) -> None:
    assert await house.after(GRACE_S - 1, Attend("a"), Leave("a", 1)) == []
    assert await house.after(100, Attend("a")) == []


async def test_nothing_is_given_up_while_an_upload_may_be_the_same_request(house: House) -> None:
    assert await house.after(100, UploadBegun(), Attend("a"), Leave("a", 1)) == []
    assert await house.after(GRACE_S, UploadEnded()) == [JobAbandoned("a", 1)]


async def test_an_upload_that_was_not_counted_does_no_harm(house: House) -> None:
    assert await house.after(100, UploadEnded(), UploadBegun(), Attend("a"), Leave("a", 1)) == []


async def test_whoever_was_counted_before_a_crash_does_no_harm(house: House) -> None:
    assert await house.after(100, Attend("a"), Leave("a", 1), Leave("a", 1), Attend("a")) == []


async def test_an_upload_that_never_ends_does_not_keep_jobs_for_ever(house: House) -> None:
    assert await house.after(300, UploadBegun(), Attend("a"), Leave("a", 1)) == []
    assert await house.after(400) == [JobAbandoned("a", 1)]


async def test_a_client_that_comes_and_goes_again_begins_the_time_anew(house: House) -> None:
    assert await house.after(GRACE_S - 1, Attend("a"), Leave("a", 1)) == []
    assert await house.after(GRACE_S - 1, Attend("a"), Leave("a", 1)) == []
    assert await house.after(2) == [JobAbandoned("a", 1)]
