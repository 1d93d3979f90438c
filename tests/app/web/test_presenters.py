"""What a person reads of a job."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.presenters import (
    browser,
    buttons,
    detail,
    lines,
    row,
    status,
    title,
)
from app.web.render import bytes_label, marked, short_clock
from app.web.sign_in import HOME, own_path
from storage.records import (
    Action,
    Job,
    Order,
    Segment,
    Speakers,
    SpeakersStatus,
    Stage,
    Status,
    Turn,
)
from storage.search import MARK
from tests.records import AT, job

NOW = datetime.fromisoformat(AT).timestamp()


def running(**changes: object) -> Job:
    return job(status=Status.RUNNING, started_at=AT, duration_secs=700.0, **changes)


def test_a_running_job_says_how_far_how_fast_and_how_long_still() -> None:
    assert detail(running(chunks_total=7, chunks_done=3), NOW + 10) == (
        "42 % · 30× real time · 13 s left"
    )


def test_before_its_first_chunk_nothing_is_made_up() -> None:
    assert detail(running(chunks_total=7, chunks_done=0), NOW + 10) == "0 %"


@pytest.mark.parametrize(
    ("changes", "word", "more"),
    [
        ({"status": Status.QUEUED}, "Waiting", "number 4 in the queue"),
        (
            {"status": Status.QUEUED, "stage": Stage.FETCHING, "stage_detail": "3 of 9 MB"},
            "Downloading",
            "3 of 9 MB",
        ),
        (
            {"status": Status.QUEUED, "stage": Stage.DECODING, "stage_detail": "decoded 5 min"},
            "Preparing",
            "decoded 5 min",
        ),
        ({"status": Status.FAILED, "error": "it is no audio"}, "Failed", "it is no audio"),
        ({"status": Status.CANCELLED}, "Cancelled", "the transcript was discarded"),
    ],
)
def test_each_state_has_its_word_and_what_more_is_known(
    changes: dict[str, object], word: str, more: str
) -> None:
    each = job(**changes)
    assert (status(each), detail(each, NOW, 4)) == (word, more)


@pytest.mark.parametrize("state", Status)
def test_there_are_the_buttons_of_what_the_table_allows(state: Status) -> None:
    each = job(status=state, chunks_total=1, chunks_done=1)
    shown = {button.action for button in buttons(each)}
    allowed = {action.value for action in Action if each.allows(action)}
    if state is Status.QUEUED:
        allowed.discard("restart")  # it would change nothing
    assert shown == allowed & {"cancel", "restart", "delete"}


def test_a_job_is_called_by_what_a_person_gave_it() -> None:
    assert title(job(order=Order(label="Board", filename="a.mp3"))) == "Board"
    assert title(job(order=Order(filename="a.mp3"))) == "a.mp3"
    assert title(job(number=7, order=Order())) == "Job 7"
    assert row(job(order=Order(filename="a.mp3")), NOW).owner is None


def test_a_turn_begins_where_the_speaker_changes() -> None:
    segments = [Segment(index=n, start=n, end=n + 1, text=f" {n} ") for n in range(4)]
    turns = (Turn(0, 2, "Zoe"), Turn(2, 4, "Bob"))
    names = (("Speaker 1", "Zoe"), ("Speaker 2", "Bob"))
    people = Speakers(
        job_number=1, status=SpeakersStatus.DONE, provider=None, turns=turns, error=None, tries=1,
        updated_at=AT, names=names,
    )  # fmt: skip
    shown = lines(segments, people)
    assert [(line.speaker, line.begins_turn) for line in shown] == [
        ("Zoe", True), ("Zoe", False), ("Bob", True), ("Bob", False),
    ]  # fmt: skip
    assert (shown[0].colour, shown[2].colour) == (0, 1)  # in the order of the panel's fields
    assert shown[0].text == "0"


def test_a_line_is_in_the_language_that_was_spoken_unless_it_is_translated() -> None:
    spoken = [
        Segment(index=n, start=n, end=n + 1, text="…", language=language)
        for n, language in enumerate(["de", "fr", None])
    ]
    assert [line.language for line in lines(spoken, None)] == ["de", "fr", None]
    assert {line.language for line in lines(spoken, None, written_in="en")} == {"en"}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) Gecko/2010 Firefox/130", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10) Chrome/130 Safari/537 Edg/130", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18) Safari/604", "Safari on iPhone"),
        ("curl/8.5.0", "curl"),
        ("", "an unknown program"),
    ],
)  # fmt: skip
def test_a_session_is_told_by_its_browser(said: str, shown: str) -> None:
    assert browser(said) == shown


def test_an_excerpt_is_escaped_before_it_is_marked() -> None:
    found = marked(f"<b>{MARK[0]}x{MARK[1]}</b>")
    assert found == "&lt;b&gt;<mark>x</mark>&lt;/b&gt;"


def test_sizes_and_times_are_short() -> None:
    assert [bytes_label(n) for n in (0, 999, 1500, 2_000_000, 81e9, 3e12)] == [
        "0 B", "999 B", "1.5 KB", "2.0 MB", "81 GB", "3.0 TB",
    ]  # fmt: skip
    assert [short_clock(n) for n in (5, 65, 3661)] == ["00:05", "01:05", "01:01:01"]


@given(st.text(max_size=30))
def test_nobody_is_led_to_another_site(wanted: str) -> None:
    going = own_path(wanted)
    assert going == HOME or (going == wanted and going[0] == "/" and going[1:2] not in ("/", "\\"))
