"""The browser and the address of a request, as users read them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from ua_parser import parse_os, parse_user_agent

from tim.address import canonical
from tim.ends import Client

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LONGEST: Final = 300
"""Characters of a User-Agent that are parsed. A real one has about 120; parsing time grows with the length."""
NAMES: Final = 2000
"""User-Agents whose names are cached."""


def load_names() -> None:
    """Loads what recognises browsers: that takes a fraction of a second, in which a process does nothing else."""
    browser_name("")


def address_of(environ: WSGIEnvironment) -> str:
    """The client's address, in canonical spelling."""
    return canonical(environ.get("REMOTE_ADDR") or "")


def client_of(environ: WSGIEnvironment) -> Callable[[], Client]:
    """Returns a function that names the client: its browser, such as "Chrome 156 on Windows", and its address.

    A crafted User-Agent takes milliseconds to parse, so this is done after the UserSig is verified.
    """
    return partial(_client, environ.get("HTTP_USER_AGENT", ""), address_of(environ))


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
