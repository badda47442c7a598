"""Responses that several routes give."""

from __future__ import annotations

import gzip
import html
from typing import Final

from flask import Response, request

from tim.errors import IMError, StoreUnavailable
from tim.web.dispatch import by_htmx
from tim.web.language import translated

FAST: Final = 1
"""The level that takes the least time. The best one takes half as long again, and saves a tenth."""
LIVE: Final = "div#live"
"""The part of a page of the console that is polled, as htmx names it."""


def go(address: str) -> Response:
    """Send the browser to `address`, whether it sent the request itself or htmx did."""
    if by_htmx(request.environ):
        return Response(headers={"HX-Redirect": address})
    return Response(status=303, headers={"Location": address})


def compress(response: Response) -> None:
    """Compresses the body, if the browser can unpack it.

    The length of a compressed body tells how alike its parts are. Of a page that has both a secret and a text that
    strangers choose, it would tell the secret piece by piece.
    """
    response.headers.add("Vary", "Accept-Encoding")
    if request.accept_encodings["gzip"] > 0:
        response.set_data(gzip.compress(response.get_data(), FAST, mtime=0))
        response.headers["Content-Encoding"] = "gzip"


def retry_after(error: IMError) -> dict[str, str]:
    """The Retry-After header of a temporary error; no header for any other error."""
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}


def in_place_of_live(body: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """The answer to a poll of the console that shows `body` in place of what is no longer true.

    What stays the same from one poll to the next is neither read out again nor loses the focus.
    """
    return Response(f'<div hx-swap-oob="innerMorph:#live">{body}</div>', status, headers)


def store_unavailable(error: StoreUnavailable) -> Response:
    """503 with the reason, as plain text, or in the live part of a page of the console."""
    if request.headers.get("HX-Target") == LIVE:
        words = html.escape(translated(error.message))
        return in_place_of_live(f'<p id="away" class="bad" role="alert">{words}</p>', 503, retry_after(error))
    return Response(f"{error.message}\n", 503, retry_after(error), mimetype="text/plain")
