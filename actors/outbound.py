"""How the server reaches out: one HTTP client, and a look at every address it dials."""

import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from storage.errors import Invalid

CONNECT_S = 5
TOTAL_S = 15
MOST_READ = 1 << 16
"""Bytes of an answer that are read, so that its connection can be used again."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_networks = [ipaddress.ip_network(n) for n in ("64:ff9b::/96", "2002::/16")]

# Never a neighbour's service: link-local holds the metadata services of the clouds, and
# 100.100.100.200 and fd00:ec2::254 are such ones elsewhere.
_NEVER = [
    ipaddress.ip_network(n)
    for n in (
        "0.0.0.0/8",
        "100.100.100.200/32",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "224.0.0.0/3",
        "::/128",
        "fd00:ec2::254/128",
        "fe80::/10",
        "ff00::/8",
    )
]
_PRIVATE = [
    ipaddress.ip_network(n)
    for n in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "::1/128",
        "fc00::/7",
    )
]


class Forbidden(OSError):
    """The address is one that this server does not dial."""


class Resolver(AbstractResolver):
    """Resolves once and hands on only addresses that may be dialled."""

    def __init__(self, *, private_allowed: bool) -> None:
        self._private_allowed = private_allowed
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for each in found:
            check(each["host"], private_allowed=self._private_allowed)
        return found

    async def close(self) -> None:
        await self._inner.close()


class Outbound:
    """Make one with `open_outbound`."""

    def __init__(self, session: aiohttp.ClientSession, *, private_allowed: bool) -> None:
        self._session, self._private_allowed = session, private_allowed

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer; a redirect is an answer like another and is not followed.

        Raises:
            Forbidden: the address is one that must not be dialled.
            OSError, TimeoutError: no answer came; the message says why.
        """
        # aiohttp asks no resolver about a literal address.
        if _literal(host := URL(url).host or ""):
            check(host, private_allowed=self._private_allowed)
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await response.content.read(MOST_READ)
                return response.status
        except aiohttp.ClientConnectorError as error:
            raise error.os_error from error  # ours, where it is a Forbidden
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error


@asynccontextmanager
async def open_outbound(*, private_allowed: bool) -> AsyncIterator[Outbound]:
    connector = aiohttp.TCPConnector(
        resolver=Resolver(private_allowed=private_allowed), use_dns_cache=False
    )
    timeout = aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Outbound(session, private_allowed=private_allowed)


def check_url(text: str) -> str:
    """``text`` if it can be a webhook's URL.

    Raises:
        Invalid: with a sentence that says what is wrong.
    """
    try:
        url = URL(text)
        host, _ = url.host, url.port
    except ValueError:
        raise Invalid("webhook_url is not a URL") from None
    if url.scheme not in ("http", "https") or not host:
        raise Invalid("webhook_url must be an http or https URL")
    if len(text) > 2048:
        raise Invalid("webhook_url is longer than 2048 characters")
    return text


def check(host: str, *, private_allowed: bool) -> None:
    """
    Raises:
        Forbidden: the address lies in a network that must not be dialled.
    """
    address = _plain(ipaddress.ip_address(host))
    if _within(address, _NEVER) or (not private_allowed and _within(address, _PRIVATE)):
        raise Forbidden(f"the address {host} is not allowed")


def _plain(address: Address) -> Address:
    """The IPv4 address inside a mapped, NAT64 or 6to4 one; others as they are."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _networks[0]:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address


def _within(
    address: Address, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
