"""The product, which says at /seen how many handshakes gunicorn and Flask have handled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

app = create_app()
further = app.wsgi_app
seen: list[str] = []


def counted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/seen":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
        return [str(len(seen)).encode()]
    if environ["PATH_INFO"] != "/healthz":
        seen.append(environ["PATH_INFO"])
    return further(environ, start_response)


app.wsgi_app = counted  # type: ignore[method-assign]
