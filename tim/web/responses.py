"""Responses that several routes give."""

from __future__ import annotations

from flask import Response, request

from tim.errors import IMError, StoreUnavailable


def go(address: str) -> Response:
    """Send the browser to `address`, whether it sent the request itself or htmx did."""
    if "HX-Request" in request.headers:
        return Response(headers={"HX-Redirect": address})
    return Response(status=303, headers={"Location": address})


def retry_after(error: IMError) -> dict[str, str]:
    """The Retry-After header of a temporary error; no header for any other error."""
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}


def store_unavailable(error: StoreUnavailable) -> Response:
    """503 with the reason, as plain text."""
    return Response(f"{error.message}\n", 503, retry_after(error), mimetype="text/plain")
