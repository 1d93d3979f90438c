"""The outbox: what is still to be said to whom."""

import secrets
from collections.abc import Iterable

from storage.database import NOW, Connection, Database
from storage.records import Delivery

_DELIVERY = (
    "SELECT d.id, event, url, format, jobs.id AS job_id, happened_at, attempts "
    "FROM deliveries d LEFT JOIN jobs ON jobs.number = job_number "
)


class Deliveries:
    """The webhook dispatcher alone calls the methods that change something.

    (The row of a job's end is written by `Jobs.finish`, in the transaction of that end.)
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listeners(self) -> dict[tuple[str, str], None]:
        """URL and format of every webhook that hears of the model, as an ordered set."""

        async def select(c: Connection) -> dict[tuple[str, str], None]:
            rows = await c.execute_fetchall(
                "SELECT DISTINCT webhook_url, webhook_format FROM jobs "
                "WHERE status IN ('queued', 'running') AND model_events"
            )
            return {(row[0], row[1]): None for row in rows}

        return await self._database.read(select)

    async def due(
        self, now: float, besides: Iterable[str], limit: int, each: int
    ) -> list[Delivery]:
        """Up to ``limit`` deliveries due by ``now``, the oldest first, but none of ``besides``.

        At most ``each`` of any URL, so that a slow receiver hides nobody else's.
        """
        skipped = list(besides)

        async def select(c: Connection) -> list[Delivery]:
            rows = await c.execute_fetchall(
                f"{_DELIVERY} WHERE d.id IN (SELECT id FROM (SELECT id, due, row_number() OVER "
                "(PARTITION BY url ORDER BY due) AS place FROM deliveries WHERE due <= ? "
                f"AND id NOT IN ({', '.join('?' * len(skipped))})) WHERE place <= ? "
                "ORDER BY due LIMIT ?) ORDER BY due",
                (now, *skipped, each, limit),
            )
            return [Delivery(**{key: row[key] for key in row.keys()}) for row in rows]  # noqa: SIM118

        return await self._database.read(select)

    async def next_due(self, after: float) -> float | None:
        """When the first delivery falls due after that moment; None when there is none."""

        async def select(c: Connection) -> float | None:
            rows = await c.execute_fetchall(
                "SELECT min(due) FROM deliveries WHERE due > ?", (after,)
            )
            (due,) = next(iter(rows))
            return None if due is None else float(due)

        return await self._database.read(select)

    async def sooner(self, latest: float) -> None:
        """What falls due later than that moment does so then: a clock was put back."""

        async def work(c: Connection) -> None:
            await c.execute("UPDATE deliveries SET due = ? WHERE due > ?", (latest, latest))

        await self._database.write(work)

    async def counts(self) -> dict[str, int]:
        """Rows by outcome: ``waiting``, ``delivered``, ``failed``."""

        async def select(c: Connection) -> dict[str, int]:
            rows = await c.execute_fetchall(
                "SELECT count(due), count(delivered_at), "
                "count(*) FILTER (WHERE due IS NULL AND delivered_at IS NULL) FROM deliveries"
            )
            row = next(iter(rows))
            return dict(zip(("waiting", "delivered", "failed"), row, strict=True))

        return await self._database.read(select)

    async def announce(
        self, event: str, targets: Iterable[tuple[str, str]], happened_at: str, due: float
    ) -> None:
        """One row for each ``(url, format)``, for an event that belongs to no job."""

        async def work(c: Connection) -> None:
            await c.executemany(
                "INSERT INTO deliveries (id, event, url, format, happened_at, due) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [(f"msg_{secrets.token_hex(16)}", event, *t, happened_at, due) for t in targets],
            )

        await self._database.write(work)

    async def record(
        self,
        delivery_id: str,
        *,
        http_status: int | None,
        error: str | None,
        due: float | None,
        delivered_at: str | None,
    ) -> None:
        """What came of a try, and when the next is due."""

        async def work(c: Connection) -> None:
            await c.execute(
                "UPDATE deliveries SET attempts = attempts + 1, http_status = ?, error = ?, "
                f"due = iif(due IS NULL, NULL, ?), delivered_at = ?, tried_at = {NOW} "
                "WHERE id = ?",  # not due any more: the job was restarted meanwhile
                (http_status, error, due, delivered_at, delivery_id),
            )
            said = "delivered" if delivered_at else error or f"answered with {http_status}"
            await c.execute(
                f"INSERT INTO job_log SELECT job_number, {NOW}, 'callback, attempt ' || attempts "
                "|| ': ' || ? FROM deliveries WHERE id = ? AND job_number IS NOT NULL",
                (said, delivery_id),
            )

        await self._database.write(work)

    async def replay(self, delivery_id: str, due: float) -> bool:
        """Begin again with a delivery that is over; whether there was one."""

        async def work(c: Connection) -> bool:
            changed = await c.execute(
                "UPDATE deliveries SET attempts = 0, due = ?, delivered_at = NULL "
                "WHERE id = ? AND due IS NULL",
                (due, delivery_id),
            )
            return bool(changed.rowcount)

        return await self._database.write(work)
