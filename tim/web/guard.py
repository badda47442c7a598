"""Checks of every request before its route: host, origin, method and WebSocket handshake.

flask-sock upgrades a connection before its handler runs. A socket is therefore refused here, with a plain HTTP
response. Handshakes on the SDK's fast path, which have no request, are checked by `admits`.
"""

from __future__ import annotations

import re
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

from flask import Flask, Request, Response, abort
from gevent import Timeout
from gevent.monkey import is_module_patched
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wsgi import get_host

from tim.text import text
from tim.web import headers
from tim.web.context import Service, asked, service
from tim.web.dispatch import is_socket
from tim.web.sockets import end_upgraded, prepare

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_REQUEST: Final = 64 * 1024
"""Largest body of a request, in bytes. A message of 12 KiB, percent-encoded, is the largest valid one."""
WASTE: Final = 256 * 1024
"""Bytes of an unread body that are read and discarded."""

PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
"""A valid prefix of the service. Other characters could end a cookie's Path, or point to another host."""
PORT: Final = re.compile(r":[0-9]+\Z")
LOOPBACK: Final = re.compile(r"127(\.[0-9]{1,3}){3}|\[::1\]|(.+\.)?localhost")
"""Names that a browser resolves without DNS."""

OTHER_SITE: Final = text("this form was sent from another site; open the page of this server and send it from there")
OTHER_ORIGIN: Final = text(
    "the Origin of this request is another site; open the page of this server and send it from there "
    "(if it was sent from there, a proxy must pass the Host on with its port)"
)
VERSION: Final = "13"
"""The only Sec-WebSocket-Version that is supported."""
KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
"""A valid Sec-WebSocket-Key."""


def install(app: Flask) -> None:
    """Adds the checks to every route of `app`."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_REQUEST
    app.wsgi_app = end_upgraded(app.wsgi_app)  # type: ignore[assignment, method-assign]
    app.before_request(check_request)
    app.after_request(headers.set_headers)
    app.after_request(read_the_rest)


class Body:
    """The stream of a request's body. Any failure to read it is a bad request.

    Each WSGI server raises errors of its own for malformed chunks and for a cut connection.

    Args:
        seconds: in which it has to arrive, where greenlets serve. A thread waits for it as its server does.
    """

    def __init__(self, stream: BinaryIO, seconds: float) -> None:
        self._stream = stream
        self._until = time.monotonic() + seconds

    def read(self, size: int = -1) -> bytes:
        left = Timeout(self._until - time.monotonic(), TimeoutError()) if is_module_patched("socket") else nullcontext()
        try:
            with left:
                return self._stream.read(size)
        except Exception as error:
            raise ClientDisconnected("the body of this request cannot be read; send the request again") from error


def check_request() -> None:
    """All checks, in their order."""
    request = asked()
    take_any_body(request)
    check_address(request.host, request.environ, service())
    check_method(request)
    check_socket(request.environ, service())
    if is_socket(request.environ):
        prepare(request.environ, service().timing)


def take_any_body(request: Request) -> None:
    """Wraps the body, so that all routes read it through `Body`."""
    request.environ["wsgi.input"] = Body(request.environ["wsgi.input"], service().timing.body)


def check_address(host: str, environ: WSGIEnvironment, here: Service) -> None:
    """Checks that the host is one of TIM_HOSTS and the prefix is a path.

    A malicious site can let its own name resolve to this machine, and has then the same origin as this server.
    """
    name, hosts = PORT.sub("", host).lower().removesuffix("."), here.settings.hosts
    if hosts is not None and name not in hosts and not LOOPBACK.fullmatch(name):
        words = "this server does not answer under this host; set TIM_HOSTS to the names that it is reached by\n"
        abort(Response(words, 421, mimetype="text/plain"))
    if not PREFIX.fullmatch(environ.get("SCRIPT_NAME", "").rstrip("/")):
        abort(400, text("X-Forwarded-Prefix must be a path such as /chat"))


def check_method(request: Request) -> None:
    """Checks that an unsafe method of a browser comes from a page of this server. Other clients may post."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    environ = request.environ
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        if site not in ("same-origin", "none"):
            abort(403, OTHER_SITE)
    elif "HTTP_ORIGIN" in environ and not _own_origin(request):
        abort(403, OTHER_ORIGIN)


def check_socket(environ: WSGIEnvironment, here: Service) -> None:
    """Checks a WebSocket handshake by RFC 6455, section 4.2.1, and that this node has room for one more stream."""
    if not is_socket(environ):
        return
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != VERSION:
        abort(Response(f"this server speaks version {VERSION} of WebSocket\n", 426, {"Sec-WebSocket-Version": VERSION}))
    if environ["REQUEST_METHOD"] != "GET" or not KEY.fullmatch(environ.get("HTTP_SEC_WEBSOCKET_KEY", "")):
        abort(400, "this is no WebSocket handshake: it needs GET and a Sec-WebSocket-Key of 16 bytes")
    if environ["SERVER_PROTOCOL"] < "HTTP/1.1" or "HTTP_HOST" not in environ:
        abort(400, "this is no WebSocket handshake: it needs HTTP/1.1 or later, and a Host")
    if here.backend.full:
        abort(Response("too many tabs are open on this server; try again in 5 seconds\n", 503, {"Retry-After": "5"}))


def admits(environ: WSGIEnvironment, here: Service) -> bool:
    """Whether this is a handshake that the checks let pass."""
    try:
        check_address(get_host(environ), environ, here)
        check_socket(environ, here)
    except HTTPException:
        return False
    return is_socket(environ)


def check_page_socket(request: Request) -> None:
    """Checks that the socket of a page has this server as its Origin, because it is authorised by a cookie."""
    if is_socket(request.environ) and not _own_origin(request):
        abort(403, OTHER_ORIGIN)


def read_the_rest(response: Response) -> Response:
    """Reads and discards the rest of the body, as of a request that was refused.

    Closing a connection with unread data resets it. The response would be lost, and a proxy would mark this server as
    down for a while.
    """
    request = asked()
    if "CONTENT_LENGTH" not in request.environ:
        return response
    length = request.content_length or 0
    with suppress(ClientDisconnected, OSError):
        if length > MAX_REQUEST:
            request.environ["wsgi.input"].read(min(length, WASTE))
        elif length and not is_socket(request.environ):
            request.stream.read()
    return response


def _own_origin(request: Request) -> bool:
    return request.environ.get("HTTP_ORIGIN") == f"{request.scheme}://{request.host}"
