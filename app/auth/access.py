"""Sessions and tokens: who is asking, and whether they may."""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Collection

import jwt

from app.auth import passwords
from app.auth.connection import (
    Connection,
    address_of,
    api_key,
    bearer,
    check_origin,
    check_site,
    neighbourhood,
)
from app.auth.credentials import TOKEN_PREFIX, digest, normalised
from app.auth.operator import ALGORITHM, is_pass
from app.auth.permissions import WITHOUT_ACCOUNT, Caller, nobody, require_api
from app.auth.request_limits import Limiter
from app.auth.settings import AccessSettings
from app.http.refusals import TooMany, Unauthenticated
from storage.accounts import Accounts
from storage.errors import Invalid
from storage.records import Account, Permission, View
from storage.times import utc

log = logging.getLogger(__name__)

SESSION_S = 3600
WEB_SESSION_S = 14 * 86_400
"""Of a browser, which cannot sign in by itself."""
COOKIE = "whisperbox_session"
LONGEST_ABOUT = 200

SIGN_INS_PER_ADDRESS = 30
SIGN_INS_PER_ACCOUNT = 10
SIGN_INS_PER_ACCOUNT_FROM_ANYWHERE = 100
SIGN_IN_WINDOW_S = 300


class Access:
    def __init__(
        self,
        accounts: Accounts,
        key: bytes,
        settings: AccessSettings,
        *,
        home: str | None = None,
        front_ends: Collection[str] = (),
    ) -> None:
        """``key`` signs sessions; ``home``: the origin that people reach us by; ``front_ends``:
        the origins of other sites whose pages may ask."""
        self._front_ends = front_ends
        self.home = home
        self._accounts, self._key = accounts, key
        self._native_needs_token = settings.require_token
        self._requests = Limiter(settings.requests_per_minute, 60)
        self._sign_ins = Limiter(SIGN_INS_PER_ACCOUNT, SIGN_IN_WINDOW_S)
        self._sign_ins_anywhere = Limiter(SIGN_INS_PER_ACCOUNT_FROM_ANYWHERE, SIGN_IN_WINDOW_S)
        self._sign_ins_from = Limiter(SIGN_INS_PER_ADDRESS, SIGN_IN_WINDOW_S)

    # Signing in and out.

    async def sign_in(
        self,
        email: str,
        password: str,
        address: str,
        *,
        lasts: float = SESSION_S,
        about: str = "",
    ) -> tuple[str, Account]:
        """A new session of ``lasts`` seconds, and whose it is; ``about`` tells it from others.

        Raises:
            Unauthenticated: no such account, another password, or a disabled account.
            TooMany: it was tried too often, by this account or from this address.
        """
        email = normalised(email)
        shown_address, address = address, neighbourhood(address)
        for limiter, key in (
            (self._sign_ins_from, address),
            (self._sign_ins, (email, address)),
            (self._sign_ins_anywhere, email),
        ):
            if (allowance := limiter.take(key)).exceeded:
                raise TooMany("Too many attempts to sign in.", allowance.retry_after)
        found = await self._accounts.find(email)
        right = await passwords.verify(found[1] if found else None, password)
        if not right or found is None or found[0].disabled_at is not None:
            log.warning("a sign-in was refused", extra={"address": shown_address})
            raise Unauthenticated("The e-mail address or the password is wrong.")
        self._sign_ins.forget((email, address))
        return await self._begin_session(found[0], lasts, about), found[0]

    async def change_password(self, caller: Caller, old: str, new: str, about: str) -> str:
        """Every session of the account is over; returns a new one for the browser at hand.

        Raises:
            Invalid: the old password is another, or the new one cannot be one.
            TooMany: it was tried too often.
        """
        account = caller.account
        if (allowance := self._sign_ins_anywhere.take(account.email)).exceeded:
            raise TooMany("Too many attempts.", allowance.retry_after)
        found = await self._accounts.find(account.email)
        if found is None or not await passwords.verify(found[1], old):
            raise Invalid("The old password is wrong.")
        await self.set_password(account, new)
        return await self._begin_session(account, WEB_SESSION_S, about)

    async def set_password(self, account: Account, password: str) -> None:
        """
        Raises:
            Invalid: it cannot be one.
        """
        await self._accounts.set_password(account.number, await passwords.hashed_aside(password))

    async def _begin_session(self, account: Account, lasts: float, about: str) -> str:
        now, session = time.time(), secrets.token_urlsafe(32)
        await self._accounts.begin_session(
            account.number,
            digest(session),
            utc(now),
            expires=now + lasts,
            expired=now,
            about=about[:LONGEST_ABOUT],
        )
        claims = {"sid": session, "iat": int(now), "exp": int(now + lasts)}
        return jwt.encode(claims, self._key, ALGORITHM)

    async def sign_out(self, caller: Caller) -> None:
        if caller.session is not None:
            await self._accounts.end_session(caller.session)

    async def by_cookie(self, connection: Connection) -> Caller | None:
        """Whose browser it is, while the session lasts."""
        return await self._by_session(connection.cookies.get(COOKIE))

    def seal(self, text: bytes) -> str:
        """What only this server could have made of ``text``."""
        return hmac.new(self._key, b"seal:" + text, hashlib.sha256).hexdigest()

    # Letting in: what the guards below do.

    async def let_in_signed_in(self, connection: Connection) -> None:
        """
        Raises:
            Unauthenticated: there is no session, or it is over.
            Denied: the account may not use the server, or another site makes a browser ask.
            TooMany: the account asks too often.
        """
        session = bearer(connection)
        if session is None and COOKIE in connection.cookies:
            check_origin(connection, self.home)
            caller = await self.by_cookie(connection)
        else:
            caller = await self._by_session(session)
        self._admit(connection, caller)
        (caller or nobody()).require(Permission.USE)

    async def let_in_by_token(self, connection: Connection) -> None:
        """
        Raises:
            Unauthenticated: there is no token, or it does not hold.
            Denied: the token's scopes or its owner's permissions do not reach so far.
            TooMany: the token is used too often.
        """
        caller = await self._by_token(api_key(connection))
        self._admit(connection, caller)
        require_api(caller or nobody())

    async def let_in_browser(self, connection: Connection) -> None:
        """
        Raises:
            Unauthenticated: there is no session, or it is over.
            Denied: the account may not use the server, or another site made the browser ask.
        """
        check_origin(connection, self.home)
        caller = await self.by_cookie(connection)
        connection.state.caller = caller
        (caller or nobody()).require(Permission.USE)

    async def let_in_native(self, connection: Connection) -> None:
        """Anybody, unless the operator wants tokens: then a token or a session. The operator sees
        the jobs of all surfaces.

        Raises:
            Unauthenticated: the operator wants tokens, and there is none that holds.
            Denied: the token does not reach so far, or another site makes a browser ask.
            TooMany: the token is used too often.
        """
        secret = api_key(connection)
        if is_pass(secret, self._key):
            connection.state.view = View()
            return
        if not self._native_needs_token:
            check_site(connection, self._front_ends)
            connection.state.view = View(channels=WITHOUT_ACCOUNT)
            return
        caller = await self._by_token(secret) or await self._by_session(secret)
        self._admit(connection, caller)
        caller = caller or nobody()
        if caller.token:
            require_api(caller)
        caller.require(Permission.USE)
        connection.state.view = caller.native_jobs

    async def is_still_in(self, connection: Connection) -> bool:
        """Whether `let_in_native` would let this open connection in again."""
        if getattr(connection.state, "caller", None) is None:
            return True  # it has needed nobody
        secret = api_key(connection)
        caller = await self._by_token(secret) or await self._by_session(secret)
        return caller is not None and caller.account.may(Permission.USE)

    async def let_in_agent(self, connection: Connection) -> None:
        """An assistant: with a token whatever its owner may see, without one what the surfaces
        without accounts have, unless the operator wants tokens.

        Raises:
            Unauthenticated: there is no token, or it does not hold.
            Denied: the token does not reach so far, or another site makes a browser ask.
            TooMany: the token is used too often.
        """
        check_origin(connection, self.home)
        secret = api_key(connection)
        if secret is None and not self._native_needs_token:
            connection.state.view = View(channels=WITHOUT_ACCOUNT)
            return
        caller = await self._by_token(secret)
        self._admit(connection, caller)
        caller = caller or nobody()
        require_api(caller)
        connection.state.view = caller.all_jobs

    def _admit(self, connection: Connection, caller: Caller | None) -> None:
        key = caller.key if caller else ("address", address_of(connection))
        connection.state.caller = caller
        connection.state.allowance = allowance = self._requests.take(key)
        if allowance.exceeded:
            raise TooMany("Too many requests.", allowance.retry_after)

    async def _by_session(self, secret: str | None) -> Caller | None:
        try:
            claims = jwt.decode(
                secret or "",
                self._key,
                algorithms=[ALGORITHM],
                options={"require": ["exp", "sid"]},
            )
        except jwt.InvalidTokenError:
            return None
        session = digest(str(claims["sid"]))
        account = await self._accounts.of_session(session, time.time())
        return Caller(account, session=session) if account else None

    async def _by_token(self, secret: str | None) -> Caller | None:
        if not secret or not secret.startswith(TOKEN_PREFIX):
            return None
        now = time.time()
        found = await self._accounts.of_token(digest(secret), now)
        if found is None:
            return None
        account, token = found
        await self._accounts.note_token_use(token, utc(now))
        return Caller(account, token=token)
