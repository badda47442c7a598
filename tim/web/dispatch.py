"""Flask's way from a request to its route, without what no route here uses: sessions, coroutines, hosts in rules.

What many requests are asked is read from the environ. werkzeug writes the names of headers anew to find one among them,
and for one that is missing it makes an error, which it catches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import flask
from flask import Flask
from flask.sessions import NullSession, SessionInterface
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Map, MapAdapter
from werkzeug.sansio.http import parse_cookie
from werkzeug.utils import cached_property
from werkzeug.wsgi import get_host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Function = TypeVar("Function", bound=Callable[..., object])


def install(app: Flask) -> None:
    """Shortens the way of every request of `app`."""
    app.request_class = Request
    app.session_interface = NoSession()
    app.ensure_sync = _as_it_is  # type: ignore[method-assign]  # it looks at each function of each request
    app.create_url_adapter = partial(_adapter, app.url_map)  # type: ignore[method-assign]


class Request(flask.Request):
    """A request that finds its cookies at once."""

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        return parse_cookie(self.environ.get("HTTP_COOKIE"), cls=ImmutableMultiDict)  # type: ignore[return-value]


class NoSession(SessionInterface):
    """In place of Flask's session: it would read and sign a cookie for each request."""

    def open_session(self, app: Flask, request: flask.Request) -> NullSession:
        return NullSession()


def behind_proxies(app: WSGIApplication, count: int) -> WSGIApplication:
    """Wraps `app`, so that it sees the X-Forwarded-… of `count` trusted proxies as the request's own."""
    return ProxyFix(app, x_for=count, x_proto=count, x_host=count, x_prefix=count) if count else app


def is_upgrade(environ: WSGIEnvironment) -> bool:
    """Whether `Connection` has the token `upgrade`."""
    return "upgrade" in [word.strip() for word in environ.get("HTTP_CONNECTION", "").lower().split(",")]


def is_socket(environ: WSGIEnvironment) -> bool:
    """Whether the request is a WebSocket handshake."""
    upgrade: str = environ.get("HTTP_UPGRADE", "")
    return upgrade.lower() == "websocket"


def by_htmx(environ: WSGIEnvironment) -> bool:
    """Whether htmx has sent the request, and not the browser by itself."""
    return "HTTP_HX_REQUEST" in environ


def _as_it_is(func: Function) -> Function:
    """No route or hook here is a coroutine, which Flask would have to wrap."""
    return func


def _adapter(rules: Map, request: flask.Request | None) -> MapAdapter | None:
    """What finds the route of a request, and makes addresses during it.

    The library reads and checks the host three times.
    """
    if request is None:
        return None
    environ = request.environ
    host = request.host = get_host(environ)
    scheme = environ["wsgi.url_scheme"]
    if is_upgrade(environ) and is_socket(environ):
        scheme = "wss" if scheme == "https" else "ws"
    root, path, query = (_text(environ.get(name, "")) for name in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"))
    return MapAdapter(rules, host.lower(), root, "", scheme, path or "/", environ["REQUEST_METHOD"], query)


def _text(wsgi: str) -> str:
    """A text of the environ, which has a character for each byte."""
    return wsgi.encode("latin-1").decode(errors="replace")
