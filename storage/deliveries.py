"""The outbox: what is still to be said to whom."""

import secrets
from collections.abc import Iterable

from storage.database import NOW, Connection, Database, changed, one, read, rows, scalar, write
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

    @read
    async def listeners(self, c: Connection) -> dict[tuple[str, str], None]:
        """URL and format of every webhook that hears of the model, the latest last: those of jobs
        that are open or ended within a day. An ordered set."""
        found = await rows(
            c,
            "SELECT webhook_url, webhook_format FROM jobs WHERE model_events "
            "AND (completed_at IS NULL "
            "OR completed_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')) "
            "GROUP BY 1, 2 ORDER BY max(number)",
        )
        return {(row[0], row[1]): None for row in found}

    @read
    async def due(
        self, c: Connection, now: float, besides: Iterable[str], limit: int, each: int
    ) -> list[Delivery]:
        """Up to ``limit`` deliveries due by ``now``, the oldest first, but none of ``besides``.

        At most ``each`` of any URL, so that a slow receiver hides nobody else's.
        """
        skipped = list(besides)
        found = await rows(
            c,
            f"{_DELIVERY} WHERE d.id IN (SELECT id FROM (SELECT id, due, row_number() OVER "
            "(PARTITION BY url ORDER BY due) AS place FROM deliveries WHERE due <= ? "
            f"AND id NOT IN ({', '.join('?' * len(skipped))})) WHERE place <= ? "
            "ORDER BY due LIMIT ?) ORDER BY due",
            now,
            *skipped,
            each,
            limit,
        )
        return [Delivery(**{key: row[key] for key in row.keys()}) for row in found]  # noqa: SIM118

    @read
    async def next_due(self, c: Connection, after: float) -> float | None:
        """When the first delivery falls due after that moment; None when there is none."""
        due = await scalar(c, "SELECT min(due) FROM deliveries WHERE due > ?", after)
        return None if due is None else float(due)

    @write
    async def sooner(self, c: Connection, latest: float) -> None:
        """What falls due later than that moment does so then: a clock was put back."""
        await c.execute("UPDATE deliveries SET due = ? WHERE due > ?", (latest, latest))

    @read
    async def counts(self, c: Connection) -> dict[str, int]:
        """Rows by outcome: ``waiting``, ``delivered``, ``failed``."""
        row = await one(
            c,
            "SELECT count(due), count(delivered_at), "
            "count(*) FILTER (WHERE due IS NULL AND delivered_at IS NULL) FROM deliveries",
        )
        assert row is not None
        return dict(zip(("waiting", "delivered", "failed"), row, strict=True))

    @write
    async def announce(
        self,
        c: Connection,
        event: str,
        targets: Iterable[tuple[str, str]],
        happened_at: str,
        due: float,
    ) -> None:
        """One row for each ``(url, format)``, for an event that belongs to no job."""
        await c.executemany(
            "INSERT INTO deliveries (id, event, url, format, happened_at, due) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(f"msg_{secrets.token_hex(16)}", event, *t, happened_at, due) for t in targets],
        )

    @write
    async def record(
        self,
        c: Connection,
        delivery_id: str,
        *,
        http_status: int | None,
        error: str | None,
        due: float | None,
        delivered_at: str | None,
    ) -> None:
        """What came of a try, and when the next is due."""
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

    @write
    async def replay(self, c: Connection, delivery_id: str, due: float) -> bool:
        """Begin again with a delivery that is over; whether there was one."""
        return bool(
            await changed(
                c,
                "UPDATE deliveries SET attempts = 0, due = ?, delivered_at = NULL "
                "WHERE id = ? AND due IS NULL",
                due,
                delivery_id,
            )
        )

    @write
    async def prune(self, c: Connection, before: str) -> None:
        """Forget what ended before that moment, but for the last end of each job: that delivery
        is what the job's callback status is read from, and goes with the job."""
        await c.execute(
            "DELETE FROM deliveries WHERE due IS NULL "
            "AND coalesce(delivered_at, tried_at, happened_at) < ? "
            "AND (job_number IS NULL OR happened_at IS NOT "
            "(SELECT completed_at FROM jobs WHERE number = job_number))",
            (before,),
        )
