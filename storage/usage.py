"""What each account has used of the daily quotas. Deleting a job does not reduce it."""

from storage.database import NOW, Connection, Database, one, read

KEPT = "-2 days"


class Usage:
    def __init__(self, database: Database) -> None:
        self._database = database

    @read
    async def last_day(self, c: Connection, account: int) -> tuple[float, int]:
        """The seconds of audio and the language model's tokens of the last 24 hours."""
        row = await one(
            c,
            "SELECT total(audio_secs), total(tokens) FROM usage WHERE account = ? "
            "AND at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')",
            account,
        )
        assert row is not None
        return float(row[0]), int(row[1])


async def note_usage(
    c: Connection, account: int | None, *, audio_secs: float = 0, tokens: int = 0
) -> None:
    """Store what an account has used, within the caller's transaction. None: nothing is stored.

    The account's rows that are too old to count any more are deleted here as well.
    """
    if account is None:
        return
    await c.execute(
        "DELETE FROM usage WHERE account = ? AND "
        f"at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{KEPT}')",
        (account,),
    )
    await c.execute(
        f"INSERT INTO usage (account, at, audio_secs, tokens) VALUES (?, {NOW}, ?, ?)",
        (account, audio_secs, tokens),
    )
