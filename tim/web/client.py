"""The browser and the address of a request, as users read them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from flask import Request
from ua_parser import parse_os, parse_user_agent

from tim.address import canonical
from tim.ends import Client

LONGEST: Final = 300
"""Characters of a User-Agent that are parsed. A real one has about 120; parsing time grows with the length."""
NAMES: Final = 2000
"""User-Agents whose names are cached."""


def load_names() -> None:
    """Loads what recognises browsers: that takes a fraction of a second, in which a process does nothing else."""
    browser_name("")


def address_of(request: Request) -> str:
    """The client's address, in canonical spelling."""
    return canonical(request.remote_addr or "")


def client_of(request: Request) -> Callable[[], Client]:
    """Returns a function that names the client: its browser, such as "Chrome 156 on Windows", and its address.

    A crafted User-Agent takes milliseconds to parse, so this is done after the UserSig is verified.
    """
    return partial(_client, request.headers.get("User-Agent", ""), address_of(request))


def _client(user_agent: str, address: str) -> Client:
    return Client(browser_name(user_agent[:LONGEST]), address)


@lru_cache(NAMES)
def browser_name(user_agent: str) -> str:
    """The browser and its system; "unknown browser" where it is not recognised."""
    seen, system = parse_user_agent(user_agent), parse_os(user_agent)
    browser = "unknown browser"
    if seen is not None:
        family = seen.family.replace("HeadlessChrome", "Headless Chrome")
        browser = " ".join(part for part in (family, seen.major) if part)
    return browser if system is None else f"{browser} on {system.family}"
