import anyio
import pytest

from actors.kernel.mailbox import Full, Mailbox, Question
from storage.errors import Busy, Conflict, NotFound

pytestmark = pytest.mark.anyio


class Twice(Question[int], frozen=True):
    number: int


async def test_an_answer_reaches_the_asker() -> None:
    mailbox: Mailbox[Twice] = Mailbox("doubler")

    async def double() -> None:
        envelope = await mailbox.receive()
        assert envelope.reply
        envelope.reply.answer(envelope.message.number * 2)

    async with anyio.create_task_group() as group:
        group.start_soon(double)
        assert await mailbox.ask(Twice(21)) == 42


async def test_a_refusal_reaches_the_asker() -> None:
    mailbox: Mailbox[Twice] = Mailbox("doubler")

    async def refuse() -> None:
        envelope = await mailbox.receive()
        assert envelope.reply
        envelope.reply.fail(NotFound("no such number"))

    async with anyio.create_task_group() as group:
        group.start_soon(refuse)
        with pytest.raises(NotFound, match="no such number"):
            await mailbox.ask(Twice(1))


async def test_nobody_who_answers_in_time_is_busy() -> None:
    with pytest.raises(Busy, match="doubler did not answer"):
        await Mailbox[Twice]("doubler").ask(Twice(1), within=0.01)


async def test_a_full_mailbox_refuses_instead_of_waiting() -> None:
    mailbox: Mailbox[Twice] = Mailbox("doubler", capacity=1)
    mailbox.tell(Twice(1))
    with pytest.raises(Full, match="too much to do"):
        mailbox.tell(Twice(2))
    with pytest.raises(Busy, match="too much to do"):
        await mailbox.ask(Twice(2))


async def test_the_first_answer_counts() -> None:
    mailbox: Mailbox[Twice] = Mailbox("doubler")

    async def answer_twice() -> None:
        envelope = await mailbox.receive()
        assert envelope.reply
        envelope.reply.answer(1)
        envelope.reply.fail(Conflict("too late"))

    async with anyio.create_task_group() as group:
        group.start_soon(answer_twice)
        assert await mailbox.ask(Twice(1)) == 1


async def test_it_is_seen_how_many_messages_wait_and_how_long() -> None:
    mailbox: Mailbox[int] = Mailbox("slow")
    assert (mailbox.depth, mailbox.wait_secs) == (0, 0.0)
    mailbox.tell(1)
    await anyio.sleep(0.01)
    mailbox.tell(2)
    waited = mailbox.wait_secs
    assert (mailbox.depth, waited >= 0.01) == (2, True)
    await mailbox.receive()
    assert (mailbox.depth, mailbox.wait_secs < waited) == (1, True)
    await mailbox.receive()
    assert (mailbox.depth, mailbox.wait_secs) == (0, 0.0)
