"""How the server reaches out: one HTTP client, and a look at every address it dials."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from actors.net.address_policy import AddressPolicy, Forbidden, Resolver, check_url
from storage.errors import Invalid

CONNECT_S = 5
TOTAL_S = 15
STALLED_S = 30
MOST_READ = 1 << 16
"""Bytes of an answer to a POST that are read, so that its connection can be used again."""
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
READ_BLOCK = 1 << 18


class Incoming:
    """An answer whose body is still to come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.media_type = response.content_type if response.headers.get("content-type") else None
        self.size = response.content_length
        """What the sender says; None where it does not."""
        self.filename = _filename(response)

    async def blocks(self) -> AsyncIterator[bytes]:
        """
        Raises:
            OSError, TimeoutError: it ended too early, or stalled.
        """
        try:
            async for block in self._response.content.iter_chunked(READ_BLOCK):
                yield block
        except aiohttp.ClientError as error:
            raise _as_os_error(error) from error


class Outbound:
    """Make one with `open_outbound`."""

    def __init__(self, session: aiohttp.ClientSession, reach: AddressPolicy) -> None:
        self._session, self._reach = session, reach

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer; a redirect is an answer like another and is not followed.

        Raises:
            Forbidden: the address is one that must not be dialled.
            OSError, TimeoutError: no answer came; the message says why.
        """
        # aiohttp asks no resolver about a literal address.
        self._reach.check_literal(URL(url).host or "")
        try:
            async with self._session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S),
            ) as response:
                await response.content.read(MOST_READ)
                return response.status
        except aiohttp.ClientError as error:
            raise _as_os_error(error) from error

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[Incoming]:
        """The answer to a GET, after at most MOST_REDIRECTS redirects, each looked at anew.

        Raises:
            Forbidden: an address on the way must not be dialled.
            Invalid: a redirect leads nowhere that we go.
            OSError, TimeoutError: no answer came; the message says why.
        """
        for _ in range(MOST_REDIRECTS + 1):
            self._reach.check_literal(URL(url).host or "")
            try:
                # Compressed audio is no smaller, and what inflates cannot be measured beforehand.
                response = await self._session.get(
                    url, allow_redirects=False, headers={"accept-encoding": "identity"}
                )
            except aiohttp.InvalidURL as error:  # an address in a form that nobody writes
                raise Forbidden(str(error)) from error
            except aiohttp.ClientError as error:
                raise _as_os_error(error) from error
            async with response:
                target = response.headers.get("location")
                if response.status not in REDIRECTS or target is None:
                    yield Incoming(response)
                    return
                url = _joined(response.url, target)
        raise Invalid("the source_url redirects too often")


@asynccontextmanager
async def open_outbound(reach: AddressPolicy) -> AsyncIterator[Outbound]:
    connector = aiohttp.TCPConnector(resolver=Resolver(reach), use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=STALLED_S)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"user-agent": "whisperbox"},
    ) as session:
        yield Outbound(session, reach)


def _joined(base: URL, target: str) -> str:
    """
    Raises:
        Invalid: the target of a redirect is not one that we go to.
    """
    try:
        return check_url(str(base.join(URL(target))), "a redirect of source_url")
    except ValueError:
        raise Invalid("the source_url redirects to something that is no URL") from None


def _filename(response: aiohttp.ClientResponse) -> str | None:
    """What the sender calls the file, else the end of its path; never used as a path."""
    named = response.content_disposition.filename if response.content_disposition else None
    name = (named or response.url.name).rsplit("/", 1)[-1].strip()
    return name[:255] or None


def _as_os_error(error: aiohttp.ClientError) -> OSError:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Forbidden):
        return error.os_error
    if isinstance(error, aiohttp.ClientConnectorError):
        return OSError(error.os_error.strerror or str(error.os_error))
    return OSError(str(error) or type(error).__name__)
