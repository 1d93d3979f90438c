"""Edits, names and search: what people add to a transcript, and how they find it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from storage.database import Connection, Database, open_database, rows
from storage.edits import Edits
from storage.job_queries import EVERYTHING
from storage.jobs import Jobs
from storage.records import (
    Change,
    Chunk,
    Job,
    LeftOut,
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


async def change(database: Database, job: Job, *changes: Change) -> int | None:
    return await Edits(database).make(job, changes, None, NOW)


async def line(database: Database, job: Job, number: int) -> Segment:
    (found,) = await Edits(database).lines(job, [number])
    return found


async def say(database: Database, job: Job, number: int, text: str) -> int | None:
    before = await line(database, job, number)
    return await change(database, job, Change(before, replace(before, text=text, words=())))


async def test_an_edit_is_what_the_transcript_says_and_the_raw_text_stays(
    database: Database,
) -> None:
    job = await done(database, "a", "helo", "world")
    before = await line(database, job, 0)
    words = (Word("hello", 0.0, 1.0, 1.0),)
    assert await change(database, job, Change(before, replace(before, text="hello", words=words)))
    assert await texts(database, job) == ["hello", "world"]
    assert await texts(database, job, raw=True) == ["helo", "world"]
    first, second = await Jobs(database).transcript(job)
    assert (first.corrected, second.corrected) == (True, False)
    assert first.words == words


async def test_a_line_is_restored_with_those_that_it_was_split_into_or_joined_with(
    database: Database,
) -> None:
    job = await done(database, "a", "one two", "three", "four", "five")
    edits = Edits(database)
    whole = await line(database, job, 0)
    halves = [replace(whole, text=text, words=()) for text in ("one", "two")]
    await change(database, job, Change(whole, halves[0]), Change(None, halves[1]))
    before, after = await line(database, job, 1), await line(database, job, 2)
    both = replace(before, text="three four", words=())
    await change(database, job, Change(before, both), Change(after, None))
    last = await line(database, job, 3)
    one = await line(database, job, 0)
    shout = [Change(each, replace(each, text=each.text.upper(), words=())) for each in (one, last)]
    await change(database, job, *shout)  # a replacement ties no lines together
    assert await edits.restore_line(job, 0, None, NOW)
    assert await texts(database, job) == ["one two", "three four", "FIVE"]
    assert await edits.restore_line(job, 2, None, NOW)
    assert await texts(database, job) == ["one two", "three", "four", "FIVE"]
    assert await edits.restore_line(job, 0, None, NOW) is None  # it is so already


async def test_lines_are_added_and_removed_and_keep_their_numbers(database: Database) -> None:
    job = await done(database, "a", "one and a half", "two", "three")
    first, second = await line(database, job, 0), await line(database, job, 1)
    await change(
        database, job, Change(first, replace(first, text="one", end=0.5)),
        Change(None, replace(first, text="and a half", start=0.5)), Change(second, None),
    )  # fmt: skip
    there = await Jobs(database).transcript(job)
    assert [(s.index, s.number, s.text) for s in there] == [
        (0, 0, "one"), (1, 3, "and a half"), (2, 2, "three"),
    ]  # fmt: skip
    assert (await line(database, job, 2)).index == 2
    assert await Edits(database).lines(job, [1]) == []
    assert await Edits(database).count(job) == 3
    assert await texts(database, job, raw=True) == ["one and a half", "two", "three"]
    assert [s.text for s in await Jobs(database).transcript(job, 1, most=1)] == ["and a half"]


async def test_every_version_is_kept_and_any_line_goes_back(database: Database) -> None:
    job = await done(database, "a", "one", "two")
    await say(database, job, 0, "won")
    await say(database, job, 0, "One")
    edits = Edits(database)
    assert await edits.restore_line(job, 0, None, LATER)
    assert await texts(database, job) == ["one", "two"]
    versions = await edits.versions(job, 0)
    assert [(each.text, each.original) for each in versions] == [
        ("one", True), ("One", False), ("won", False),
    ]  # fmt: skip
    assert await edits.versions(job, 1) == []
    assert (await edits.state(job)).corrected == 0


async def test_everything_goes_back_at_once_and_that_can_be_undone(database: Database) -> None:
    job = await done(database, "a", "one", "two", "three")
    edits = Edits(database)
    await say(database, job, 0, "1")
    second = await line(database, job, 1)
    await change(database, job, Change(second, None), Change(None, replace(second, text="2.5")))
    assert await edits.restore(job, None, LATER)
    assert await texts(database, job) == ["one", "two", "three"]
    assert not await edits.restore(job, None, LATER), "it is so already"
    assert await edits.undo(job, None, LATER)
    assert await texts(database, job) == ["1", "2.5", "three"]


async def test_of_two_who_edit_a_line_at_once_the_second_is_told(database: Database) -> None:
    job = await done(database, "a", "one")
    seen = await line(database, job, 0)
    assert await change(database, job, Change(seen, replace(seen, text="1")))
    assert not await change(database, job, Change(seen, replace(seen, text="I")))
    assert not await change(database, job, Change(seen, None))
    assert await texts(database, job) == ["1"]


async def test_only_lines_of_a_job_that_is_done_can_be_edited(database: Database) -> None:
    job = await done(database, "a", "one")
    known = await line(database, job, 0)
    assert not await change(database, job, Change(replace(known, line=7), None))
    await Jobs(database).insert("b", Order(), 1, NOW)
    running = await Jobs(database).get("b")
    assert running is not None
    assert not await change(database, running, Change(None, known))
    assert not await Edits(database).undo(running, None, NOW)
    assert not await Edits(database).restore_line(running, 0, None, NOW)


async def test_a_page_is_told_what_later_edits_have_touched(database: Database) -> None:
    job = await done(database, "a", "one", "two", "three")
    edits = Edits(database)
    known = await say(database, job, 0, "1")
    assert known
    await say(database, job, 2, "3")
    assert await edits.touched_since(job, known) == [(2, 2.0)]
    state = await edits.state(job)
    assert await edits.touched_since(job, state.last) == []


async def test_a_line_with_a_speaker_follows_the_speakers_name(database: Database) -> None:
    job = await done(database, "a", "one")
    before = await line(database, job, 0)
    await change(database, job, Change(before, replace(before, speaker="Speaker 1")))
    speakers = SpeakerTurns(database)
    await speakers.name(job, "Speaker 1", "Ada")
    assert (await line(database, job, 0)).speaker == "Ada"
    await say(database, job, 0, "1")
    await speakers.name(job, "Speaker 1", "Grace")
    assert (await line(database, job, 0)).speaker == "Grace"


async def test_what_was_left_out_is_not_among_it_any_more_once_it_is_put_back(
    database: Database,
) -> None:
    jobs = Jobs(database)
    await jobs.insert("a", Order(), 1, NOW)
    await jobs.plan("a", 9.0, PLAN)
    await jobs.start("a")
    await jobs.commit_chunk(
        "a", 0, [Segment(index=0, start=0, end=1, text="one")],
        [LeftOut(start=2.0, end=3.0, text="[Applause]", reason="it describes a sound")],
    )  # fmt: skip
    job = await jobs.finish("a", Status.DONE, NOW, 0.0)
    assert job
    (left,) = await jobs.left_out(job)
    assert left.number
    added = Segment(index=0, start=left.start, end=left.end, text=left.text)
    await change(database, job, Change(None, added))
    assert await texts(database, job) == ["one", "[Applause]"]
    assert await jobs.left_out(job) == []
    await Edits(database).undo(job, None, NOW)
    assert await jobs.left_out(job) == [left]


Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["say", "cut", "drop", "restore", "undo", "redo"]), st.integers(0, 9)
    ),
    max_size=14,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
async def test_undo_and_redo_go_through_what_the_transcript_was(
    tmp_path: Path, steps: list[Step]
) -> None:
    """Against a model: the states that the transcript had, and where in them it is."""
    (tmp_path / "a.db").unlink(missing_ok=True)
    async with open_database(tmp_path / "a.db") as database:
        job = await done(database, "a", "one", "two", "three")
        edits = Edits(database)
        states, at = [await texts(database, job)], 0
        for n, (step, pick) in enumerate(steps):
            there = await Jobs(database).transcript(job)
            chosen = there[pick % len(there)] if there else None
            if step == "undo":
                assert bool(await edits.undo(job, None, NOW)) == (at > 0)
                at = max(0, at - 1)
            elif step == "redo":
                assert bool(await edits.redo(job, None, NOW)) == (at + 1 < len(states))
                at = min(len(states) - 1, at + 1)
            else:
                if step == "restore":
                    made = await edits.restore(job, None, NOW)
                elif chosen is None:
                    continue
                elif step == "say":
                    made = await say(database, job, chosen.number, f"text {n}")
                elif step == "drop":
                    made = await change(database, job, Change(chosen, None))
                else:
                    later = replace(chosen, start=(chosen.start + chosen.end) / 2, text=f"half {n}")
                    made = await change(database, job, Change(None, later))
                if made:
                    states[at + 1 :] = [await texts(database, job)]
                    at += 1
            assert await texts(database, job) == states[at]
            state = await edits.state(job)
            assert (state.can_undo, state.can_redo) == (at > 0, at + 1 < len(states))
            assert await texts(database, job, raw=True) == ["one", "two", "three"]
        await database.read(_each_line_is_found_once)


async def _each_line_is_found_once(c: Connection) -> None:
    there = await rows(c, "SELECT job_number << 24 | line, text FROM lines ORDER BY 1")
    found = await rows(c, "SELECT rowid, text FROM spoken ORDER BY 1")
    assert list(map(tuple, found)) == list(map(tuple, there))


async def test_deleting_a_job_takes_edits_waveform_and_search_along(
    database: Database,
) -> None:
    job = await done(database, "a", "needle")
    await say(database, job, 0, "needles")
    assert await Jobs(database).waveform(job) == b"\x00\xff"
    await Jobs(database).delete("a")
    assert await Search(database).spoken("needles", EVERYTHING, 10) == []
    assert await Edits(database).versions(job, 0) == []
    assert await Jobs(database).waveform(job) == b""


async def test_search_finds_the_second_at_which_it_was_said(database: Database) -> None:
    job = await done(database, "a", "good morning", "two cups of coffee")
    (hit,) = await Search(database).spoken("coffee cup", EVERYTHING, 10)
    assert (hit.job.number, hit.line, hit.start) == (job.number, 1, 1.0)
    assert hit.excerpt == f"two cups of {MARK[0]}coffee{MARK[1]}".replace(
        "cups", f"{MARK[0]}cups{MARK[1]}"
    )


async def test_search_reads_what_people_edited_and_no_longer_what_they_replaced(
    database: Database,
) -> None:
    job = await done(database, "a", "wreck a nice beach")
    await say(database, job, 0, "recognise speech")
    search = Search(database)
    assert await search.spoken("beach", EVERYTHING, 10) == []
    assert len(await search.spoken("recognise", EVERYTHING, 10)) == 1
    await Edits(database).restore(job, None, LATER)
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
    assert (hit.line, hit.excerpt) == (0, f"今天{MARK[0]}天气{MARK[1]}很好")


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
