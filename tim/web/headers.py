"""The headers of every response."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from flask import Response, request

from tim.web.language import PAGE

POLICY: Final = (
    # A page whose connection is dead loads fragments from data: URLs. No script can be loaded from one here.
    "default-src 'self'; connect-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)


ALWAYS: Final = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
"""Headers that no route sets by itself."""


def set_headers(response: Response) -> Response:
    """Adds the security headers, and forbids caching of a response that does not say what holds for it."""
    headers = response.headers
    for name, value in ALWAYS:
        headers.add(name, value)
    if request.is_secure:
        headers.add("Strict-Transport-Security", "max-age=31536000")
    if "Location" in headers:
        # Werkzeug redirects a path without its slash to the Host of the request: keep only the path.
        headers["Location"] = urlunsplit(("", "", *urlsplit(headers["Location"])[2:]))
    if "Cache-Control" not in headers:
        headers.add("Cache-Control", "no-store")
        headers.add("Vary", f"Accept-Language, Cookie, {PAGE}")  # the language
    return response
