"""One client is one address: a port, a spelling, or another address of its network make no other one."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tim.address import UNKNOWN_ADDRESS, canonical, counted_as


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("198.51.100.9:20001", "198.51.100.9"),
        ("2001:DB8:0:0::9", "2001:db8::9"),
        ("[2001:db8::9]:20001", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("[::ffff:c633:6409]:443", "198.51.100.9"),
        ("fe80::1%eth0", "fe80::1"),
        (" 198.51.100.9 ", "198.51.100.9"),
    ],
)
def test_an_address_has_one_spelling(said: str, address: str) -> None:
    assert canonical(said) == address
    assert canonical(address) == address


@pytest.mark.parametrize(
    "said", ["", "unix:", "<script>", "198.51.100.9:", "198.51.100.256", "a" * 9999, "\ud800", "1:2"]
)
def test_what_is_no_address_is_unknown(said: str) -> None:
    assert canonical(said) == UNKNOWN_ADDRESS


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_network_of_ipv6_is_counted_as_one(address: ipaddress.IPv6Address, other: int) -> None:
    neighbour = ipaddress.IPv6Address((int(address) >> 64 << 64) | other)
    if address.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert counted_as(canonical(str(address))) == counted_as(canonical(str(neighbour)))


@given(st.ip_addresses(v=4))
def test_an_address_of_ipv4_is_counted_by_itself(address: ipaddress.IPv4Address) -> None:
    assert counted_as(canonical(str(address))) == str(address)
    assert counted_as(UNKNOWN_ADDRESS) == UNKNOWN_ADDRESS


@given(st.text())
def test_any_text_is_an_address_or_unknown(text: str) -> None:
    found = canonical(text)
    assert found == UNKNOWN_ADDRESS or str(ipaddress.ip_address(found)) == found
