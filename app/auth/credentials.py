"""E-mail addresses, tokens and their hashes: what people and programs show."""

import hashlib
import secrets
import time
from collections.abc import Iterable

from app.auth.permissions import SCOPES
from storage.accounts import Accounts
from storage.errors import Invalid
from storage.records import Account, Token
from storage.times import utc

TOKEN_PREFIX = "wb_"
LONGEST_EMAIL = 254


def normalised(email: str) -> str:
    """
    Raises:
        Invalid: it is not an e-mail address.
    """
    email = email.strip().lower()
    name, at, host = email.rpartition("@")
    if not (name and at and host) or len(email) > LONGEST_EMAIL or any(c.isspace() for c in email):
        raise Invalid("this is not an e-mail address")
    return email


async def create_token(
    accounts: Accounts, account: Account, name: str, scopes: Iterable[str], expires: float | None
) -> tuple[str, Token]:
    """The secret, which is shown this once, and what is kept of it."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = await accounts.add_token(
        account.number,
        digest(secret),
        name=name,
        scopes={SCOPES[scope] for scope in scopes},
        now=utc(time.time()),
        expires=expires,
    )
    return secret, token


def digest(secret: str) -> bytes:
    """What is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()
