"""What every request passes before a page sees it: who may post, which sockets may open, which headers go out.

flask-sock upgrades a connection before its handler runs, so each refusal of a socket happens here, where it is
still a plain answer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import BinaryIO, Final

from flask import Flask, Response, abort, request
from werkzeug.exceptions import ClientDisconnected

from tim.web import headers
from tim.web.context import service
from tim.web.sockets import end_upgraded, prepare

MAX_REQUEST: Final = 64 * 1024
"""Bytes of a request's body. The largest honest one is a message of 12 KiB, written in percent signs."""
WASTE: Final = 256 * 1024
"""Bytes that are read of the body of a request that was answered without them."""

PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
"""Where the service may stand below its host. The rest could end a cookie's Path, or lead to another host."""
PORT: Final = re.compile(r":[0-9]+\Z")
LOOPBACK: Final = re.compile(r"127(\.[0-9]{1,3}){3}|\[::1\]|(.+\.)?localhost")
"""Names that a browser never asks a stranger's DNS for."""

OTHER_ORIGIN: Final = (
    "the Origin of this request is another site; open the page of this server and send it from there "
    "(if it was sent from there, a proxy must pass the Host on with its port)"
)
KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
"""What a Sec-WebSocket-Key looks like."""


def install(app: Flask) -> None:
    """Put the guard in front of every route of `app`."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_REQUEST
    app.wsgi_app = end_upgraded(app.wsgi_app)  # type: ignore[assignment, method-assign]
    app.before_request(take_any_body)
    app.before_request(check_address)
    app.before_request(check_method)
    app.before_request(check_socket)
    app.after_request(headers.set_headers)
    app.after_request(read_the_rest)


class Body:
    """What a server reads a request's body from; whatever makes that fail is a bad request.

    Each server has errors of its own for chunks that are none and for a connection that is cut.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as error:
            raise ClientDisconnected("the body of this request cannot be read; send the request again") from error


def take_any_body() -> None:
    """Read the body through one place. `tim.web.sockets` has its own way to the connection."""
    request.environ["wsgi.input"] = Body(request.environ["wsgi.input"])


def check_address() -> None:
    """The host must be one that this server answers to, and the prefix a path.

    A web page may let its own name lead to this machine, and then be of the same origin as this server.
    """
    name = PORT.sub("", request.host).lower().removesuffix(".")
    hosts = service().settings.hosts
    if hosts is not None and name not in hosts and not LOOPBACK.fullmatch(name):
        words = "this server does not answer under this host; set TIM_HOSTS to the names that it is reached by\n"
        abort(Response(words, 421, mimetype="text/plain"))
    if not PREFIX.fullmatch(request.script_root):
        abort(400, "X-Forwarded-Prefix must be a path such as /chat")


def check_method() -> None:
    """An unsafe method from a browser must come from our own pages. What is no browser may post."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            abort(403, "this form was sent from another site; open the page of this server and send it from there")
    elif "Origin" in request.headers and not _own_origin():
        abort(403, OTHER_ORIGIN)


def check_socket() -> None:
    """A socket is taken where it asks as RFC 6455 says, section 4.2.1, and while there is room for it."""
    if not is_socket():
        return
    if request.headers.get("Sec-WebSocket-Version") != "13":
        abort(Response("this server speaks version 13 of WebSocket\n", 426, {"Sec-WebSocket-Version": "13"}))
    if request.method != "GET" or not KEY.fullmatch(request.headers.get("Sec-WebSocket-Key", "")):
        abort(400, "this is no WebSocket handshake: it needs GET and a Sec-WebSocket-Key of 16 bytes")
    request.environ = prepare(request.environ)
    if service().backend.hub.full:
        abort(Response("too many tabs are open on this server; try again in 5 seconds\n", 503, {"Retry-After": "5"}))


def check_page_socket() -> None:
    """A page's socket carries a cookie, so its Origin must be ours, and must be there."""
    if is_socket() and not _own_origin():
        abort(403, OTHER_ORIGIN)


def is_socket() -> bool:
    """Whether the request asks to become a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def read_the_rest(response: Response) -> Response:
    """Whatever of the body nobody has read, as with a request that was refused.

    A connection that is closed with something unread in it is reset. The answer is lost with it, and a proxy takes
    this server for broken and sends nobody here for a while.
    """
    length = request.content_length or 0
    with suppress(ClientDisconnected, OSError):
        if length > MAX_REQUEST:
            request.environ["wsgi.input"].read(min(length, WASTE))
        elif length and not is_socket():
            request.stream.read()
    return response


def _own_origin() -> bool:
    return request.headers.get("Origin") == f"{request.scheme}://{request.host}"
