"""The address policy: which addresses the server may connect to when a client gives the URL."""

import ipaddress
import re
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from storage.errors import Invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f]")
LONGEST_URL = 2048

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

# These addresses are always forbidden, except those that the operator allows. The metadata services
# of clouds have link-local addresses, or 100.100.100.200, 168.63.129.16 and fd00:ec2::254.
# 64:ff9b:1::, 2001::, ::ffff:0:0:0 and ::/96 contain IPv4 addresses, in forms that have a meaning
# only within a local network.
_ALWAYS_FORBIDDEN = [
    ipaddress.ip_network(n)
    for n in (
        "0.0.0.0/8",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "224.0.0.0/3",
        "64:ff9b:1::/48",
        "2001::/32",
        "::ffff:0:0:0/96",
        "fd00:ec2::254/128",
        "fe80::/10",
        "ff00::/8",
    )
]
_COMPATIBLE = ipaddress.ip_network("::/96")
_LOOPBACK = ipaddress.ip_address("::1")
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
        "fec0::/10",
    )
]


class Forbidden(OSError):
    """The address policy does not allow a connection to this address."""


class AddressPolicy:
    """Says which addresses the server may connect to."""

    def __init__(self, *, private: bool = False, networks: tuple[Network, ...] = ()) -> None:
        """The public internet is always allowed. ``private``: loopback and private networks are
        allowed, too. ``networks`` are always allowed: the operator has set them."""
        self._private, self._networks = private, networks

    def check(self, host: str) -> None:
        """Check an IP address, written as a text.

        Raises:
            Forbidden: the server must not connect to it.
        """
        written = ipaddress.ip_address(host)
        address = _embedded_ipv4(written)
        if _within(address, self._networks) or _within(written, self._networks):
            return
        if _always_forbidden(address) or (not self._private and _within(address, _PRIVATE)):
            raise Forbidden(f"the address {host} is not allowed")

    def check_literal(self, host: str) -> None:
        """Like `check`, but ``host`` may also be a name: a name is checked when it is resolved."""
        address = _parse_address(host)
        if address is not None:
            self.check(str(address))


class Resolver(AbstractResolver):
    """Resolves a host name and checks all its addresses.

    aiohttp connects to the very addresses that were checked: it does not resolve the name again.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for each in found:
            self._policy.check(each["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR notation, separated by commas.

    Raises:
        ValueError: a part is not a network.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(ipaddress.ip_network(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"is not a list of networks: {error}") from None


def check_url(text: str, field: str = "webhook_url") -> str:
    """Return ``text`` if it is an http or https URL. ``field`` is its name in error sentences.

    Raises:
        Invalid: it is not such a URL; the message says what is wrong.
    """
    if len(text) > LONGEST_URL:
        raise Invalid(f"{field} is longer than {LONGEST_URL} characters")
    try:
        url = URL(text)
        host, _ = url.host, url.port
    except ValueError:
        raise Invalid(f"{field} is not a URL") from None
    if url.scheme not in ("http", "https") or not host:
        raise Invalid(f"{field} must be an http or https URL")
    if _NOT_IN_A_URL.search(text):
        raise Invalid(f"{field} is not a URL")
    if len(host) > 253 or any(len(label) > 63 for label in host.split(".")):
        raise Invalid(f"{field} has a host name that is too long")
    return text


def _embedded_ipv4(address: Address) -> Address:
    """The IPv4 address within an IPv4-mapped, NAT64 or 6to4 address; other addresses unchanged."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address


def _always_forbidden(address: Address) -> bool:
    compatible = address in _COMPATIBLE and address != _LOOPBACK
    return compatible or _within(address, _ALWAYS_FORBIDDEN)


def _within(address: Address, networks: tuple[Network, ...] | list[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def host_of(url: str) -> str:
    """The host of a URL that `check_url` has accepted; an IPv6 address without its brackets."""
    return URL(url).host or ""


def _parse_address(host: str) -> Address | None:
    """The address if ``host`` is one; None if it is a name.

    ``2130706433``, ``0x7f.1`` and ``127.1`` are addresses, too: operating systems read them so.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
