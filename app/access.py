"""Who is asking, and what they may: sessions, tokens and permissions, in one place."""

import hashlib
import hmac
import ipaddress
import logging
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from app import passwords
from app.faults import Denied, TooMany, Unauthenticated
from app.limits import Limiter
from storage.accounts import Accounts
from storage.errors import Invalid
from storage.records import Account, Permission, Token, View
from storage.times import utc

log = logging.getLogger(__name__)

ALGORITHM = "HS256"
SESSION_S = 3600
WEB_SESSION_S = 14 * 86_400
"""Of a browser, which cannot sign in by itself."""
COOKIE = "whisperbox_session"
LONGEST_ABOUT = 200
TOKEN_PREFIX = "wb_"
API_SCOPE = "whisper.api"
SCOPES = {API_SCOPE: API_SCOPE, "provider_whisper_api": API_SCOPE}
"""What a token may be made for; the second is the older name of the first."""
PERMISSIONS = {
    "whisper.use": Permission.USE,
    "whisper.manage": Permission.MANAGE,
    "whisper.api": Permission.API,
    "provider_openai": Permission.ASSIST,
}
"""By the names that people know."""
LONGEST_EMAIL = 254
NATIVE = "native"
WEB, API = "web", "api"

SIGN_INS_PER_ADDRESS = 30
SIGN_INS_PER_ACCOUNT = 10
SIGN_INS_PER_ACCOUNT_FROM_ANYWHERE = 100
SIGN_IN_WINDOW_S = 300

Connection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True)
class Caller:
    """Somebody who has shown who they are."""

    account: Account
    session: bytes | None = None
    token: Token | None = None

    @property
    def key(self) -> object:
        """Whose requests are counted together."""
        return ("token", self.token.number) if self.token else ("account", self.account.number)

    def require(self, *permissions: Permission) -> None:
        """
        Raises:
            Denied: the account lacks one of them.
        """
        for permission in permissions:
            if not self.account.may(permission):
                name = next(n for n, p in PERMISSIONS.items() if p is permission)
                raise Denied(f"This needs the permission {name}.")

    @property
    def jobs(self) -> View:
        """The jobs that may be seen when signed in: one's own, or for managers all."""
        if self.account.may(Permission.MANAGE):
            return View()
        return View(self.account.number, (WEB, API))

    @property
    def api_jobs(self) -> View:
        """The jobs that may be seen by token: the owner's own of the API."""
        return View(self.account.number, (API,))

    @property
    def native_jobs(self) -> View:
        """The jobs of the native dialect that may be seen where it asks for tokens."""
        everything = self.account.may(Permission.MANAGE)
        return View(None if everything else self.account.number, (NATIVE,))


class Access:
    def __init__(
        self,
        accounts: Accounts,
        key: bytes,
        *,
        requests_per_minute: int,
        native_needs_token: bool,
        home: str | None = None,
    ) -> None:
        """``key`` signs sessions; ``home``: the host, and port, that people reach us by."""
        self.home = home
        self._accounts, self._key = accounts, key
        self._native_needs_token = native_needs_token
        self._requests = Limiter(requests_per_minute, 60)
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
        address = _neighbourhood(address)
        for limiter, key in (
            (self._sign_ins_from, address),
            (self._sign_ins, (email, address)),
            (self._sign_ins_anywhere, email),
        ):
            if (allowance := limiter.take(key)).exceeded:
                raise TooMany("Too many attempts to sign in.", allowance)
        found = await self._accounts.find(email)
        right = await passwords.verify(found[1] if found else None, password)
        if not right or found is None or found[0].disabled_at is not None:
            log.warning("a sign-in was refused", extra={"address": address})
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
            raise TooMany("Too many attempts.", allowance)
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
            _digest(session),
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
        bearer = _bearer(connection)
        if bearer is None and COOKIE in connection.cookies:
            check_origin(connection)
            caller = await self.by_cookie(connection)
        else:
            caller = await self._by_session(bearer)
        self._admit(connection, caller)
        (caller or _nobody()).require(Permission.USE)

    async def let_in_by_token(self, connection: Connection) -> None:
        """
        Raises:
            Unauthenticated: there is no token, or it does not hold.
            Denied: the token's scopes or its owner's permissions do not reach so far.
            TooMany: the token is used too often.
        """
        caller = await self._by_token(_api_key(connection))
        self._admit(connection, caller)
        _require_api(caller or _nobody())

    async def let_in_browser(self, connection: Connection) -> None:
        """
        Raises:
            Unauthenticated: there is no session, or it is over.
            Denied: the account may not use the server, or another site made the browser ask.
        """
        check_origin(connection)
        caller = await self.by_cookie(connection)
        connection.state.caller = caller
        (caller or _nobody()).require(Permission.USE)

    async def let_in_native(self, connection: Connection) -> None:
        """Anybody, unless the operator wants tokens: then a token or a session."""
        if not self._native_needs_token:
            connection.state.view = View(channels=(NATIVE,))
            return
        secret = _api_key(connection)
        caller = await self._by_token(secret) or await self._by_session(secret)
        self._admit(connection, caller)
        caller = caller or _nobody()
        if caller.token:
            _require_api(caller)
        caller.require(Permission.USE)
        connection.state.view = caller.native_jobs

    def _admit(self, connection: Connection, caller: Caller | None) -> None:
        key = caller.key if caller else ("address", address_of(connection))
        connection.state.caller = caller
        connection.state.allowance = allowance = self._requests.take(key)
        if allowance.exceeded:
            raise TooMany("Too many requests.", allowance)

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
        session = _digest(str(claims["sid"]))
        account = await self._accounts.of_session(session, time.time())
        return Caller(account, session=session) if account else None

    async def _by_token(self, secret: str | None) -> Caller | None:
        if not secret or not secret.startswith(TOKEN_PREFIX):
            return None
        now = time.time()
        found = await self._accounts.of_token(_digest(secret), now)
        if found is None:
            return None
        account, token = found
        await self._accounts.token_seen(token, utc(now))
        return Caller(account, token=token)


