"""Who is at the other end of a request, in words a person understands."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from flask import Request
from ua_parser import parse_os, parse_user_agent

from tim.address import canonical
from tim.ends import Client

LONGEST: Final = 300
"""Characters of a User-Agent that are looked at: a real one has about 120, and time grows with them."""
NAMES: Final = 2000
"""User-Agents whose names are remembered."""


def address_of(request: Request) -> str:
    """The address the request comes from, in its one spelling."""
    return canonical(request.remote_addr or "")


def client_of(request: Request) -> Callable[[], Client]:
    """Names the browser and its system, such as "Chrome 156 on Windows", and the address, when it is called.

    Naming a browser takes milliseconds where a User-Agent was made for that, so it waits until a login has verified.
    """
    return partial(_client, request.headers.get("User-Agent", ""), address_of(request))


def _client(user_agent: str, address: str) -> Client:
    return Client(browser_name(user_agent[:LONGEST]), address)


@lru_cache(NAMES)
def browser_name(user_agent: str) -> str:
    """Names the browser and its system; what is not recognised is called an unknown browser."""
    seen, system = parse_user_agent(user_agent), parse_os(user_agent)
    browser = "unknown browser"
    if seen is not None:
        family = seen.family.replace("HeadlessChrome", "Headless Chrome")
        browser = " ".join(part for part in (family, seen.major) if part)
    return browser if system is None else f"{browser} on {system.family}"
