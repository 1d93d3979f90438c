"""Litestar guards: they let in whoever may ask, and leave the caller in the connection's state."""

from litestar.handlers import BaseRouteHandler

from app.auth.access import Access
from app.auth.connection import Connection


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


async def agent(connection: Connection, _: BaseRouteHandler) -> None:
    """An assistant that reads for somebody; leaves what it may see."""
    await _access(connection).let_in_agent(connection)


def _access(connection: Connection) -> Access:
    access: Access = connection.app.state.access
    return access
