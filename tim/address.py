"""Network addresses: one spelling for each, and one network for each client."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

UNKNOWN_ADDRESS: Final = "unknown"
"""Stands for anything that is not an address, such as garbage in a header or a Unix socket."""

KNOWN: Final = 1000
"""Addresses that are remembered: a connection asks several times for its own."""
_WITH_PORT: Final = re.compile(r"\[(?P<six>[0-9A-Fa-f:.]+(?:%\w+)?)\](?::\d+)?|(?P<four>[\d.]+):\d+")
_NETWORK: Final = 64
"""Bits of an IPv6 address that a provider assigns; the customer chooses the rest."""


@lru_cache(KNOWN)
def canonical(text: str) -> str:
    """Return the address in `text` without its port, in its canonical spelling; UNKNOWN_ADDRESS where there is none."""
    found = _WITH_PORT.fullmatch(text.strip())
    bare = text.strip() if found is None else found["six"] or found["four"]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return UNKNOWN_ADDRESS
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(KNOWN)
def counted_as(address: str) -> str:
    """Return the address under which a canonical address is counted: itself, or for IPv6 the first of its /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _NETWORK), strict=False).network_address)
