"""A transcript as a text to read or to print. Pure functions of its paragraphs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from app.transcripts.formats import clock
from app.transcripts.paragraphs import Paragraph

_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")
_LIST = re.compile(r"^(\d+)([.)])(?=\s)|^([-+])(?=\s)")
_NO_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot have (https://www.w3.org/TR/xml/#charsets)."""


@dataclass(frozen=True)
class Layout:
    paragraphs: bool = True
    """Otherwise each segment is a line."""
    times: bool = False
    speakers: bool = True


def plain(paragraphs: Sequence[Paragraph], layout: Layout) -> str:
    """``[00:12] Ada: Hello.`` with an empty line between paragraphs."""
    lines = []
    for each in paragraphs:
        time = f"[{short_clock(each.start)}] " if layout.times else ""
        lines.append(f"{time}{_name(each, layout)}{each.text}\n")
    return ("\n" if layout.paragraphs else "").join(lines)


def markdown(title: str, paragraphs: Sequence[Paragraph], layout: Layout) -> str:
    """``**Ada** 00:12: Hello.`` under the title (https://commonmark.org)."""
    parts = [f"# {_escaped(' '.join(title.split()))}"]
    for each in paragraphs:
        name = f"**{_escaped(each.speaker)}:** " if layout.speakers and each.speaker else ""
        time = f"`{short_clock(each.start)}` " if layout.times else ""
        text = _escaped(each.text)
        parts.append(time + name + (text if time or name else _LIST.sub(r"\1\\\2\3", text)))
    gap = "\n\n" if layout.paragraphs else "  \n"
    body = gap.join(parts[1:])
    return f"{parts[0]}\n\n{body}\n"


def word(title: str, paragraphs: Sequence[Paragraph], layout: Layout) -> bytes:
    """A document of Microsoft Word (DOCX) with the title, names in bold and times in grey."""
    # Imported late: the library is large, and an idle server does without it.
    from docx import Document
    from docx.shared import Pt, RGBColor

    document = Document()
    document.core_properties.title = _xml(title)[:255]
    document.core_properties.author = ""
    document.add_heading(_xml(title), level=1)
    for each in paragraphs:
        made = document.add_paragraph()
        if not layout.paragraphs:
            made.paragraph_format.space_after = Pt(2)
        if layout.times:
            time = made.add_run(f"{short_clock(each.start)}  ")
            time.font.color.rgb, time.font.size = RGBColor(0x70, 0x70, 0x70), Pt(9)
        if layout.speakers and each.speaker:
            made.add_run(f"{_xml(each.speaker)}: ").bold = True
        made.add_run(_xml(each.text))
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def short_clock(seconds: float) -> str:
    """``1:02:03``, or ``02:03`` within the hour."""
    return clock(seconds)[:8].removeprefix("00:")


def _name(paragraph: Paragraph, layout: Layout) -> str:
    return f"{paragraph.speaker}: " if layout.speakers and paragraph.speaker else ""


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _xml(text: str) -> str:
    return _NO_XML.sub("", text)
