import re

from hypothesis import given
from hypothesis import strategies as st

from app.transcripts.formats import clock, srt, tsv, txt, vtt
from storage.records import Segment

SEGMENTS = [
    Segment(index=0, start=0.0, end=1.5, text="Tom & <Jerry>"),
    Segment(index=1, start=3661.25, end=3662.0, text="zwei\n\nZeilen\tund --> mehr"),
]


def test_text_is_a_line_each() -> None:
    assert txt(SEGMENTS[:1]) == "Tom & <Jerry>\n"


def test_srt() -> None:
    assert srt(SEGMENTS) == (
        "1\n00:00:00,000 --> 00:00:01,500\nTom & <Jerry>\n\n"
        "2\n01:01:01,250 --> 01:01:02,000\nzwei\nZeilen\tund → mehr\n"
    )


def test_vtt() -> None:
    assert vtt(SEGMENTS[:1]) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nTom &amp; &lt;Jerry&gt;\n"
    )


def test_tsv() -> None:
    assert tsv(SEGMENTS) == (
        "start\tend\ttext\n0\t1500\tTom & <Jerry>\n3661250\t3662000\tzwei Zeilen und --> mehr\n"
    )


@given(st.floats(0, 10**6))
def test_a_clock_is_never_off_by_more_than_half_a_millisecond(seconds: float) -> None:
    hours, minutes, rest = clock(seconds).split(":")
    assert abs(int(hours) * 3600 + int(minutes) * 60 + float(rest) - seconds) <= 0.000501


@given(st.lists(st.text(max_size=40), max_size=5))
def test_no_text_breaks_the_cues_and_what_was_emptied_has_none(texts: list[str]) -> None:
    said = [text for text in texts if text.strip()]
    segments = [Segment(index=n, start=n, end=n + 1, text=t) for n, t in enumerate(texts)]
    assert len(re.findall(r"^\d\d:\d\d:\d\d,000 --> ", srt(segments), re.MULTILINE)) == len(said)
    assert len(tsv(segments).split("\n")) == len(said) + 2
