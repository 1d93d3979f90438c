"""Public pages of transcripts: how they are made, found and unlocked."""

import hashlib
import hmac
import time
from typing import Annotated

import msgspec

from actors.system import System
from app.auth import passwords
from app.auth.access import Access
from app.auth.connection import neighbourhood
from app.auth.request_limits import Limiter
from app.http.refusals import TooMany, Unprocessable
from storage.errors import Conflict, Invalid, NotFound
from storage.records import Action, Job, Share
from storage.times import utc

PATH = "/shared/whisper/transcript"
"""Of every public page; the share's token follows."""
TRIES, TRIES_WINDOW_S = 10, 300
TRIES_ANYWHERE = 100
"""For one share, from all addresses together."""
"""Passwords that one address may try on one share."""


class ShareRequest(msgspec.Struct):
    """How a transcript is to be shared."""

    expires_in_hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 3660)] | None = None
    password: str | None = None
    with_audio: bool = False
    with_downloads: bool = True


class ShareService:
    def __init__(self, system: System, access: Access, base_url: str) -> None:
        self._system, self._access, self._base_url = system, access, base_url
        self._tries = Limiter(TRIES, TRIES_WINDOW_S)
        self._tries_anywhere = Limiter(TRIES_ANYWHERE, TRIES_WINDOW_S)

    def url(self, share: Share) -> str:
        return share_url(share, self._base_url)

    async def put(
        self,
        job: Job,
        wanted: ShareRequest,
        *,
        password_of: Share | None = None,
        end_of: Share | None = None,
    ) -> Share:
        """Share a transcript, or change how; the address stays. ``password_of`` and ``end_of``:
        an earlier share whose password and whose end are kept where ``wanted`` names none.

        Raises:
            Conflict: the job is not done.
            Unprocessable: the password cannot be one.
        """
        if not job.allows(Action.SHARE):
            raise Conflict("Only a completed transcript can be shared.")
        hours = wanted.expires_in_hours
        expires = None if hours is None else time.time() + hours * 3600
        return await self._system.shares.put(
            job,
            utc(time.time()),
            expires=end_of.expires if end_of else expires,
            password_hash=await _hashed(wanted.password)
            or (password_of.password_hash if password_of else None),
            with_audio=wanted.with_audio,
            with_downloads=wanted.with_downloads,
        )

    async def revoke(self, job: Job) -> bool:
        """Whether there was a share. Its address never works again."""
        return await self._system.shares.revoke(job)

    async def find(self, token: str) -> tuple[Share, Job]:
        """
        Raises:
            NotFound: no share has that token, or it has expired.
        """
        found = await self._system.shares.find(token, time.time())
        job = await self._system.jobs.get(found[1]) if found else None
        if found is None or job is None:
            raise NotFound("there is no such page")
        return found[0], job

    async def note_visit(self, share: Share) -> None:
        await self._system.shares.count_access(share.token, utc(time.time()))

    async def unlock(self, share: Share, password: str, address: str) -> str | None:
        """What proves from now on that the password was known, for `is_unlocked`; None where it
        is another.

        Raises:
            TooMany: this address, or all of them together, have tried too often.
        """
        for limiter, key in (
            (self._tries, (share.token, neighbourhood(address))),
            (self._tries_anywhere, share.token),
        ):
            if (allowance := limiter.take(key)).exceeded:
                raise TooMany("Too many attempts.", allowance.retry_after)
        if not await passwords.verify(share.password_hash, password):
            return None
        return self._access.seal(_sealed(share))

    def is_unlocked(self, share: Share, proof: str) -> bool:
        if share.password_hash is None:
            return True
        return hmac.compare_digest(proof.encode(), self._access.seal(_sealed(share)).encode())


def share_url(share: Share, base_url: str) -> str:
    return f"{base_url}{PATH}/{share.token}"


def cookie_name(share: Share) -> str:
    return "share_" + hashlib.sha256(share.token.encode()).hexdigest()[:16]


def _sealed(share: Share) -> bytes:
    """Another password, or another share, needs another proof."""
    return f"{share.token}:{share.password_hash}".encode()


async def _hashed(password: str | None) -> str | None:
    if not password:
        return None
    try:
        return await passwords.hashed_aside(password)
    except Invalid as refusal:
        raise Unprocessable({"password": [refusal.message]}) from None
