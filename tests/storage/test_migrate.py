import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
import pytest

from storage.database import open_database
from storage.edits import Edits
from storage.jobs import Jobs
from storage.migrate import migrate, migrations
from storage.records import Status

SCHEMA = Path(__file__).parent.parent.parent / "schema.sql"


def described(*scripts: str) -> dict[str, str]:
    with sqlite3.connect(":memory:") as c:
        for script in scripts:
            c.executescript(script)
        rows = c.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    c.close()
    return {name: _bare(sql) for name, sql in rows}


def _bare(sql: str) -> str:
    """Without comments and layout; SQLite quotes the name of a table that was renamed."""
    return " ".join(re.sub(r'--[^\n]*|"', "", sql).split())


def test_the_migrations_lead_to_the_schema() -> None:
    assert described(*migrations()) == described(SCHEMA.read_text())


@asynccontextmanager
async def of_version(version: int, path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """A database as that version's server left it."""
    async with aiosqlite.connect(path, isolation_level=None) as c:
        for sql in migrations()[:version]:
            await c.executescript(sql)
        await c.execute(f"PRAGMA user_version = {version}")
        await c.execute("PRAGMA foreign_keys = ON")
        yield c


@pytest.mark.anyio
async def test_what_an_older_server_stored_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with of_version(1, path) as c:
        await c.executescript("""
            INSERT INTO jobs (id, status, task, word_timestamps, webhook_url, webhook_format,
                              size_bytes, chunks_total, chunks_done, segments, created_at,
                              completed_at)
            VALUES ('a', 'done', 'transcribe', 1, 'http://x/', 'native', 10, 1, 1, 1,
                    '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:01.000Z');
            INSERT INTO chunks VALUES (1, 0, '[[0, 16000]]');
            INSERT INTO segments VALUES (1, 0, 0.0, 1.0, 'hello', '[]', NULL);
            INSERT INTO deliveries (id, event, url, format, job_number, happened_at, due)
            VALUES ('msg', 'job_ended', 'http://x/', 'native', 1, '2026-01-01T00:00:01.000Z', 5.0);
        """)
    async with open_database(path) as database:
        jobs = Jobs(database)
        job = await jobs.get("a")
        assert job is not None
        assert (job.number, job.status, job.order.channel) == (1, Status.DONE, "native")
        assert (job.order.model_events, job.order.owner, job.order.translations) == (True, None, ())
        assert [segment.text for segment in await jobs.transcript(job)] == ["hello"]
        assert (await jobs.callbacks([job]))[1].delivery_id == "msg"
        assert await jobs.chunk(job, 0) is not None


@pytest.mark.anyio
async def test_the_corrections_of_an_older_server_can_be_undone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with of_version(16, path) as c:
        await c.executescript("""
            INSERT INTO jobs (number, id, status, task, word_timestamps, size_bytes, chunks_total,
                              chunks_done, segments, created_at, completed_at)
            VALUES (1, 'a', 'done', 'transcribe', 0, 10, 1, 1, 2,
                    '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:01.000Z');
            INSERT INTO segments (job_number, position, start_secs, end_secs, text, words)
            VALUES (1, 0, 0.0, 1.0, 'helo', '[]'), (1, 1, 1.0, 2.0, 'world', '[]');
            INSERT INTO corrections (job_number, position, text, words, at)
            VALUES (1, 0, 'hallo', '[]', '2026-01-01T00:01:00.000Z'),
                   (1, 1, 'word', '[]', '2026-01-01T00:02:00.000Z'),
                   (1, 1, NULL, '[]', '2026-01-01T00:03:00.000Z'),
                   (1, 0, 'hello', '[]', '2026-01-01T00:04:00.000Z');
        """)
    async with open_database(path) as database:
        jobs, edits = Jobs(database), Edits(database)
        job = await jobs.get("a")
        assert job is not None

        async def texts() -> list[str]:
            return [segment.text for segment in await jobs.transcript(job)]

        assert await texts() == ["hello", "world"]
        assert [version.text for version in await edits.versions(job, 0)] == ["hello", "hallo"]
        await edits.undo(job, None, "2026-01-02T00:00:00.000Z")
        assert await texts() == ["hallo", "world"]
        await edits.undo(job, None, "2026-01-02T00:00:00.000Z")
        assert await texts() == ["hallo", "word"]


@pytest.mark.anyio
async def test_foreign_keys_are_on_again_after_a_migration(tmp_path: Path) -> None:
    async with of_version(1, tmp_path / "a.db") as c:
        await migrate(c)
        with pytest.raises(sqlite3.IntegrityError):
            await c.execute("INSERT INTO chunks VALUES (99, 0, '[]', '[]')")
