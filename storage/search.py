"""Searches for words in all transcripts, and in the names of jobs."""

import re

from storage.database import Connection, Database, rows, search
from storage.job_rows import select_jobs, visible_to
from storage.records import Job, SearchHit, View
from storage.scripts import UNSPACED

MARK = ("\x02", "\x03")
"""The characters before and after the words found in an excerpt; no transcript contains them."""
EXCERPT = 16
"""The length of an excerpt in words."""
MOST_WORDS = 16
_LINE_BITS = 24
_LINE = f"(spoken.rowid & {2**_LINE_BITS - 1})"


class Search:
    def __init__(self, database: Database) -> None:
        self._database = database

    @search
    async def spoken(self, c: Connection, text: str, view: View, limit: int) -> list[SearchHit]:
        """Segments that contain all the words of ``text``; the last word may be incomplete.

        Only transcripts that are done are searched. The newest jobs come first.
        """
        wanted, text = _query(text), text.strip()
        if not wanted:
            return []
        if UNSPACED.search(text):  # without spaces, the index takes whole sentences for words
            excerpt, where, values = "replace(spoken.text, ?, ?)", "instr(spoken.text, ?)", (
                text, text.join(MARK), text,
            )  # fmt: skip
        else:
            excerpt, where = f"snippet(spoken, 0, ?, ?, '…', {EXCERPT})", "spoken MATCH ?"
            values = (*MARK, wanted)
        found = await rows(
            c,
            f"SELECT j.number, {_LINE} AS line, coalesce(v.start_secs, s.start_secs), {excerpt} "
            f"FROM spoken JOIN jobs j ON j.number = spoken.rowid >> {_LINE_BITS} "
            f"LEFT JOIN segments s ON s.job_number = j.number AND s.position = {_LINE} "
            "LEFT JOIN line_versions v "
            f"ON v.job_number = j.number AND v.line = {_LINE} AND v.newest "
            f"WHERE {where} AND j.status = 'done' AND {visible_to(view)} "
            "ORDER BY j.number DESC, 3 LIMIT ?",
            *values,
            limit,
        )
        hits = [(row[0], row[1], row[2], row[3]) for row in found]
        jobs = await _jobs(c, {number for number, *_ in hits})
        return [
            SearchHit(job=jobs[number], line=line, start=start, excerpt=excerpt)
            for number, line, start, excerpt in hits
        ]

    @search
    async def named(self, c: Connection, text: str, view: View, limit: int) -> list[Job]:
        """Jobs whose label, note, file name or source_url contains the text, newest first."""
        pattern = "%" + re.sub(r"([\\%_])", r"\\\1", text.strip()) + "%"
        return await select_jobs(
            c,
            r"WHERE (label LIKE ?1 ESCAPE '\' OR filename LIKE ?1 ESCAPE '\' "
            r"OR source_url LIKE ?1 ESCAPE '\' OR note LIKE ?1 ESCAPE '\') "
            f"AND {visible_to(view)} ORDER BY number DESC LIMIT ?2",
            pattern,
            limit,
        )


async def _jobs(c: Connection, numbers: set[int]) -> dict[int, Job]:
    found = await select_jobs(c, f"WHERE number IN ({', '.join('?' * len(numbers))})", *numbers)
    return {job.number: job for job in found}


def _query(text: str) -> str:
    """The FTS query for a text: each word as a quoted phrase, the last one as a prefix.

    Because of the quotes, nothing in the text is taken as an operator of the query language.
    """
    words = re.findall(r"\w+", text)[:MOST_WORDS]
    return " ".join(f'"{word}"' for word in words) + "*" if words else ""
