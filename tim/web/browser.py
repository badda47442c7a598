"""Who is at the other end of a request, in words a person understands."""

from __future__ import annotations

from flask import Request
from ua_parser import parse

from tim.rules import Client

LONGEST = 1000
"""Characters of a User-Agent that are looked at; a real one has about 120."""


def client_of(request: Request) -> Client:
    """The browser and its system, such as "Chrome 156 on Windows", and the address the request comes from."""
    return Client(browser_name(request.headers.get("User-Agent", "")), request.remote_addr or "unknown")


def browser_name(user_agent: str) -> str:
    """Names the browser and its system; what is not recognised is called an unknown browser."""
    seen = parse(user_agent[:LONGEST])
    browser = "unknown browser"
    if seen.user_agent is not None:
        family = seen.user_agent.family.replace("HeadlessChrome", "Headless Chrome")
        browser = " ".join(part for part in (family, seen.user_agent.major) if part)
    if seen.os is None:
        return browser
    return f"{browser} on {seen.os.family}"
