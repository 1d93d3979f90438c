"""What must hold in a database at any moment, whatever happened to the server."""

import sqlite3
from contextlib import closing
from pathlib import Path

from bench.torture.box import has_tables

QUERIES = {
    "another number of segments than counted": (
        "SELECT id FROM jobs WHERE segments <> "
        "(SELECT count(*) FROM segments WHERE job_number = number)"
    ),
    "another number of chunks than planned": (
        "SELECT id FROM jobs WHERE chunks_total IS NOT NULL AND chunks_total <> "
        "(SELECT count(*) FROM chunks WHERE job_number = number)"
    ),
    "positions with holes": (
        "SELECT job_number FROM segments GROUP BY 1 HAVING max(position) + 1 <> count(*)"
    ),
    "segments out of order": (
        "SELECT a.job_number FROM segments a JOIN segments b ON a.job_number = b.job_number "
        "AND b.position = a.position + 1 WHERE b.start_secs < a.start_secs"
    ),
    "segments that cannot be found by search, or are found twice": (
        "SELECT 1 WHERE (SELECT count(*) FROM spoken) <> (SELECT count(*) FROM lines)"
    ),
    "two webhooks of one end": (
        "SELECT job_number FROM deliveries WHERE event = 'job_ended' "
        "GROUP BY job_number, happened_at HAVING count(*) > 1"
    ),
    "an end without a webhook": (
        "SELECT id FROM jobs WHERE completed_at IS NOT NULL AND webhook_url IS NOT NULL "
        "AND NOT assisted AND NOT EXISTS (SELECT * FROM deliveries "
        "WHERE job_number = number AND happened_at = completed_at)"
    ),
    "two jobs of one key": (
        "SELECT idempotency_key FROM jobs WHERE idempotency_key IS NOT NULL "
        "GROUP BY 1 HAVING count(*) > 1"
    ),
}


def problems(database: Path) -> list[str]:
    """Problems of the file itself, and rows that contradict each other."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        found = [
            f"integrity: {row[0]}"
            for row in connection.execute("PRAGMA integrity_check")
            if row[0] != "ok"
        ]
        found += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        if not has_tables(database):
            return found  # the server was killed before it had made its tables
        try:
            connection.execute("INSERT INTO spoken (spoken) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            found.append(f"search index: {error}")
        connection.rollback()
        for name, query in QUERIES.items():
            if bad := connection.execute(query).fetchmany(3):
                found.append(f"{name}: {[row[0] for row in bad]}")
    return found
