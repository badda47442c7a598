"""The product; /seen tells how many requests gunicorn and Flask have handled.

The fast path waits for first bytes as long as tests wait for anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app import create_app
from tests.support.waiting import PATIENCE
from tim.timing import Timing

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

app = create_app(Timing(first_bytes=PATIENCE))
next_app = app.wsgi_app
seen: list[str] = []


def counted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/seen":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
        return [str(len(seen)).encode()]
    if environ["PATH_INFO"] != "/healthz":
        seen.append(environ["PATH_INFO"])
    return next_app(environ, start_response)


app.wsgi_app = counted  # type: ignore[method-assign]
