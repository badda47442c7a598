"""The headers of every response."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from flask import Response, request

POLICY: Final = (
    # A page whose connection is dead loads fragments from data: URLs. No script can be loaded from one here.
    "default-src 'self'; connect-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)


def set_headers(response: Response) -> Response:
    """Sets the security headers, and forbids caching except of static files."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if response.location is not None:
        # Werkzeug redirects a path without its slash to the Host of the request: keep only the path.
        response.location = urlunsplit(("", "", *urlsplit(response.location)[2:]))
    if request.endpoint != "static":
        response.vary.update(("Accept-Language", "Cookie"))  # the language
    response.headers["Cache-Control"] = "no-cache" if request.endpoint == "static" else "no-store"
    return response
