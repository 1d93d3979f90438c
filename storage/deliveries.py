"""The outbox: the webhook deliveries that are due, delivered or failed."""

import secrets
from collections.abc import Iterable, Sequence

from storage.database import (
    NOW,
    Connection,
    Database,
    changed,
    fields,
    one,
    read,
    rows,
    scalar,
    write,
)
from storage.records import Delivery, FailingReceiver

_DELIVERY = (
    "SELECT d.id, event, url, origin, format, jobs.id AS job_id, happened_at, attempts "
    "FROM deliveries d LEFT JOIN jobs ON jobs.number = job_number "
)

FAILING_TRIES = 2
"""Tries after which a receiver counts as failing."""


class Deliveries:
    """Only the webhook dispatcher calls the methods that change something.

    (`Jobs.finish` writes the delivery for a job's end, in the transaction that ends the job. If a
    language model writes texts for the job, `Texts` writes it after the last text.)
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @read
    async def listeners(self, c: Connection) -> dict[tuple[str, str], None]:
        """The URL and format of every webhook that is told about the model, newest last.

        They are those of jobs that are open or ended within the last day. The dict is used as an
        ordered set.
        """
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
        self,
        c: Connection,
        now: float,
        *,
        exclude: Iterable[str] = (),
        exclude_origins: Iterable[str] = (),
        limit: int,
        per_origin: int,
    ) -> list[Delivery]:
        """Deliveries due by ``now`` (seconds since the epoch), the oldest first, up to ``limit``.

        Those with an id in ``exclude`` or to an origin in ``exclude_origins`` are left out. At most
        ``per_origin`` deliveries to one origin (scheme, host and port) are returned, so that those
        to a slow receiver do not hide the others.
        """
        ids, origins = list(exclude), list(exclude_origins)
        found = await rows(
            c,
            f"{_DELIVERY} WHERE d.id IN (SELECT id FROM (SELECT id, due, row_number() OVER "
            "(PARTITION BY origin ORDER BY due) AS place FROM deliveries WHERE due <= ? "
            f"AND id NOT IN ({', '.join('?' * len(ids))}) "
            f"AND origin NOT IN ({', '.join('?' * len(origins))})) WHERE place <= ? "
            "ORDER BY due LIMIT ?) ORDER BY due",
            now,
            *ids,
            *origins,
            per_origin,
            limit,
        )
        return [Delivery(**fields(row)) for row in found]

    @read
    async def failing(self, c: Connection) -> list[FailingReceiver]:
        """Receivers that did not take a delivery FAILING_TRIES times, the longest waiting first."""
        found = await rows(
            c,
            "SELECT origin, waiting, since, tried_at, error, http_status FROM ("
            "SELECT *, count(*) OVER one AS waiting, min(happened_at) OVER one AS since, "
            "row_number() OVER (PARTITION BY origin ORDER BY attempts DESC, tried_at DESC) AS n "
            "FROM deliveries WHERE due IS NOT NULL WINDOW one AS (PARTITION BY origin)) "
            f"WHERE n = 1 AND attempts >= {FAILING_TRIES} ORDER BY since",
        )
        return [FailingReceiver(**fields(row)) for row in found]

    @read
    async def next_due(self, c: Connection, after: float) -> float | None:
        """When the first delivery after that moment is due; None if there is none.

        Both times are in seconds since the epoch.
        """
        due = await scalar(c, "SELECT min(due) FROM deliveries WHERE due > ?", after)
        return None if due is None else float(due)

    @write
    async def cap_due(self, c: Connection, now: float, pauses: Sequence[float]) -> int:
        """Bring forward what is due later than its own next pause allows: a clock was put back.

        ``pauses``: the longest pause in seconds after each number of tries, from 0. Returns how
        many deliveries were brought forward.
        """
        count = 0
        for attempts, pause in enumerate(pauses):
            count += await changed(
                c,
                "UPDATE deliveries SET due = ? WHERE due > ? AND attempts = ?",
                now + pause,
                now + pause,
                attempts,
            )
        return count

    @read
    async def counts(self, c: Connection) -> dict[str, int]:
        """How many deliveries there are by outcome: ``waiting``, ``delivered``, ``failed``."""
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
        """Write a delivery for each ``(url, format)``, for an event that belongs to no job."""
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
        """Store the outcome of a try, and when the next try is due (None: no further try)."""
        await c.execute(
            "UPDATE deliveries SET attempts = attempts + 1, http_status = ?, error = ?, "
            f"due = iif(due IS NULL, NULL, ?), delivered_at = ?, tried_at = {NOW} "
            "WHERE id = ?",  # due is NULL already if the job was restarted in the meantime
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
        """Make a delivery that was delivered or has failed due again.

        Returns whether there is such a delivery.
        """
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
        """Delete the deliveries that ended before that moment.

        The delivery for the last end of each job is kept, because the job's callback status is read
        from it. It is deleted together with the job.
        """
        await c.execute(
            "DELETE FROM deliveries WHERE due IS NULL "
            "AND coalesce(delivered_at, tried_at, happened_at) < ? "
            "AND (job_number IS NULL OR happened_at IS NOT "
            "(SELECT completed_at FROM jobs WHERE number = job_number))",
            (before,),
        )
