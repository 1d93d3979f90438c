"""The speaker turns of jobs: who speaks when in the recording."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from storage.database import Connection, Database, changed, one, read, rows, write
from storage.records import Job, Speakers, SpeakersStatus, Turn

_turns = msgspec.json.Decoder(tuple[Turn, ...])


class SpeakerTurns:
    """Only the diarizer calls the methods that change something, except `name`, which the surfaces
    call.

    (`Jobs.finish` writes the row of a job, in the transaction that ends the job.)
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @read
    async def of_jobs(self, c: Connection, jobs: Sequence[Job]) -> dict[int, Speakers]:
        """The speaker turns of these jobs, by the job's number."""
        numbers = [job.number for job in jobs]
        marks = ", ".join("?" * len(numbers))
        names: defaultdict[int, dict[str, str]] = defaultdict(dict)
        for row in await rows(
            c, f"SELECT * FROM speaker_names WHERE job_number IN ({marks})", *numbers
        ):
            names[row["job_number"]][row["label"]] = row["name"]
        found = await rows(c, f"SELECT * FROM speakers WHERE job_number IN ({marks})", *numbers)
        return {row["job_number"]: _speakers(row, names[row["job_number"]]) for row in found}

    @write
    async def name(self, c: Connection, job: Job, label: str, name: str | None) -> None:
        """Give the speaker with this label a name; None: show the label again."""
        await c.execute(
            "DELETE FROM speaker_names WHERE job_number = ? AND label = ?", (job.number, label)
        )
        if name:
            await c.execute("INSERT INTO speaker_names VALUES (?, ?, ?)", (job.number, label, name))

    @read
    async def next(self, c: Connection) -> tuple[Speakers, str, int | None] | None:
        """The row of the oldest job that waits for the diarizer, its id and its audio track."""
        row = await one(
            c,
            "SELECT s.*, jobs.id, jobs.audio_track FROM speakers s "
            "JOIN jobs ON jobs.number = s.job_number "
            "WHERE s.status = 'pending' ORDER BY s.job_number LIMIT 1",
        )
        return None if row is None else (_speakers(row), row["id"], row["audio_track"])

    async def begin(self, job_number: int, now: str) -> bool:
        """Set a pending row to running; False if it is not pending."""
        return await self._change(
            "UPDATE speakers SET status = 'running', tries = tries + 1, updated_at = ? "
            "WHERE job_number = ? AND status = 'pending'",
            now,
            job_number,
        )

    async def settle(
        self,
        job_number: int,
        status: SpeakersStatus,
        now: str,
        *,
        provider: str | None = None,
        turns: Sequence[Turn] = (),
        error: str | None = None,
    ) -> None:
        await self._change(
            "UPDATE speakers SET status = ?, provider = ?, turns = ?, error = ?, updated_at = ? "
            "WHERE job_number = ? AND status = 'running'",
            status,
            provider,
            msgspec.json.encode(turns).decode(),
            error,
            now,
            job_number,
        )

    async def reset_running(self) -> None:
        """Set running rows back to pending: their work was lost when the server or actor ended."""
        await self._change("UPDATE speakers SET status = 'pending' WHERE status = 'running'")

    @write
    async def _change(self, c: Connection, sql: str, *values: object) -> bool:
        return bool(await changed(c, sql, *values))


async def request_speakers(c: Connection, job: Job, now: str) -> None:
    await c.execute(
        "INSERT OR REPLACE INTO speakers (job_number, updated_at) VALUES (?, ?)", (job.number, now)
    )


def _speakers(row: Any, names: Mapping[str, str] = MappingProxyType({})) -> Speakers:
    turns = _turns.decode(row["turns"])
    return Speakers(
        job_number=row["job_number"],
        status=SpeakersStatus(row["status"]),
        provider=row["provider"],
        turns=tuple(Turn(t.start, t.end, names.get(t.label, t.label)) for t in turns),
        error=row["error"],
        tries=row["tries"],
        updated_at=row["updated_at"],
        names=tuple((label, names.get(label, label)) for label in sorted({t.label for t in turns})),
    )
