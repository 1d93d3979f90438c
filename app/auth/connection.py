"""What a connection tells of whoever is behind it."""

import ipaddress
from collections.abc import Collection
from typing import Any

from litestar.connection import ASGIConnection

from app.auth.permissions import Caller
from app.http.refusals import Denied

OTHER_SITE = "This request came from another site."
Connection = ASGIConnection[Any, Any, Any, Any]


def caller_of(connection: Connection) -> Caller:
    """Whom a guard has let in."""
    caller: Caller = connection.state.caller
    return caller


def owner_of(connection: Connection) -> int | None:
    """The account that a guard has let in; None where the surface asks for none."""
    caller: Caller | None = getattr(connection.state, "caller", None)
    return caller.account.number if caller else None


def address_of(connection: Connection) -> str:
    return connection.client.host if connection.client else ""


def bearer(connection: Connection) -> str | None:
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def api_key(connection: Connection) -> str | None:
    headers = connection.headers
    return (
        bearer(connection)
        or headers.get("x-api-key")
        or headers.get("apikey")
        or connection.query_params.get("apikey")
    )


def neighbourhood(address: str) -> str:
    """Who has one IPv6 address has its whole /64."""
    try:
        return (
            str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address
        )
    except ValueError:
        return address


def check_origin(connection: Connection, home: str | None) -> None:
    """A form of another site must not use a cookie of ours.

    Browsers say where a request that changes something comes from (Fetch Metadata, or else the
    Origin header); what says neither is no browser, and has no cookies of somebody else.

    ``home``: the origin that people reach us by, where it is known.

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
        ours = origin is None or origin in _our_origins(connection, home)
    if not ours:
        raise Denied(OTHER_SITE)


def check_site(connection: Connection, front_ends: Collection[str]) -> None:
    """Another site must not change something by a visitor's browser where nobody needs to sign in.

    ``front_ends``: the origins that may, as for CORS. Browsers say `cross-site` on connections that
    nobody can read or change on the way: with TLS, or to this very machine.

    Raises:
        Denied: it does.
    """
    headers = connection.headers
    if (
        connection.scope.get("method") not in ("GET", "HEAD", "OPTIONS")
        and headers.get("sec-fetch-site") == "cross-site"
        and not {"*", headers.get("origin")} & set(front_ends)
    ):
        raise Denied(OTHER_SITE)


def _our_origins(connection: Connection, home: str | None) -> set[str | None]:
    """``home``, and the address that was asked. A proxy may have rewritten its host, and may not
    have said that it speaks TLS: of the host of ``home``, only ``home`` itself counts."""
    host = connection.headers.get("host")
    if home is not None and home.partition("://")[2] == host:
        return {home}
    return {home, f"{connection.scope['scheme']}://{host}"}
