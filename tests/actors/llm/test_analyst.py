"""Which texts are written when, against a real SQLite file, with the language model in hand."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.jobs.messages import JobChanged, JobEnded, TextSettled
from actors.llm.analyst import MAX_PARALLEL, MAX_TRIES, Analyst
from actors.llm.child import Answer
from actors.llm.messages import AnalystMessage, RequestText, TextWritten
from storage.accounts import Accounts
from storage.database import open_database
from storage.errors import Conflict, NotFound
from storage.jobs import Jobs
from storage.records import (
    Chunk,
    Job,
    Order,
    Permission,
    Segment,
    Span,
    Status,
    Task,
    Text,
    TextKind,
    TextStatus,
)
from storage.texts import Texts
from storage.usage import Usage
from tests.probe import Probe

pytestmark = pytest.mark.anyio

EARLIER, AT = "2026-05-10T13:00:00.000Z", "2026-05-10T14:00:00.000Z"
ANALYSIS, TRANSLATION = TextKind.ANALYSIS, TextKind.TRANSLATION


@dataclass
class Author:
    """Writes what the test says, once it may."""

    answers: Answer | Exception = field(
        default_factory=lambda: Answer(text="It is about bread.", model="m", tokens=7)
    )
    asked: list[tuple[TextKind, str, Sequence[str]]] = field(default_factory=list)
    begun: Probe[str] = field(default_factory=Probe)
    """The language of each text that it sits down to."""
    may_answer: anyio.Event = field(default_factory=anyio.Event)
    under_way: int = 0
    most_under_way: int = 0

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def write(self, kind: TextKind, language: str, lines: Sequence[str]) -> Answer:
        self.asked.append((kind, language, lines))
        self.begun.tell(language)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.may_answer.wait()
        finally:
            self.under_way -= 1
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    def hesitates(self) -> None:
        self.may_answer = anyio.Event()


@dataclass
class House:
    jobs: Jobs
    texts: Texts
    usage: Usage
    accounts: Accounts
    author: Author = field(default_factory=Author)
    me: Probe[AnalystMessage] = field(default_factory=lambda: Probe("analyst"))
    facts: Probe[Any] = field(default_factory=Probe)
    absent: bool = False
    """Whether there is no language model."""
    tokens_a_day: int = 0

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            actor = Analyst(
                self.me,
                texts=self.texts,
                jobs=self.jobs,
                usage=self.usage,
                publish=self.facts.tell,
                write=None if self.absent else self.author.write,
                tokens_a_day=self.tokens_a_day,
            )
            group.start_soon(actor.run)
            yield
            group.cancel_scope.cancel()

    async def job(self, name: str, *lines: str, **order: Any) -> Job:
        """A job that is done, of which nobody has been told yet."""
        await self.jobs.insert(name, Order(**order), 1, AT)
        await self.jobs.plan(name, 1.0, [Chunk(ordinal=0, spans=(Span(0, 16_000),))])
        await self.jobs.start(name)
        heard = [
            Segment(index=n, start=0.0, end=1.0, text=line, language="en")
            for n, line in enumerate(lines or ("Hello.", " ", " Bye. "))
        ]
        await self.jobs.commit_chunk(name, 0, [] if lines == ("",) else heard)
        job: Job | None = await self.jobs.finish(name, Status.DONE, AT, 0.0)
        assert job
        return job

    async def assisted(self, name: str, **order: Any) -> Job:
        return await self.job(name, assisted=True, **order)

    def ended(self, job: Job) -> None:
        self.me.tell(JobEnded(job.id, job.order))

    async def settled(self, count: int = 1) -> list[str]:
        """The jobs of that many texts, once these are settled."""
        return [(await self.facts.next(TextSettled)).job_id for _ in range(count)]

    async def handled(self) -> None:
        """Everything told before."""
        with pytest.raises(NotFound):
            await self.request("nobody")

    async def request(self, job_id: str, language: str = "fr") -> None:
        await self.me.ask(RequestText(job_id, TRANSLATION, language))

    async def texts_of(self, job: Job) -> list[Text]:
        return (await self.texts.of_jobs([job]))[job.number]

    async def text_of(self, job: Job) -> Text:
        (text,) = await self.texts_of(job)
        return text


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """With an empty database, before the analyst lives."""
    async with open_database(tmp_path / "a.db") as database:
        yield House(Jobs(database), Texts(database), Usage(database), Accounts(database))


@pytest.fixture
async def living(house: House) -> AsyncIterator[House]:
    async with house.living():
        yield house


async def test_a_done_jobs_texts_are_written_from_its_transcript(living: House) -> None:
    job = await living.assisted("a", analysis_language="sv", translations=("de",))
    living.ended(job)
    assert await living.settled(2) == ["a", "a"]
    assert sorted(living.author.asked) == [
        (ANALYSIS, "sv", ["Hello.", "Bye."]),
        (TRANSLATION, "de", ["Hello.", "Bye."]),
    ]
    for text in await living.texts_of(job):
        assert (text.status, text.text) == (TextStatus.DONE, "It is about bread.")
        assert (text.model, text.tokens, text.truncated, text.error) == ("m", 7, False, None)


async def test_the_end_of_a_job_that_is_not_assisted_asks_nobody(living: House) -> None:
    job = await living.job("a")
    waiting = await living.assisted("b")
    living.ended(job)
    await living.handled()
    assert (living.author.asked, await living.texts_of(job)) == ([], [])
    assert (await living.text_of(waiting)).status is TextStatus.PENDING
    living.ended(waiting)
    assert await living.settled() == ["b"]


async def test_what_waits_at_the_start_is_begun(house: House) -> None:
    await house.assisted("a")
    async with house.living():
        assert await house.settled() == ["a"]


async def test_a_transcript_that_was_cut_says_so(living: House) -> None:
    living.author.answers = Answer(text="The half.", model="m", tokens=7, truncated=True)
    job = await living.assisted("a")
    living.ended(job)
    await living.settled()
    assert (await living.text_of(job)).truncated


async def test_few_texts_are_written_at_once_and_the_others_follow(living: House) -> None:
    living.author.hesitates()
    jobs = [await living.assisted(name) for name in "abcde"]
    for job in jobs:
        living.ended(job)
    for _ in range(MAX_PARALLEL):
        await living.author.begun.next()
    await living.handled()
    statuses = [(await living.text_of(job)).status for job in jobs]
    assert statuses.count(TextStatus.RUNNING) == MAX_PARALLEL
    assert statuses.count(TextStatus.PENDING) == len(jobs) - MAX_PARALLEL
    living.author.may_answer.set()
    assert sorted(await living.settled(len(jobs))) == ["a", "b", "c", "d", "e"]
    assert living.author.most_under_way == MAX_PARALLEL


async def test_a_text_that_fails_says_why_and_costs_what_was_spent(living: House) -> None:
    living.author.answers = Answer(error="the language model did not answer in time", tokens=5)
    job = await living.assisted("a")
    living.ended(job)
    await living.settled()
    text = await living.text_of(job)
    assert (text.status, text.text, text.tokens) == (TextStatus.FAILED, None, 5)
    assert text.error == "the language model did not answer in time"


async def test_an_error_of_ours_fails_the_text_and_not_the_analyst(living: House) -> None:
    living.author.answers = RuntimeError("/secret/path")
    job = await living.assisted("a")
    living.ended(job)
    await living.settled()
    text = await living.text_of(job)
    assert text.status is TextStatus.FAILED
    assert text.error == "an error in the server, which its log shows"
    living.author.answers = Answer(text="Better.")
    living.ended(await living.assisted("b"))
    assert await living.settled() == ["b"]


async def test_a_text_over_which_the_server_ends_each_time_is_given_up(house: House) -> None:
    job = await house.assisted("a")
    house.author.hesitates()
    for _ in range(MAX_TRIES):
        async with house.living():
            await house.author.begun.next()
    house.author.may_answer.set()
    async with house.living():
        assert await house.settled() == ["a"]
    text = await house.text_of(job)
    assert (text.status, len(house.author.asked)) == (TextStatus.FAILED, MAX_TRIES)
    assert text.error == "the server ended 3 times while it worked on this text"


async def test_a_text_that_was_given_up_may_be_asked_for_again(living: House) -> None:
    job = await living.job("a")
    living.author.answers = Answer(error="no")
    await living.request("a")
    await living.settled()
    living.author.answers = Answer(text="Bonjour.")
    await living.request("a")
    await living.settled()
    text = await living.text_of(job)
    assert (text.status, text.text, text.error) == (TextStatus.DONE, "Bonjour.", None)


async def test_whoever_has_used_up_the_days_budget_gets_no_more_today(house: House) -> None:
    house.tokens_a_day = 10
    owners = [
        (
            await house.accounts.add(f"{n}@b", "x", admin=False, may=[Permission.ASSIST], now=AT)
        ).number
        for n in range(2)
    ]
    async with house.living():
        for name, owner in (("a", owners[0]), ("b", owners[0]), ("c", owners[0]), ("d", owners[1])):
            house.ended(await house.assisted(name, owner=owner))
            await house.settled()
    found = [(await house.jobs.get(name)) for name in "abcd"]
    outcomes = [(await house.text_of(job)).error for job in found if job]
    spent = "the language model's budget for today is used up"
    assert outcomes == [None, None, spent, None], "14 tokens of 10 are spent by then"
    assert len(house.author.asked) == 3


async def test_a_budget_is_for_accounts_alone(house: House) -> None:
    house.tokens_a_day = 1
    async with house.living():
        for name in "ab":
            house.ended(await house.assisted(name))
            await house.settled()
    assert len(house.author.asked) == 2


async def test_a_text_that_is_asked_for_is_written_and_shown_at_once(living: House) -> None:
    job = await living.job("a")
    living.author.hesitates()
    await living.request("a", "fr")
    assert living.facts.told() == [JobChanged("a")]
    assert (await living.text_of(job)).status is TextStatus.RUNNING
    living.author.may_answer.set()
    assert await living.settled() == ["a"]
    assert living.author.asked == [(TRANSLATION, "fr", ["Hello.", "Bye."])]


async def test_a_text_that_is_being_written_is_not_begun_again(living: House) -> None:
    await living.job("a")
    living.author.hesitates()
    for _ in range(2):
        await living.request("a")
    living.author.may_answer.set()
    await living.settled()
    await living.handled()
    assert len(living.author.asked) == 1


async def test_of_what_is_not_there_no_text_can_be_had(living: House) -> None:
    with pytest.raises(NotFound, match="job nobody not found"):
        await living.request("nobody")
    waiting = await living.jobs.insert("waiting", Order(), 1, AT)
    silent = await living.job("silent", "")
    for job in (waiting, silent):
        with pytest.raises(Conflict, match="There is no transcript to work on"):
            await living.request(job.id)
        assert await living.texts_of(job) == []
    assert living.facts.told() == []


async def test_without_a_language_model_nothing_can_be_asked_for(house: House) -> None:
    house.absent = True
    job = await house.job("a")
    async with house.living():
        with pytest.raises(Conflict, match="No language model is set up on this server"):
            await house.request("a")
    assert await house.texts_of(job) == []


async def test_what_waits_for_a_language_model_that_is_gone_fails(house: House) -> None:
    house.absent = True
    job = await house.assisted("a")
    async with house.living():
        await house.settled()
    assert (await house.text_of(job)).error == "no language model is set up on this server"


@pytest.mark.parametrize(
    ("order", "own"),
    [({}, "en"), ({"language": "de"}, "de"), ({"language": "de", "task": Task.TRANSLATE}, "en")],
)
async def test_a_translation_into_the_transcripts_own_language_asks_nobody(
    living: House, order: dict[str, Any], own: str
) -> None:
    job = await living.job("a", **order)
    await living.request("a", own)
    await living.settled()
    text = await living.text_of(job)
    assert (text.status, text.text, text.tokens) == (TextStatus.DONE, "Hello.\nBye.", 0)
    assert living.author.asked == []


async def test_an_english_translation_can_be_had_in_the_language_that_was_spoken(
    living: House,
) -> None:
    await living.job("a", language="de", task=Task.TRANSLATE)
    await living.request("a", "de")
    await living.settled()
    assert living.author.asked == [(TRANSLATION, "de", ["Hello.", "Bye."])]


async def test_a_job_that_is_deleted_under_a_text_harms_nobody(living: House) -> None:
    living.author.hesitates()
    living.ended(await living.assisted("a"))
    await living.handled()
    await living.jobs.delete("a")
    living.author.may_answer.set()
    await living.settled()
    living.ended(await living.assisted("b"))
    assert await living.settled() == ["b"]


async def test_answers_to_an_analyst_that_crashed_make_room_for_no_other_text(
    house: House,
) -> None:
    jobs = [await house.assisted(name) for name in "abcdef"]
    for job in jobs[:MAX_PARALLEL]:
        text = await house.text_of(job)
        await house.texts.begin(text, EARLIER)
        house.me.tell(TextWritten(text, job.id, Answer(text="In time.")))
    house.author.hesitates()
    async with house.living():
        for _ in range(MAX_PARALLEL):
            await house.author.begun.next()
        await house.settled(MAX_PARALLEL)
        await house.handled()
        statuses = [(await house.text_of(job)).status for job in jobs]
        assert statuses.count(TextStatus.RUNNING) == 0, "what was answered is not running any more"
        assert (await house.text_of(jobs[0])).text == "In time."
        house.author.may_answer.set()
        await house.settled(len(jobs))
    assert house.author.most_under_way == MAX_PARALLEL
