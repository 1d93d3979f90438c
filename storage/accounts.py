"""Who may use the server: accounts, their sessions and their tokens.

The secrets themselves are never stored, only their hashes: a slow hash of a password, and SHA-256
of the 256 random bits of a session or a token.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from storage.database import Connection, Database, changed, one, read, rows, write
from storage.errors import Conflict
from storage.records import Account, Permission, Session, Token

_ACCOUNT = "a.number, a.email, a.admin, a.permissions, a.created_at, a.disabled_at"
_TOKEN = (
    "t.number, t.account, t.name, t.scopes, t.created_at, t.expires, t.last_used_at, t.revoked_at"
)
USE_NOTED_EVERY_S = 60
"""The time of a token's last use is stored at most once in this many seconds."""

SESSIONS_KEY = "sessions"
"""The name of the key that signs sessions."""

_texts = msgspec.json.Decoder(tuple[str, ...])


def key_in(database: Path, name: str) -> bytes | None:
    """The key with that name, where this process may read the database and has it."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as opened:
            row = opened.execute("SELECT value FROM keys WHERE name = ?", [name]).fetchone()
    except sqlite3.Error:
        return None
    return bytes(row[0]) if row else None


class Accounts:
    """Only the surfaces (`app`) and the command line call the methods that change something."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Questions.

    async def all(self) -> list[Account]:
        return await self._accounts("ORDER BY a.email")

    @read
    async def find(self, c: Connection, email: str) -> tuple[Account, str] | None:
        """The account with this address and the hash of its password; None if there is none."""
        row = await one(
            c, f"SELECT {_ACCOUNT}, password_hash FROM accounts a WHERE email = ?", email
        )
        return None if row is None else (_account(row), row["password_hash"])

    async def of_session(self, session: bytes, now: float) -> Account | None:
        """The account of a session; None if the session has ended or the account is disabled.

        ``session``: the session's hash; ``now``: seconds since the epoch.
        """
        found = await self._accounts(
            "JOIN sessions s ON s.account = a.number "
            "WHERE s.hash = ? AND s.expires > ? AND a.disabled_at IS NULL",
            session,
            now,
        )
        return found[0] if found else None

    @read
    async def of_token(
        self, c: Connection, token: bytes, now: float
    ) -> tuple[Account, Token] | None:
        """A token and its account; None if the token is not valid or the account is disabled.

        ``token``: the token's hash; ``now``: seconds since the epoch.
        """
        row = await one(
            c,
            f"SELECT {_TOKEN} FROM tokens t WHERE t.hash = ? AND t.revoked_at IS NULL "
            "AND coalesce(t.expires, ?) >= ?",
            token,
            now,
            now,
        )
        if row is None:
            return None
        found = _token(row)
        accounts = await _select(c, "WHERE a.number = ? AND a.disabled_at IS NULL", found.account)
        return (accounts[0], found) if accounts else None

    @read
    async def tokens(self, c: Connection, account: int | None = None) -> list[Token]:
        """The tokens of one account, or of all accounts (None), newest first."""
        found = await rows(
            c,
            f"SELECT {_TOKEN} FROM tokens t WHERE ?1 IS NULL OR t.account = ?1 "
            "ORDER BY t.number DESC",
            account,
        )
        return [_token(row) for row in found]

    # Changes.

    @write
    async def add(
        self,
        c: Connection,
        email: str,
        password_hash: str,
        *,
        admin: bool,
        may: Iterable[Permission],
        now: str,
    ) -> Account:
        """Make an account.

        Raises:
            Conflict: there is an account with this address already.
        """
        try:
            await c.execute(
                "INSERT INTO accounts (email, password_hash, admin, permissions, created_at) "
                "VALUES (?, ?, ?, ?, ?)",
                (email, password_hash, admin, _list(may), now),
            )
        except sqlite3.IntegrityError:
            raise Conflict(f"there is an account {email} already") from None
        return (await _select(c, "WHERE a.email = ?", email))[0]

    @write
    async def set_password(self, c: Connection, account: int, password_hash: str) -> None:
        """Change the password. This also ends all sessions of the account."""
        await c.execute(
            "UPDATE accounts SET password_hash = ? WHERE number = ?", (password_hash, account)
        )
        await c.execute("DELETE FROM sessions WHERE account = ?", (account,))

    async def set_permissions(
        self, account: int, may: Iterable[Permission], *, admin: bool | None = None
    ) -> None:
        """Replace the permissions. ``admin`` None: the account stays an administrator or not."""
        await self._change(
            "UPDATE accounts SET permissions = ?, admin = coalesce(?, admin) WHERE number = ?",
            _list(may),
            admin,
            account,
        )

    @write
    async def set_disabled(self, c: Connection, account: int, since: str | None) -> None:
        """Disable an account, or enable it again if ``since`` is None.

        In both cases all its sessions end.
        """
        await c.execute("UPDATE accounts SET disabled_at = ? WHERE number = ?", (since, account))
        await c.execute("DELETE FROM sessions WHERE account = ?", (account,))

    @write
    async def begin_session(
        self,
        c: Connection,
        account: int,
        session: bytes,
        now: str,
        *,
        expires: float,
        expired: float,
        about: str = "",
    ) -> None:
        """Store a new session, and delete the sessions of all accounts that ended before
        ``expired``.

        ``expires`` and ``expired`` are seconds since the epoch.
        """
        await c.execute("DELETE FROM sessions WHERE expires < ?", (expired,))
        await c.execute(
            "INSERT INTO sessions (hash, account, created_at, expires, about) "
            "VALUES (?, ?, ?, ?, ?)",
            (session, account, now, expires, about),
        )

    async def end_session(self, session: bytes) -> None:
        await self._change("DELETE FROM sessions WHERE hash = ?", session)

    async def end_sessions(self, account: int) -> None:
        await self._change("DELETE FROM sessions WHERE account = ?", account)

    @read
    async def sessions(self, c: Connection, account: int, now: float) -> list[Session]:
        """The account's sessions that have not ended, newest first."""
        found = await rows(
            c,
            "SELECT hash, created_at, expires, about FROM sessions "
            "WHERE account = ? AND expires > ? ORDER BY created_at DESC",
            account,
            now,
        )
        return [
            Session(
                hash=bytes(row["hash"]),
                created_at=row["created_at"],
                expires=row["expires"],
                about=row["about"],
            )
            for row in found
        ]

    @write
    async def add_token(
        self,
        c: Connection,
        account: int,
        token: bytes,
        *,
        name: str,
        scopes: Iterable[str],
        now: str,
        expires: float | None,
    ) -> Token:
        row = await one(
            c,
            "INSERT INTO tokens AS t (hash, account, name, scopes, created_at, expires) "
            f"VALUES (?, ?, ?, ?, ?, ?) RETURNING {_TOKEN.replace('t.', '')}",
            token,
            account,
            name,
            _list(scopes),
            now,
            expires,
        )
        assert row is not None
        return _token(row)

    async def note_token_use(self, token: Token, now: str) -> None:
        """Store that a token was used, at most once in USE_NOTED_EVERY_S seconds."""
        await self._change(
            "UPDATE tokens SET last_used_at = ?1 WHERE number = ?2 AND (last_used_at IS NULL "
            f"OR julianday(?1) - julianday(last_used_at) >= {USE_NOTED_EVERY_S} / 86400.0)",
            now,
            token.number,
        )

    @write
    async def revoke_token(self, c: Connection, number: int, account: int | None, now: str) -> bool:
        """Revoke a token; if ``account`` is given, only if the token belongs to it.

        Returns whether a token was revoked.
        """
        return bool(
            await changed(
                c,
                "UPDATE tokens SET revoked_at = ?1 WHERE number = ?2 AND revoked_at IS NULL "
                "AND (?3 IS NULL OR account = ?3)",
                now,
                number,
                account,
            )
        )

    @write
    async def key(self, c: Connection, name: str, fresh: bytes) -> bytes:
        """The key with that name; if there is none, ``fresh`` is stored and returned."""
        await c.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (name, fresh))
        row = await one(c, "SELECT value FROM keys WHERE name = ?", name)
        assert row is not None
        return bytes(row[0])

    async def _accounts(self, where: str, *values: object) -> list[Account]:
        return await self._database.read(lambda c: _select(c, where, *values))

    @write
    async def _change(self, c: Connection, sql: str, *values: object) -> None:
        await c.execute(sql, values)


async def _select(c: Connection, where: str, *values: object) -> list[Account]:
    found = await rows(c, f"SELECT {_ACCOUNT} FROM accounts a {where}", *values)
    return [_account(row) for row in found]


def _account(row: Any) -> Account:
    return Account(
        number=row["number"],
        email=row["email"],
        admin=bool(row["admin"]),
        permissions=frozenset(Permission(each) for each in _texts.decode(row["permissions"])),
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )


def _token(row: Any) -> Token:
    return Token(
        number=row["number"],
        account=row["account"],
        name=row["name"],
        scopes=frozenset(_texts.decode(row["scopes"])),
        created_at=row["created_at"],
        expires=row["expires"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )


def _list(texts: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(texts)).decode()
