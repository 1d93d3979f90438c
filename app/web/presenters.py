"""What pages say of records: pure functions, and every sentence on a job that a person reads."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.services.progress import elapsed_secs, left_secs, speed
from app.transcripts.attribution import labels
from app.transcripts.paragraphs import begins_paragraph
from storage.records import Action, Job, Phase, Segment, Speakers, Stage, Status, Word

COLOURS = 6
"""Of speakers; more of them begin again with the first."""

WORDS = {
    Status.QUEUED: "Waiting",
    Status.RUNNING: "Transcribing",
    Status.DONE: "Done",
    Status.FAILED: "Failed",
    Status.CANCELLED: "Cancelled",
}


FORMS = {
    "txt": "Text",
    "docx": "Word",
    "md": "Markdown",
    "srt": "SRT",
    "vtt": "VTT",
    "tsv": "TSV",
    "json": "JSON",
}
"""What a transcript can be downloaded as, and what people call it."""


@dataclass(frozen=True)
class Button:
    """Something that can be done with a job."""

    action: str
    label: str
    icon: str
    confirm: str | None = None


@dataclass(frozen=True)
class Line:
    """A segment of a transcript."""

    number: int
    """Which it keeps, whatever is inserted before it."""
    start: float
    end: float
    text: str
    words: tuple[Word, ...]
    speaker: str | None
    colour: int
    """Which of COLOURS the speaker has."""
    begins_turn: bool
    begins_paragraph: bool
    corrected: bool
    language: str | None
    """The language of the text, for screen readers, spelling checkers and hyphenation."""

    @property
    def spoken(self) -> list[tuple[Word, str]]:
        """Each word with what the text has after it, which in some languages is nothing."""
        found, cursor = [], 0
        for word in self.words:
            at = self.text.find(word.text, cursor)
            if at < 0:
                return [(word, " ") for word in self.words]
            cursor = at + len(word.text)
            found.append((word, " " if self.text[cursor : cursor + 1].isspace() else ""))
        return found


@dataclass(frozen=True)
class Row:
    """A job in the queue's list."""

    number: int
    id: str
    title: str
    status: str
    state: str
    """For the style: waiting, working, done, failed."""
    percent: int
    detail: str
    """What is going on with it, or how it went."""
    duration: float | None
    created_at: str
    owner: str | None
    buttons: list[Button]


def row(job: Job, now: float, *, place: int | None = None, owner: str | None = None) -> Row:
    """``place`` is the job's in the queue, from 1; ``owner`` is shown to those who see others'."""
    return Row(
        number=job.number,
        id=job.id,
        title=title(job),
        status=status(job),
        state=state(job),
        percent=job.percent,
        detail=detail(job, now, place),
        duration=job.duration_secs,
        created_at=job.created_at,
        owner=owner,
        buttons=buttons(job),
    )


def title(job: Job) -> str:
    """What a person would call it."""
    order = job.order
    return order.label or order.filename or order.source_url or f"Job {job.number}"


def state(job: Job) -> str:
    match job.phase:
        case Phase.WAITING:
            return "waiting"
        case Phase.WORKING:
            return "working"
        case Phase.DONE:
            return "done"
        case Phase.FAILED_OR_CANCELLED:
            return "failed"


def status(job: Job) -> str:
    if job.status is Status.QUEUED and job.stage is Stage.FETCHING:
        return "Downloading"
    if job.status is Status.QUEUED and job.stage is Stage.DECODING:
        return "Preparing"
    return WORDS[job.status]


def detail(job: Job, now: float, place: int | None = None) -> str:
    elapsed = elapsed_secs(job, now)
    faster = speed(job, elapsed)
    pace = f"{faster:.0f}× real time" if faster and faster >= 2 else faster and f"{faster:.1f}×"
    match job.status:
        case Status.QUEUED if job.stage is not None:
            return job.stage_detail or ""
        case Status.QUEUED:
            return f"number {place} in the queue" if place else "in the queue"
        case Status.RUNNING:
            left = left_secs(job, elapsed)
            parts = [f"{job.percent} %", pace, left is not None and f"{_about(left)} left"]
            return " · ".join(part for part in parts if part)
        case Status.DONE:
            return " · ".join(part for part in (pace, _silence(job)) if part)
        case Status.FAILED:
            return job.error or ""
        case Status.CANCELLED:
            return "the transcript was discarded"


def buttons(job: Job) -> list[Button]:
    """What can be done with a job now, from the table of what may be."""
    found = []
    if job.allows(Action.CANCEL):
        found.append(Button("cancel", "Cancel", "x"))
    if job.phase is Phase.FAILED_OR_CANCELLED:  # that of a job that waits would change nothing
        found.append(Button("restart", "Restart", "rotate-ccw"))
    if job.allows(Action.DELETE):
        question = (
            f"Delete “{title(job)}” with its recording and transcript? This cannot be undone."
        )
        found.append(Button("delete", "Delete", "trash-2", confirm=question))
    return found


def lines(
    segments: Sequence[Segment], people: Speakers | None, *, written_in: str | None = None
) -> list[Line]:
    """``written_in``: the language of all texts, where it is not the one that was spoken."""
    named = labels(segments, people.turns if people else ())
    names = [name for _, name in people.names] if people else []
    names += sorted({segment.speaker for segment in segments if segment.speaker} - {*names})
    colours = {name: n % COLOURS for n, name in enumerate(names)}
    return [
        Line(
            number=segment.number,
            start=segment.start,
            end=segment.end,
            text=segment.text.strip(),
            words=segment.words,
            speaker=label,
            colour=colours.get(label, 0) if label else 0,
            begins_turn=label is not None and label != label_before,
            begins_paragraph=begins_paragraph(segment, label, before, label_before),
            corrected=segment.corrected,
            language=written_in or segment.language,
        )
        for segment, label, before, label_before in zip(
            segments, named, [None, *segments], [None, *named], strict=False
        )
    ]


_BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome"}
_SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac OS", "Linux")


def browser(user_agent: str) -> str:
    """``Firefox on Linux``, as near as what a browser calls itself tells."""
    name = next((name for sign, name in _BROWSERS.items() if sign in user_agent), None)
    name = name or ("Safari" if "Safari/" in user_agent else user_agent.partition("/")[0])
    system = next((each for each in _SYSTEMS if each in user_agent), None)
    return (f"{name} on {system}" if system else name) or "an unknown program"


def _about(secs: float) -> str:
    if secs < 60:
        return f"{max(1, round(secs))} s"
    return f"{round(secs / 60)} min" if secs < 5400 else f"{secs / 3600:.1f} h"


def _silence(job: Job) -> str | None:
    return None if job.segments else "no speech found"
