import re
import sqlite3
from pathlib import Path

from storage.migrate import migrations

SCHEMA = Path(__file__).parent.parent.parent / "schema.sql"


def described(*scripts: str) -> dict[str, str]:
    with sqlite3.connect(":memory:") as c:
        for script in scripts:
            c.executescript(script)
        rows = c.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    c.close()
    return {name: " ".join(re.sub(r"--[^\n]*", "", sql).split()) for name, sql in rows}


def test_the_migrations_lead_to_the_schema() -> None:
    assert described(*migrations()) == described(SCHEMA.read_text())
