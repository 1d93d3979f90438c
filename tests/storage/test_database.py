import logging
import sqlite3
from pathlib import Path

import anyio
import pytest

from storage.database import MAX_SEARCHES, READERS, Connection, Database, Work, open_database, rows
from storage.errors import Busy, Unusable
from storage.migrate import migrations

pytestmark = pytest.mark.anyio


async def scalar(database: Database, sql: str) -> object:
    async def work(c: Connection) -> object:
        async with c.execute(sql) as rows:
            return (await anext(aiter(rows)))[0]

    return await database.read(work)


async def count(database: Database) -> object:
    return await scalar(database, "SELECT count(*) FROM deliveries")


async def insert(c: Connection, number: int) -> int:
    await c.execute(
        "INSERT INTO deliveries (id, event, url, format, happened_at) "
        "VALUES (?, 'model_ready', '', '', '')",
        (str(number),),
    )
    return number


async def test_a_write_is_there_for_readers_and_after_reopening(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database:
        assert await database.write(lambda c: insert(c, 7)) == 7
        assert await count(database) == 1
    async with open_database(tmp_path / "a.db") as database:
        assert await count(database) == 1


async def test_a_write_waits_for_another_program_that_holds_the_database(tmp_path: Path) -> None:
    told, handler = anyio.Event(), logging.Handler()
    handler.emit = lambda record: told.set()  # type: ignore[method-assign]
    logging.getLogger("storage.database").addHandler(handler)
    async with open_database(tmp_path / "a.db") as database:
        await database._writer.execute("PRAGMA busy_timeout = 20")
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        async with anyio.create_task_group() as group:
            group.start_soon(database.write, lambda c: insert(c, 7))
            await told.wait()
            other.execute("ROLLBACK")
        other.close()
        assert await count(database) == 1
    logging.getLogger("storage.database").removeHandler(handler)


async def test_writes_at_once_all_succeed(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database:
        async with anyio.create_task_group() as group:
            for n in range(500):
                group.start_soon(database.write, lambda c, n=n: insert(c, n))
        assert await count(database) == 500


async def test_a_write_that_raises_leaves_nothing_and_harms_no_other(tmp_path: Path) -> None:
    async def half(c: Connection) -> None:
        await insert(c, 1)
        raise ValueError("half way")

    async with open_database(tmp_path / "a.db") as database:
        async with anyio.create_task_group() as group:
            for n in range(10, 20):
                group.start_soon(database.write, lambda c, n=n: insert(c, n))
            with pytest.raises(ValueError, match="half way"):
                await database.write(half)
        assert await count(database) == 10


async def test_a_constraint_is_the_callers_error(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database:
        await database.write(lambda c: insert(c, 1))
        with pytest.raises(sqlite3.IntegrityError):
            await database.write(lambda c: insert(c, 1))
        assert await database.write(lambda c: insert(c, 2)) == 2


async def test_a_cancelled_caller_leaves_the_writer_working(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await database.write(lambda c: insert(c, 1))
        assert await database.write(lambda c: insert(c, 2)) == 2


async def test_readers_cannot_write(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database.read(lambda c: insert(c, 1))
        assert await count(database) == 0


async def test_commits_are_durable(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database:
        assert await scalar(database, "PRAGMA journal_mode") == "wal"
        assert await scalar(database, "PRAGMA synchronous") == 2
        assert await scalar(database, "PRAGMA foreign_keys") == 1


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as c:
        c.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    c.close()
    with pytest.raises(Unusable, match="newer Whisperbox"):
        async with open_database(tmp_path / "a.db"):
            pass


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(Unusable, match="not a database"):
        async with open_database(tmp_path / "a.db"):
            pass


async def test_a_lock_that_another_takes_after_a_write_that_raised_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the group begins anew then, and finds the database locked."""

    async def half(c: Connection) -> None:
        raise ValueError("half way")

    async with open_database(tmp_path / "a.db") as database:
        writer, other = database._writer, sqlite3.connect(tmp_path / "a.db")
        await writer.execute("PRAGMA busy_timeout = 10")
        execute, freed = writer.execute, anyio.Event()

        async def locking(sql: str, values: tuple[object, ...] = ()) -> object:
            done = await execute(sql, values)
            if sql == "ROLLBACK":
                other.execute("BEGIN IMMEDIATE")
                group.start_soon(unlock)
            return done

        async def unlock() -> None:
            await anyio.sleep(0.1)
            other.rollback()
            freed.set()

        monkeypatch.setattr(writer, "execute", locking)
        async with anyio.create_task_group() as group:
            group.start_soon(raises, database, half)
            group.start_soon(database.write, lambda c: insert(c, 1))
        await freed.wait()
        other.close()
        assert await count(database) == 1


async def raises(database: Database, work: Work[None]) -> None:
    with pytest.raises(ValueError, match="half way"):
        await database.write(work)


async def _for_ever(c: Connection) -> None:
    await c.execute_fetchall(
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    )


async def test_reads_and_writes_do_not_wait_for_searches(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database, anyio.create_task_group() as group:
        for _ in range(MAX_SEARCHES):
            group.start_soon(database.search, _for_ever)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(10):
            await database.write(lambda c: insert(c, 7))
            assert await count(database) == 1
            with pytest.raises(Busy, match="too many searches"):
                await database.search(_for_ever)
        group.cancel_scope.cancel()


async def test_a_question_of_health_does_not_wait_for_other_reads(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database, anyio.create_task_group() as group:
        for _ in range(10 * READERS):
            group.start_soon(database.read, _for_ever)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(10):
            assert len(await database.read_for_health(lambda c: rows(c, "SELECT 1"))) == 1
        group.cancel_scope.cancel()


async def test_a_search_that_takes_too_long_is_stopped_and_the_next_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.database.SEARCH_S", 0.1)
    async with open_database(tmp_path / "a.db") as database:
        with anyio.fail_after(10):
            with pytest.raises(Busy, match="took too long"):
                await database.search(_for_ever)
            assert len(await database.search(lambda c: rows(c, "SELECT 1"))) == 1
