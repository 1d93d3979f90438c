"""What an account has had of what is limited by the day; a deleted job gives nothing back."""

from storage.database import NOW, Connection, Database, one, read

KEPT = "-2 days"


class Usage:
    def __init__(self, database: Database) -> None:
        self._database = database

    @read
    async def of_a_day(self, c: Connection, account: int) -> tuple[float, int]:
        """Seconds of audio, and tokens of the language model, in the last 24 hours."""
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
    """For those who write what costs something; older rows than are asked for go by the way."""
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
