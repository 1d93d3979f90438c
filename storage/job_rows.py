"""Turns rows of jobs into records, and holds the SQL for both reading and changing jobs."""

from collections.abc import Sequence
from typing import Any

import msgspec

from storage.database import Connection, fields, rows
from storage.records import Evidence, Job, Order, Quality, Segment, Stage, Status, Task, View, Word

ORDER_COLUMNS = ", ".join(Order.__struct_fields__)
JOB_COLUMNS = (
    f"number, id, status, {ORDER_COLUMNS}, size_bytes, detected_language, duration_secs, "
    "chunks_total, chunks_done, segments, crashes, error, created_at, started_at, completed_at, "
    "stage, stage_detail, stage_at, beat_at AS heartbeat_at, output_at, heard_by AS model_used, "
    "attempt, notices, secs_by_language"
)
_FLAGS = [field.name for field in msgspec.structs.fields(Order) if field.type is bool]
OPEN = "status IN ('queued', 'running')"

_words = msgspec.json.Decoder(tuple[tuple[str, float, float, float], ...])
_evidence = msgspec.json.Decoder(Evidence)
_texts = msgspec.json.Decoder(tuple[str, ...])
_seconds = msgspec.json.Decoder(dict[str, float])


async def select_jobs(c: Connection, where: str, *values: object) -> list[Job]:
    found = await rows(c, f"SELECT {JOB_COLUMNS} FROM jobs {where}", *values)
    return [job_of(row) for row in found]


def visible_to(view: View) -> str:
    """The SQL condition for the jobs that a view may see.

    It contains only numbers and the server's own names, never text from a client.
    """
    terms = []
    if view.owner is not None:
        terms.append(f"owner = {view.owner:d}")
    if view.channels is not None:
        terms.append(f"channel IN ({', '.join(repr(str(name)) for name in view.channels)})")
    return " AND ".join(terms) or "TRUE"


def stored(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, tuple) else value


def job_of(row: Any) -> Job:
    values = fields(row)
    order = {name: values.pop(name) for name in Order.__struct_fields__}
    order["task"] = Task(order["task"])
    order["quality"] = Quality(order["quality"])
    for texts in ("translations", "languages"):
        order[texts] = _texts.decode(order[texts])
    for flag in _FLAGS:
        order[flag] = bool(order[flag])
    values["notices"] = _texts.decode(values["notices"])
    values["secs_by_language"] = _seconds.decode(values["secs_by_language"])
    values["status"] = Status(values["status"])
    values["stage"] = values["stage"] and Stage(values["stage"])
    return Job(**values, order=Order(**order))


def segment_of(row: Any) -> Segment:
    return Segment(
        index=row["position"],
        line=None if row["line"] == row["position"] else row["line"],
        version=row["version"],
        speaker=row["speaker"],
        start=row["start_secs"],
        end=row["end_secs"],
        text=row["text"],
        words=tuple(Word(*word) for word in _words.decode(row["words"])),
        repair=row["repair"],
        corrected=bool(row["corrected"]),
        language=row["language"],
        evidence=_evidence.decode(row["evidence"] or "{}"),
    )


def segment_values(s: Segment) -> tuple[object, ...]:
    return (
        s.index,
        s.start,
        s.end,
        s.text,
        encoded_words(s.words),
        s.repair,
        s.language,
        msgspec.json.encode(s.evidence).decode(),
    )


def encoded_words(words: Sequence[Word]) -> str:
    return msgspec.json.encode([msgspec.structs.astuple(word) for word in words]).decode()
