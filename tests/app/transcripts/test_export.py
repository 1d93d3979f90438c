import re
from io import BytesIO

from docx import Document
from hypothesis import given
from hypothesis import strategies as st

from app.transcripts.export import Layout, markdown, plain, word
from app.transcripts.paragraphs import Paragraph, paragraphs
from storage.records import Segment

TALK = [
    Segment(index=0, start=0, end=2, text=" Hello."),
    Segment(index=1, start=2, end=3, text="How are you?"),
    Segment(index=2, start=3, end=4, text=" "),
    Segment(index=3, start=3661, end=3662, text="Fine."),
]
PEOPLE = ["Ada", "Ada", None, "Grace"]


def test_a_transcript_is_written_in_paragraphs_or_in_lines() -> None:
    both = paragraphs(TALK, PEOPLE)
    assert plain(both, Layout()) == "Ada: Hello. How are you?\n\nGrace: Fine.\n"
    assert plain(both, Layout(times=True, speakers=False)) == (
        "[00:00] Hello. How are you?\n\n[01:01:01] Fine.\n"
    )
    lines = paragraphs(TALK, PEOPLE, joined=False)
    assert plain(lines, Layout(paragraphs=False)) == ("Ada: Hello.\nHow are you?\nGrace: Fine.\n")


def test_markdown_shows_what_was_said_and_no_marks_of_its_own() -> None:
    said = [Paragraph("A*da", 5, "1. Use `x_y` <b>#1</b>")]
    assert markdown("A_talk", said, Layout(times=True)) == (
        "# A\\_talk\n\n`00:05` **A\\*da:** 1. Use \\`x\\_y\\` \\<b\\>\\#1\\</b\\>\n"
    )
    assert markdown("a\n\n- b\n===", [], Layout()).startswith("# a - b ===\n")
    assert "1\\. Use" in markdown("t", [Paragraph(None, 0, "1. Use")], Layout())


@given(st.lists(st.text(min_size=1, max_size=40)), st.text(max_size=20))
def test_any_text_becomes_a_document_of_word(texts: list[str], name: str) -> None:
    segments = [Segment(index=n, start=n, end=n + 1, text=text) for n, text in enumerate(texts)]
    made = paragraphs(segments, [name or None] * len(texts), joined=False)
    document = Document(BytesIO(word(name, made, Layout(times=True))))
    shown = [re.sub(r"\s+", "", p.text) for p in document.paragraphs]
    assert len(shown) == 1 + len(made)
    for paragraph, text in zip(made, shown[1:], strict=True):
        letters = "".join(c for c in paragraph.text if c.isalnum())
        assert letters in "".join(c for c in text if c.isalnum())


def test_a_document_has_names_in_bold_and_times() -> None:
    made = word("Talk", paragraphs(TALK, PEOPLE), Layout(times=True))
    title, first, second = Document(BytesIO(made)).paragraphs
    assert (title.text, title.style.name) == ("Talk", "Heading 1")
    assert first.text == "00:00  Ada: Hello. How are you?"
    assert [run.text for run in second.runs if run.bold] == ["Grace: "]
