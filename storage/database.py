"""The SQLite database: one connection writes, and others read at the same time.

The transactions of several callers share one commit, which makes them much faster. Everything here
needs asyncio as anyio's backend, because aiosqlite does.
"""

import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import aiosqlite
import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from storage.errors import Busy, Fatal, NoSpace, Unusable
from storage.migrate import migrate

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")
Connection = aiosqlite.Connection
Work = Callable[[Connection], Awaitable[T]]

DATABASE = "whisperbox.db"
"""The file's name within the data folder."""
READERS = 2
SEARCH_S = 10.0
"""After so many seconds, a search is given up; the time that it waits for others counts."""
MAX_SEARCHES = 8
"""The most searches that run or wait at once."""
GROUP = 64
"""The most transactions that share one commit, and so one fsync."""
MAX_WAITING = 1024
NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
"""SQL for the current time, in the format of `storage.times.utc`."""


class _Write:
    """A transaction that waits for the writer, and then its result."""

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.settled = anyio.Event()
        self.result: Any = None
        self.error: BaseException | None = None


class Database:
    """The database. Make one with `open_database`."""

    def __init__(
        self,
        path: Path,
        writer: Connection,
        readers: list[Connection],
        searcher: Connection,
        monitor: Connection,
    ) -> None:
        self.path = path
        self._writer = writer
        self._searcher, self._searching, self._searches = searcher, anyio.Lock(), 0
        self._monitor, self._monitoring = monitor, anyio.Lock()
        self._send, self._receive = anyio.create_memory_object_stream[_Write](MAX_WAITING)
        self._idle, self._free = anyio.create_memory_object_stream[Connection](len(readers))
        for reader in readers:
            self._idle.send_nowait(reader)

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction and return its result when the commit is on the disk.

        Several transactions may share a commit. If ``work`` raises, only its own transaction is
        rolled back, and the exception is raised here. If this call is cancelled, the transaction
        may be committed all the same.

        Raises:
            NoSpace: the disk is full; nothing was changed.
            Fatal: the database failed; only the next start shows what was committed.
        """
        write = _Write(work)
        await self._send.send(write)
        await write.settled.wait()
        if write.error is not None:
            raise write.error
        result: T = write.result
        return result

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` on a read-only connection, within one snapshot."""
        reader = await self._free.receive()
        try:
            return await _in_snapshot(reader, work)
        finally:
            self._idle.send_nowait(reader)

    async def read_for_health(self, work: Work[T]) -> T:
        """As `read`, for what is asked to see whether the server is well.

        It has a connection of its own, because thousands of other reads may wait for theirs.
        """
        async with self._monitoring:
            return await _in_snapshot(self._monitor, work)

    async def search(self, work: Work[T]) -> T:
        """As `read`, for what may take seconds: it has a connection of its own, and a time limit.

        Other reads never wait for it. When the caller is cancelled, SQLite stops, too.

        Raises:
            Busy: it took longer than SEARCH_S, or MAX_SEARCHES are running or waiting already.
        """
        if self._searches >= MAX_SEARCHES:
            raise Busy("too many searches at once; try again in a moment")
        self._searches += 1
        try:
            with anyio.move_on_after(SEARCH_S):
                async with self._searching:
                    return await _in_snapshot(self._searcher, work)
        finally:
            self._searches -= 1
        raise Busy("the search took too long; search for rarer words, or try again in a moment")

    async def _run(self) -> None:
        async for first in self._receive:
            group = [first, *_receive_waiting(self._receive, GROUP - 1)]
            try:
                await self._commit(group)
            except sqlite3.OperationalError as error:
                await self._writer.rollback()
                failed = _translated(error)
                for write in group:
                    write.error = failed
            for write in group:
                write.settled.set()

    async def _commit(self, group: list[_Write]) -> None:
        first, *others = group
        await self._begin()
        if not await self._run_one(first):
            await self._writer.execute("ROLLBACK")
            await self._begin()
        for write in others:
            await self._writer.execute("SAVEPOINT one")
            if not await self._run_one(write):
                await self._writer.execute("ROLLBACK TO one")
            await self._writer.execute("RELEASE one")
        await self._writer.execute("COMMIT")

    async def _begin(self) -> None:
        """Begin a transaction; if another program is writing, wait until it is done.

        Waiting does no harm, because no transaction of the group has begun yet.
        """
        while True:
            try:
                await self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                log.warning("another program holds the database; waiting for it")
            else:
                return

    async def _run_one(self, write: _Write) -> bool:
        """Run one transaction; False: it failed, and the caller must roll its changes back."""
        try:
            write.result = await write.work(self._writer)
        except Exception as error:
            if not self._writer.in_transaction:  # SQLite has rolled back the whole group by itself
                raise
            write.error = error
            return False
        return True


