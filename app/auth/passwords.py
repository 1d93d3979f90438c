"""Passwords as argon2id hashes, made off the event loop and two at a time."""

from functools import cache

import anyio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from storage.errors import Invalid

# OWASP's first choice of argon2id parameters for a box with little memory to spare: 19 MiB, two
# passes, one lane (Password Storage Cheat Sheet).
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_at_once = anyio.CapacityLimiter(2)
SHORTEST, LONGEST = 8, 1024


def hashed(password: str) -> str:
    """Blocks for some tens of milliseconds.

    Raises:
        Invalid: it is too short or too long to be a password.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"a password must have {SHORTEST} to {LONGEST} characters")
    return _hasher.hash(password)


async def hashed_aside(password: str) -> str:
    """The same off the event loop.

    Raises:
        Invalid: as `hashed`.
    """
    return await anyio.to_thread.run_sync(hashed, password, limiter=_at_once)


async def verify(password_hash: str | None, password: str) -> bool:
    """Takes as long for an account that is not there (None) as for one that is, except for the
    first one after the start, for which a hash to compare with is made."""
    if len(password) > LONGEST:
        return False
    right = await anyio.to_thread.run_sync(_verify, password_hash, password, limiter=_at_once)
    return right and password_hash is not None


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody's")


def _verify(password_hash: str | None, password: str) -> bool:
    try:
        return _hasher.verify(password_hash or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
