import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.net.address_policy import AddressPolicy, Forbidden, check_url
from storage.errors import Invalid

METADATA = "169.254.169.254"


@pytest.mark.parametrize(
    "host",
    [METADATA, f"::ffff:{METADATA}", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fe80::1",
     "fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "100.100.100.200"],
)  # fmt: skip
def test_some_addresses_are_never_dialled(host: str) -> None:
    with pytest.raises(Forbidden):
        AddressPolicy(private=True).check(host)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.31.0.1", "::1", "fd12::1", "::ffff:10.0.0.1"],
)  # fmt: skip
def test_private_ones_are_a_setting(host: str) -> None:
    AddressPolicy(private=True).check(host)
    with pytest.raises(Forbidden):
        AddressPolicy().check(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111"])
def test_public_ones_are_dialled(host: str) -> None:
    AddressPolicy().check(host)


@given(st.ip_addresses(v=4))
def test_no_way_of_writing_an_address_slips_through(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    written = (f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) + number)))
    for other in written:
        assert _allowed(str(address)) == _allowed(other)


def _allowed(host: str) -> bool:
    try:
        AddressPolicy().check(host)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize(
    "url", ["http://a/", "https://user:pw@a.example:8443/x?y#z", "http://[::1]/"]
)
def test_urls_that_can_be_posted_to(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "a",
        "//a/",
        "file:///etc/passwd",
        "http://",
        "gopher://a/",
        "http://a/" + "x" * 3000,
        "http://a b/",
        "http://a/\nX",
        "http://" + "x" * 300 + ".example/",
    ],
)
def test_urls_that_cannot(url: str) -> None:
    with pytest.raises(Invalid, match="webhook_url"):
        check_url(url)