async def _in_snapshot(reader: Connection, work: Work[T]) -> T:
    try:
        await reader.execute("BEGIN")
        return await work(reader)
    except BaseException:
        await reader.interrupt()  # a cancelled query would run on, and the rollback wait for it
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await reader.rollback()


class Repository(Protocol):
    """A class whose methods are decorated with `read` or `write`."""

    _database: Database


R = TypeVar("R", bound=Repository)
Method = Callable[Concatenate[R, Connection, P], Awaitable[T]]
Bound = Callable[Concatenate[R, P], Coroutine[Any, Any, T]]
Run = Callable[[Work[T]], Coroutine[Any, Any, T]]


def read(method: Method[R, P, T]) -> Bound[R, P, T]:
    """Decorate a method that only reads.

    The method gets a read-only connection as its first argument, and sees one snapshot of the
    database. Its callers do not pass the connection.
    """

    return _bound(method, lambda database: database.read)


def read_for_health(method: Method[R, P, T]) -> Bound[R, P, T]:
    """As `read`, for a method that never waits for other reads; see `Database.read_for_health`."""

    return _bound(method, lambda database: database.read_for_health)


def search(method: Method[R, P, T]) -> Bound[R, P, T]:
    """As `read`, for a method that may take seconds; see `Database.search`."""

    return _bound(method, lambda database: database.search)


def write(method: Method[R, P, T]) -> Bound[R, P, T]:
    """Decorate a method that is one transaction; see `Database.write`.

    The method gets the writer's connection as its first argument, which its callers do not pass.
    When the call returns, the changes are on the disk.
    """

    return _bound(method, lambda database: database.write)


def _bound(method: Method[R, P, T], run: Callable[[Database], Run[T]]) -> Bound[R, P, T]:
    """The method without its connection, which ``run`` of the object's database gives it."""

    @wraps(method)
    async def call(self: R, *args: P.args, **kwargs: P.kwargs) -> T:
        return await run(self._database)(lambda c: method(self, c, *args, **kwargs))

    return cast(Bound[R, P, T], call)


def fields(row: sqlite3.Row) -> dict[str, Any]:
    """The row's values by the names of its columns."""
    return {key: row[key] for key in row.keys()}  # noqa: SIM118 - a Row is no mapping


async def rows(c: Connection, sql: str, *values: object) -> list[sqlite3.Row]:
    return list(await c.execute_fetchall(sql, values))


async def one(c: Connection, sql: str, *values: object) -> sqlite3.Row | None:
    """The first row; None if there is none."""
    return next(iter(await c.execute_fetchall(sql, values)), None)


async def scalar(c: Connection, sql: str, *values: object) -> Any:
    """The first column of the first row; None if there is no row."""
    row = await one(c, sql, *values)
    return None if row is None else row[0]


async def changed(c: Connection, sql: str, *values: object) -> int:
    """Execute a statement and return how many rows it changed."""
    return (await c.execute(sql, values)).rowcount


def _receive_waiting(receive: MemoryObjectReceiveStream[_Write], most: int) -> list[_Write]:
    found: list[_Write] = []
    while len(found) < most:
        try:
            found.append(receive.receive_nowait())
        except anyio.WouldBlock:
            break
    return found


def _translated(error: sqlite3.OperationalError) -> Exception:
    if (
        error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
        or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHMSIZE  # no room for the WAL's index
    ):
        return NoSpace("the disk is full")
    # After a failed fsync, written pages may be lost, even if the next fsync succeeds. So trying
    # again is not safe.
    return Fatal(f"the database failed: {error}")


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open the database and bring it to the current schema; it is closed when the block ends.

    Raises:
        Unusable: the file is not a Whisperbox database, or was written by a newer version, or
            cannot be written.
    """
    async with AsyncExitStack() as stack:
        try:
            writer = await stack.enter_async_context(_connect(path))
            await writer.execute("PRAGMA journal_mode = WAL")
            await migrate(writer)
            readers = [await stack.enter_async_context(_connect(path)) for _ in range(READERS)]
            searcher = await stack.enter_async_context(_connect(path))
            monitor = await stack.enter_async_context(_connect(path))
            for reader in [*readers, searcher, monitor]:
                await reader.execute("PRAGMA query_only = ON")
        except sqlite3.DatabaseError as error:
            raise Unusable(f"cannot use the database {path}: {error}") from error
        database = Database(path, writer, readers, searcher, monitor)
        async with anyio.create_task_group() as group:
            group.start_soon(database._run)
            try:
                yield database
            finally:
                group.cancel_scope.cancel()


@asynccontextmanager
async def _connect(path: Path) -> AsyncIterator[Connection]:
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous = FULL")
        await connection.execute("PRAGMA foreign_keys = ON")
        await connection.execute("PRAGMA busy_timeout = 5000")
        connection.row_factory = sqlite3.Row
        yield connection
