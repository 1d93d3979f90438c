"""What people change in transcripts: each edit is a step that can be undone.

Every version of a line is kept, and what the engine wrote as well.
"""

from collections.abc import Collection, Sequence

from storage.database import Connection, Database, changed, one, read, rows, scalar, write
from storage.job_rows import encoded_words, segment_of
from storage.records import Change, EditState, Job, LineVersion, Segment, Status

_LINES = (
    "SELECT l.*, (SELECT count(*) FROM lines b WHERE b.job_number = l.job_number "
    "AND (b.start_secs, b.line) < (l.start_secs, l.line)) AS position "
    "FROM lines l WHERE l.job_number = ? AND l.line IN ({}) ORDER BY l.start_secs, l.line"
)
_OTHER = (
    "job_number = ?1 AND newest AND NOT original "
    "AND NOT (gone AND line >= (SELECT segments FROM jobs WHERE number = ?1))"
)
"""The lines that are other than the engine wrote them."""
_OTHER_LINES = f"SELECT line FROM line_versions WHERE {_OTHER}"
_TIED = (
    "SELECT DISTINCT b.line FROM line_versions a JOIN line_versions b USING (job_number, edit) "
    "WHERE a.job_number = ?1 AND a.line = ?2 AND EXISTS (SELECT 1 FROM line_versions s "
    "WHERE s.job_number = ?1 AND s.edit = a.edit AND (s.gone OR (s.line >= ?3 AND NOT EXISTS "
    "(SELECT 1 FROM line_versions f WHERE f.job_number = ?1 AND f.line = s.line "
    "AND f.edit < s.edit))))"
)
"""The lines of the edits of a line in which lines were added or removed."""
_STATE = "start_secs, end_secs, text, words, language, speaker, gone, original"


