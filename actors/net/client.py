"""The HTTP client for requests to other servers. It checks every address with an address policy."""

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
"""Bytes that are read of the answer to a POST, so that its connection can be used again."""
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
READ_BLOCK = 1 << 18


class Incoming:
    """The answer to a GET, whose body has not been read yet."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.media_type = response.content_type if response.headers.get("content-type") else None
        self.size = response.content_length
        """Bytes, as the sender says; None if it does not say."""
        self.filename = _filename(response)

    async def blocks(self) -> AsyncIterator[bytes]:
        """The body, in blocks.

        Raises:
            OSError, TimeoutError: the body ended too early, or no data came for STALLED_S seconds.
        """
        try:
            async for block in self._response.content.iter_chunked(READ_BLOCK):
                yield block
        except aiohttp.ClientError as error:
            raise _as_os_error(error) from error


class Outbound:
    """The HTTP client. Make one with `open_outbound`."""

    def __init__(self, session: aiohttp.ClientSession, policy: AddressPolicy) -> None:
        self._session, self._policy = session, policy

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a POST and return the HTTP status of the answer. Redirects are not followed.

        Raises:
            Forbidden: the address policy does not allow the address.
            OSError, TimeoutError: no answer came; the message says why.
        """
        # aiohttp does not call the resolver if the host is an IP address, so it is checked here.
        self._policy.check_literal(URL(url).host or "")
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
        """Send a GET, follow up to MOST_REDIRECTS redirects, and give the answer.

        The address of each redirect is checked, too.

        Raises:
            Forbidden: the address policy does not allow one of the addresses.
            Invalid: there are too many redirects, or one does not lead to an http or https URL.
            OSError, TimeoutError: no answer came; the message says why.
        """
        for _ in range(MOST_REDIRECTS + 1):
            self._policy.check_literal(URL(url).host or "")
            try:
                # No compression: audio does not get smaller by it, and the size of the unpacked
                # data would not be known beforehand.
                response = await self._session.get(
                    url, allow_redirects=False, headers={"accept-encoding": "identity"}
                )
            except aiohttp.InvalidURL as error:  # for example an address in an unusual notation
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
async def open_outbound(policy: AddressPolicy) -> AsyncIterator[Outbound]:
    connector = aiohttp.TCPConnector(resolver=Resolver(policy), use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=STALLED_S)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"user-agent": "whisperbox"},
    ) as session:
        yield Outbound(session, policy)


def _joined(base: URL, target: str) -> str:
    """The URL that a redirect leads to.

    Raises:
        Invalid: it is not an http or https URL.
    """
    try:
        return check_url(str(base.join(URL(target))), "a redirect of source_url")
    except ValueError:
        raise Invalid("the source_url redirects to something that is not a URL") from None


def _filename(response: aiohttp.ClientResponse) -> str | None:
    """The file's name as the sender gives it, or else the last part of the URL's path.

    It is only shown to people, and never used as a path.
    """
    named = response.content_disposition.filename if response.content_disposition else None
    name = (named or response.url.name).rsplit("/", 1)[-1].strip()
    return name[:255] or None


def _as_os_error(error: aiohttp.ClientError) -> OSError:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Forbidden):
        return error.os_error
    if isinstance(error, aiohttp.ClientConnectorError):
        return OSError(error.os_error.strerror or str(error.os_error))
    return OSError(str(error) or type(error).__name__)
