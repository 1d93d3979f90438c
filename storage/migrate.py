"""Brings a database to the current schema: it runs numbered SQL files, one after the other."""

from importlib import resources

import aiosqlite

from storage.errors import Unusable


def migrations() -> list[str]:
    """The SQL of every migration, oldest first."""
    folder = resources.files("storage") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [file.read_text() for file in files]


async def migrate(connection: aiosqlite.Connection) -> None:
    """Run the migrations that are missing according to ``user_version``, each in a transaction.

    Foreign keys are off during this. Otherwise, when a migration replaces a table by a new one,
    dropping the old table would also delete the rows of other tables that refer to it.

    Raises:
        Unusable: the database was written by a newer Whisperbox, or rows refer to missing rows.
    """
    rows = await connection.execute_fetchall("PRAGMA user_version")
    (version,) = next(iter(rows))
    known = migrations()
    if version > len(known):
        raise Unusable(
            f"the database has version {version}, but this Whisperbox knows only up to "
            f"{len(known)}: run the newer Whisperbox again, or set DATA_DIR to another folder"
        )
    if version == len(known):
        return
    await connection.execute("PRAGMA foreign_keys = OFF")
    for number, sql in enumerate(known[version:], start=version + 1):
        await connection.executescript(
            f"BEGIN IMMEDIATE; {sql}; PRAGMA user_version = {number}; COMMIT;"
        )
    rows = await connection.execute_fetchall("PRAGMA foreign_key_check")
    if next(iter(rows), None) is not None:
        raise Unusable("the database is damaged: rows refer to others that do not exist")
    await connection.execute("PRAGMA foreign_keys = ON")