class Edits:
    """Only the surfaces (`app`) call the methods that change something."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @write
    async def make(
        self, c: Connection, job: Job, changes: Sequence[Change], account: int | None, now: str
    ) -> int | None:
        """Change lines, in one step; returns the edit's number.

        None: the job is not done, or somebody else has changed one of the lines meanwhile.
        """
        if not await _is_done(c, job):
            return None
        for change in changes:
            before = change.before
            if before is not None and await _version(c, job, before.number) != before.version:
                return None
        edit = await _begin(c, job, "edit", account, now)
        free = await scalar(
            c,
            "SELECT max(segments, 1 + coalesce((SELECT max(line) FROM line_versions "
            "WHERE job_number = jobs.number), 0)) FROM jobs WHERE number = ?",
            job.number,
        )
        for change in changes:
            line = change.before or change.after
            assert line is not None
            number = free if change.before is None else line.number
            free += change.before is None
            await _put(c, job, number, edit, change.after or line, gone=change.after is None)
        return edit

    @write
    async def restore(self, c: Connection, job: Job, account: int | None, now: str) -> int | None:
        """The whole transcript as the engine wrote it, in one step; None if it is so already."""
        lines = await rows(c, _OTHER_LINES, job.number)
        if not lines or not await _is_done(c, job):
            return None
        edit = await _begin(c, job, "edit", account, now)
        for row in lines:
            await _put_back(c, job, row["line"], edit, before=0)
        return edit

    @write
    async def restore_line(
        self, c: Connection, job: Job, line: int, account: int | None, now: str
    ) -> int | None:
        """One line as the engine wrote it, with those that it was split into or joined with; None
        if the engine did not write that line, or it is so already."""
        if line >= job.segments or not await _is_done(c, job):
            return None
        other = {row["line"] for row in await rows(c, _OTHER_LINES, job.number)}
        wanted = await _tied(c, job, line) & other
        if not wanted:
            return None
        edit = await _begin(c, job, "edit", account, now)
        for each in sorted(wanted):
            await _put_back(c, job, each, edit, before=0)
        return edit

    @write
    async def undo(self, c: Connection, job: Job, account: int | None, now: str) -> int | None:
        """Take the last edit back; returns the number of the edit that does so, None: there is
        none."""
        done, _ = await _stacks(c, job)
        if not done or not await _is_done(c, job):
            return None
        edit = await _begin(c, job, "undo", account, now)
        for row in await rows(c, "SELECT line FROM line_versions WHERE edit = ?", done[-1]):
            await _put_back(c, job, row["line"], edit, before=done[-1])
        return edit

    @write
    async def redo(self, c: Connection, job: Job, account: int | None, now: str) -> int | None:
        """Do again what was undone last, if nothing has been edited since; returns as `undo`."""
        _, undone = await _stacks(c, job)
        if not undone or not await _is_done(c, job):
            return None
        edit = await _begin(c, job, "redo", account, now)
        for row in await rows(c, "SELECT line FROM line_versions WHERE edit = ?", undone[-1]):
            await _put_back(c, job, row["line"], edit, before=undone[-1] + 1)
        return edit

    @read
    async def state(self, c: Connection, job: Job) -> EditState:
        done, undone = await _stacks(c, job)
        row = await one(
            c,
            f"SELECT (SELECT count(*) FROM line_versions WHERE {_OTHER}), "
            "(SELECT max(number) FROM edits WHERE job_number = ?1)",
            job.number,
        )
        assert row is not None
        return EditState(
            last=row[1] or 0, corrected=row[0], can_undo=bool(done), can_redo=bool(undone)
        )

    @read
    async def count(self, c: Connection, job: Job) -> int:
        """How many lines the transcript has."""
        n = await scalar(c, "SELECT count(*) FROM lines WHERE job_number = ?", job.number)
        return int(n)

    @read
    async def lines(self, c: Connection, job: Job, numbers: Collection[int]) -> list[Segment]:
        """These lines, as far as the transcript has them, in its order."""
        sql = _LINES.format(", ".join("?" * len(numbers)))
        return [segment_of(row) for row in await rows(c, sql, job.number, *numbers)]

    @read
    async def touched_since(self, c: Connection, job: Job, edit: int) -> list[tuple[int, float]]:
        """The lines that edits after this one have changed, added or removed: each one's number,
        and when it begins, or began last."""
        found = await rows(
            c,
            "SELECT line, start_secs FROM line_versions "
            "WHERE job_number = ? AND newest AND edit > ?",
            job.number,
            edit,
        )
        return [(row["line"], row["start_secs"]) for row in found]

    @read
    async def versions(self, c: Connection, job: Job, line: int) -> list[LineVersion]:
        """The versions of a line, newest first, without the first one of the engine."""
        found = await rows(
            c,
            "SELECT text, gone, original, email, at FROM line_versions v "
            "JOIN edits e ON e.number = v.edit LEFT JOIN accounts a ON a.number = e.account "
            "WHERE v.job_number = ? AND line = ? ORDER BY v.edit DESC",
            job.number,
            line,
        )
        return [
            LineVersion(
                text=row["text"],
                gone=bool(row["gone"]),
                original=bool(row["original"]),
                email=row["email"],
                at=row["at"],
            )
            for row in found
        ]


async def _is_done(c: Connection, job: Job) -> bool:
    status = await scalar(c, "SELECT status FROM jobs WHERE number = ?", job.number)
    return bool(status == Status.DONE)


async def _version(c: Connection, job: Job, line: int) -> int | None:
    """The edit that left the line as it is, 0 for the engine; None if the transcript has no such
    line."""
    found = await scalar(
        c, "SELECT version FROM lines WHERE job_number = ? AND line = ?", job.number, line
    )
    return None if found is None else int(found)


async def _begin(c: Connection, job: Job, kind: str, account: int | None, now: str) -> int:
    number = await scalar(
        c,
        "INSERT INTO edits (job_number, kind, account, at) VALUES (?, ?, ?, ?) RETURNING number",
        job.number,
        kind,
        account,
        now,
    )
    return int(number)


async def _stacks(c: Connection, job: Job) -> tuple[list[int], list[int]]:
    """The edits that can be undone, and those that can be done again, the next one last."""
    done: list[int] = []
    undone: list[int] = []
    found = await rows(
        c, "SELECT number, kind FROM edits WHERE job_number = ? ORDER BY number", job.number
    )
    for row in found:
        match row["kind"]:
            case "edit":
                done.append(row["number"])
                undone.clear()
            case "undo":
                undone.append(done.pop())
            case "redo":
                done.append(undone.pop())
    return done, undone


async def _put(
    c: Connection, job: Job, line: int, edit: int, state: Segment, *, gone: bool
) -> None:
    """``state`` has the speaker by the name that is shown; the label is stored, if it is of one."""
    await _retire(c, job, line)
    await c.execute(
        f"INSERT INTO line_versions (job_number, line, edit, {_STATE}) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce((SELECT label FROM speaker_names "
        "WHERE job_number = ?1 AND name = ?9), ?9), ?10, 0)",
        (
            job.number,
            line,
            edit,
            state.start,
            state.end,
            state.text,
            encoded_words(state.words),
            state.language,
            state.speaker,
            gone,
        ),
    )


async def _tied(c: Connection, job: Job, line: int) -> set[int]:
    """A line, those that it was split into or joined with, those of these, and so on."""
    found, fresh = {line}, [line]
    while fresh:
        tied = {row["line"] for row in await rows(c, _TIED, job.number, fresh.pop(), job.segments)}
        fresh += tied - found
        found |= tied
    return found


async def _put_back(c: Connection, job: Job, line: int, edit: int, *, before: int) -> None:
    """Give a line the state that it had before that edit (0: at first)."""
    await _retire(c, job, line)
    there = await changed(
        c,
        f"INSERT INTO line_versions (job_number, line, edit, {_STATE}) "
        f"SELECT job_number, line, ?, {_STATE} FROM line_versions "
        "WHERE job_number = ? AND line = ? AND edit < ? ORDER BY edit DESC LIMIT 1",
        edit,
        job.number,
        line,
        before,
    ) or await changed(
        c,
        f"INSERT INTO line_versions (job_number, line, edit, {_STATE}) "
        "SELECT job_number, position, ?, start_secs, end_secs, text, words, language, NULL, 0, 1 "
        "FROM segments WHERE job_number = ? AND position = ?",
        edit,
        job.number,
        line,
    )
    if not there:  # a line that people added
        await c.execute(
            f"INSERT INTO line_versions (job_number, line, edit, {_STATE}) "
            "SELECT job_number, line, ?, start_secs, end_secs, text, words, language, speaker, "
            "1, 0 FROM line_versions WHERE job_number = ? AND line = ? ORDER BY edit LIMIT 1",
            (edit, job.number, line),
        )


async def _retire(c: Connection, job: Job, line: int) -> None:
    await c.execute(
        "UPDATE line_versions SET newest = 0 WHERE job_number = ? AND line = ? AND newest",
        (job.number, line),
    )
