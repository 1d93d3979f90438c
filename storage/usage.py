"""What an account has had of what is limited by the day; a deleted job gives nothing back."""

from storage.database import NOW, Connection, Database

KEPT = "-2 days"


class Usage:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_a_day(self, account: int) -> tuple[float, int]:
        """Seconds of audio, and tokens of the language model, in the last 24 hours."""

        async def select(c: Connection) -> tuple[float, int]:
            rows = await c.execute_fetchall(
                "SELECT total(audio_secs), total(tokens) FROM usage WHERE account = ? "
                "AND at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')",
                (account,),
            )
            row = next(iter(rows))
            return float(row[0]), int(row[1])

        return await self._database.read(select)


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
