"""Corrections, names and search: what people add to a transcript, and how they find it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.corrections import Corrections
from storage.database import Database, open_database
from storage.job_queries import EVERYTHING
from storage.jobs import Jobs
from storage.records import (
    Chunk,
    Job,
    Order,
    Segment,
    Span,
    SpeakersStatus,
    Status,
    Turn,
    View,
    Word,
)
from storage.search import MARK, Search, _query
from storage.speakers import SpeakerTurns

pytestmark = pytest.mark.anyio

NOW = "2026-05-10T14:00:00.000Z"
LATER = "2026-05-10T15:00:00.000Z"
PLAN = (Chunk(ordinal=0, spans=(Span(0, 16_000),)),)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "a.db") as database:
        yield database


async def done(database: Database, job_id: str, *texts: str, **order: object) -> Job:
    jobs = Jobs(database)
    await jobs.insert(job_id, Order(**order), 1, NOW)  # type: ignore[arg-type]
    await jobs.plan(job_id, 9.0, PLAN, b"\x00\xff")
    await jobs.start(job_id)
    segments = [
        Segment(index=n, start=n, end=n + 1, text=text, words=(Word(text, n, n + 1, 0.5),))
        for n, text in enumerate(texts)
    ]
    await jobs.commit_chunk(job_id, 0, segments)
    job = await jobs.finish(job_id, Status.DONE, NOW, 0.0)
    assert job is not None
    return job


async def texts(database: Database, job: Job, *, raw: bool = False) -> list[str]:
    return [segment.text for segment in await Jobs(database).transcript(job, raw=raw)]


async def test_a_correction_is_what_the_transcript_says_and_the_raw_text_stays(
    database: Database,
) -> None:
    job = await done(database, "a", "helo", "world")
    corrections = Corrections(database)
    assert await corrections.put(job, 0, "hello", [Word("hello", 0.0, 1.0, 1.0)], None, NOW)
    assert await texts(database, job) == ["hello", "world"]
    assert await texts(database, job, raw=True) == ["helo", "world"]
    first, second = await Jobs(database).transcript(job)
    assert (first.corrected, second.corrected) == (True, False)
    assert first.words == (Word("hello", 0.0, 1.0, 1.0),)


async def test_every_version_is_kept_and_any_segment_goes_back(database: Database) -> None:
    job = await done(database, "a", "one", "two")
    corrections = Corrections(database)
    await corrections.put(job, 0, "won", [], None, NOW)
    await corrections.put(job, 0, "One", [], None, LATER)
    await corrections.put(job, 0, None, [], None, LATER)
    assert await texts(database, job) == ["one", "two"]
    assert [version.text for version in await corrections.versions(job, 0)] == [None, "One", "won"]
    assert await corrections.versions(job, 1) == []


async def test_everything_goes_back_at_once_and_that_is_a_version_too(database: Database) -> None:
    job = await done(database, "a", "one", "two", "three")
    corrections = Corrections(database)
    await corrections.put(job, 0, "1", [], None, NOW)
    await corrections.put(job, 1, "2", [], None, NOW)
    await corrections.put(job, 1, None, [], None, NOW)
    assert await corrections.restore(job, None, LATER) == 1
    assert await texts(database, job) == ["one", "two", "three"]
    assert len(await corrections.versions(job)) == 4


async def test_only_segments_of_a_job_that_is_done_can_be_corrected(database: Database) -> None:
    job = await done(database, "a", "one")
    assert not await Corrections(database).put(job, 7, "x", [], None, NOW)
    await Jobs(database).insert("b", Order(), 1, NOW)
    running = await Jobs(database).get("b")
    assert running is not None
    assert not await Corrections(database).put(running, 0, "x", [], None, NOW)


async def test_deleting_a_job_takes_corrections_waveform_and_search_along(
    database: Database,
) -> None:
    job = await done(database, "a", "needle")
    await Corrections(database).put(job, 0, "needles", [], None, NOW)
    assert await Jobs(database).waveform(job) == b"\x00\xff"
    await Jobs(database).delete("a")
    assert await Search(database).spoken("needles", EVERYTHING, 10) == []
    assert await Corrections(database).versions(job) == []
    assert await Jobs(database).waveform(job) == b""


async def test_search_finds_the_second_at_which_it_was_said(database: Database) -> None:
    job = await done(database, "a", "good morning", "two cups of coffee")
    (hit,) = await Search(database).spoken("coffee cup", EVERYTHING, 10)
    assert (hit.job.number, hit.position, hit.start) == (job.number, 1, 1.0)
    assert hit.excerpt == f"two cups of {MARK[0]}coffee{MARK[1]}".replace(
        "cups", f"{MARK[0]}cups{MARK[1]}"
    )


async def test_search_reads_what_people_corrected_and_no_longer_what_they_replaced(
    database: Database,
) -> None:
    job = await done(database, "a", "wreck a nice beach")
    await Corrections(database).put(job, 0, "recognise speech", [], None, NOW)
    search = Search(database)
    assert await search.spoken("beach", EVERYTHING, 10) == []
    assert len(await search.spoken("recognise", EVERYTHING, 10)) == 1
    await Corrections(database).restore(job, None, LATER)
    assert len(await search.spoken("beach", EVERYTHING, 10)) == 1


async def test_search_shows_nobody_what_is_not_theirs_nor_what_was_cancelled(
    database: Database,
) -> None:
    await done(database, "a", "secret", channel="web")
    search = Search(database)
    assert await search.spoken("secret", View(channels=("api",)), 10) == []
    jobs = Jobs(database)
    await jobs.insert("b", Order(), 1, NOW)
    await jobs.plan("b", 9.0, PLAN)
    await jobs.start("b")
    await jobs.commit_chunk("b", 0, [Segment(index=0, start=0, end=1, text="hidden")])
    await jobs.finish("b", Status.CANCELLED, NOW, 0.0)
    assert await search.spoken("hidden", EVERYTHING, 10) == []


async def test_search_finds_words_that_no_space_sets_apart(database: Database) -> None:
    await done(database, "a", "今天天气很好", "再见")
    (hit,) = await Search(database).spoken("天气", EVERYTHING, 10)
    assert (hit.position, hit.excerpt) == (0, f"今天{MARK[0]}天气{MARK[1]}很好")


async def test_jobs_are_found_by_their_names_too(database: Database) -> None:
    await done(database, "a", "x", label="Board 100%", filename="board.mp3")
    search = Search(database)
    assert [job.id for job in await search.named("100%", EVERYTHING, 10)] == ["a"]
    assert [job.id for job in await search.named("BOARD", EVERYTHING, 10)] == ["a"]
    assert await search.named("100_", EVERYTHING, 10) == []


@given(st.text())
def test_no_text_is_a_query_of_its_own(text: str) -> None:
    wanted = _query(text)
    assert wanted.count('"') % 2 == 0
    assert not set(wanted.split('"')[::2]) - {"", " ", "*"}


@pytest.mark.parametrize("text", ['"', "a AND", "NEAR(", "text:x", "*", "a*b^c", "-x", "  ", "é"])
async def test_nothing_that_somebody_types_breaks_the_search(database: Database, text: str) -> None:
    await done(database, "a", "some words")
    await Search(database).spoken(text, EVERYTHING, 10)


async def test_a_speaker_with_a_name_has_it_in_every_turn(database: Database) -> None:
    job = await done(database, "a", "x", speakers=True)
    speakers = SpeakerTurns(database)
    await speakers.begin(job.number, NOW)
    turns = (Turn(0, 1, "Speaker 1"), Turn(1, 2, "Speaker 2"))
    await speakers.settle(job.number, SpeakersStatus.DONE, NOW, turns=turns)
    await speakers.name(job, "Speaker 1", "Ada")
    found = (await speakers.of_jobs([job]))[job.number]
    assert [turn.label for turn in found.turns] == ["Ada", "Speaker 2"]
    assert found.names == (("Speaker 1", "Ada"), ("Speaker 2", "Speaker 2"))
    await speakers.name(job, "Speaker 1", None)
    assert (await speakers.of_jobs([job]))[job.number].turns == turns