# Guards: they leave the caller in the connection's state, for the handlers.


async def signed_in(connection: Connection, _: BaseRouteHandler) -> None:
    """Who has signed in and may use the server."""
    await _access(connection).let_in_signed_in(connection)


async def in_browser(connection: Connection, _: BaseRouteHandler) -> None:
    """Who has signed in with a browser, and asks from a page of ours."""
    await _access(connection).let_in_browser(connection)


async def by_token(connection: Connection, _: BaseRouteHandler) -> None:
    """Who has a token for the API, and may use it."""
    await _access(connection).let_in_by_token(connection)


async def native(connection: Connection, _: BaseRouteHandler) -> None:
    """Anybody, unless the operator wants tokens; leaves what they may see."""
    await _access(connection).let_in_native(connection)


def check_origin(connection: Connection) -> None:
    """A form of another site must not use a cookie of ours.

    Browsers say where a request that changes something comes from (Fetch Metadata, or else the
    Origin header); what says neither is no browser, and has no cookies of somebody else.

    Raises:
        Denied: it comes from elsewhere.
    """
    if connection.scope.get("method") in ("GET", "HEAD"):
        return
    headers = connection.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    else:
        homes = (headers.get("host"), _access(connection).home)  # a proxy may rewrite the Host
        ours = origin is None or origin.partition("://")[2] in homes
    if not ours:
        raise Denied("This request came from another site.")


def _access(connection: Connection) -> Access:
    access: Access = connection.app.state.access
    return access


def caller_of(connection: Connection) -> Caller:
    """Whom a guard has let in."""
    caller: Caller = connection.state.caller
    return caller


def address_of(connection: Connection) -> str:
    return connection.client.host if connection.client else ""


def _neighbourhood(address: str) -> str:
    """Who has one IPv6 address has its whole /64."""
    try:
        return (
            str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address
        )
    except ValueError:
        return address


def normalised(email: str) -> str:
    """
    Raises:
        Invalid: it is no e-mail address.
    """
    email = email.strip().lower()
    name, at, host = email.rpartition("@")
    if not (name and at and host) or len(email) > LONGEST_EMAIL or any(c.isspace() for c in email):
        raise Invalid("this is no e-mail address")
    return email


async def create_token(
    accounts: Accounts, account: Account, name: str, scopes: Iterable[str], expires: float | None
) -> tuple[str, Token]:
    """The secret, which is shown this once, and what is kept of it."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = await accounts.add_token(
        account.number,
        _digest(secret),
        name=name,
        scopes={SCOPES[scope] for scope in scopes},
        now=utc(time.time()),
        expires=expires,
    )
    return secret, token


def _require_api(caller: Caller) -> None:
    if caller.token is None or API_SCOPE not in caller.token.scopes:
        raise Denied(f"The token lacks the scope {API_SCOPE}.")
    caller.require(Permission.API, Permission.USE)


def _nobody() -> Caller:
    raise Unauthenticated("Unauthenticated.")


def _bearer(connection: Connection) -> str | None:
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _api_key(connection: Connection) -> str | None:
    headers = connection.headers
    return (
        _bearer(connection)
        or headers.get("x-api-key")
        or headers.get("apikey")
        or connection.query_params.get("apikey")
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
