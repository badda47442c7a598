"""Routes of WebSockets: a socket for each handshake, and a close frame at each end.

A socket is a `tim.web.websocket.WebSocket` in a greenlet, and a `tim.web.stock.StockSocket` elsewhere. Handlers use
what both have: `send`, `send_all`, `wait`, `wake`, `has_more`, `input_buffer`, `connected`, `close_reason` and
`peer_closed`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Final

import flask_sock
from flask import Blueprint

from tim.ends import CLOSE_FAILED, CLOSE_LATER
from tim.errors import StoreUnavailable
from tim.timing import Timing
from tim.web import websocket
from tim.web.context import service
from tim.web.inbound import sizes_of
from tim.web.stock import DEAD_CONNECTION, StockSocket
from tim.web.transport import CONNECTION, SERVER_SOCKETS, WholeSocket
from tim.web.websocket import LeftRequest, WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["DEAD_CONNECTION", "Rest", "Socket", "end_upgraded", "hang_up", "prepare", "socket_route", "upgrade"]

TRY_AGAIN: Final = f"try again in {StoreUnavailable.retry_after} seconds"
"""The text of the close frame that asks a peer to connect again later."""

Socket = WebSocket | StockSocket
Rest = Callable[[], None]
"""What is left to do with a socket, and needs its request no longer."""
Handler = Callable[[Socket], Rest]
"""Looks at the request of a socket. Returns what serves it until its end, and hangs up then."""

log = logging.getLogger("tim")


def prepare(environ: WSGIEnvironment, timing: Timing) -> None:
    """Replaces the connection in the environ of a valid handshake by one that makes whole writes."""
    for name in SERVER_SOCKETS:
        if name in environ:
            environ[name] = environ[CONNECTION] = WholeSocket(environ[name], timing)


class ForFlaskSock:
    """What flask-sock has of a socket. It makes a class for each request, a cycle that keeps this until the garbage is
    collected; `run` below takes the socket out, and hangs up itself.

    Attributes:
        mode: the WSGI server, by which flask-sock ends the request.
    """

    def __init__(self, ws: Socket, mode: str) -> None:
        self.ws: Socket | None = ws
        self.mode = mode

    def take(self) -> Socket:
        """The socket; once."""
        ws, self.ws = self.ws, None
        assert ws is not None
        return ws

    def close(self) -> None:
        """Does nothing: the handler has hung up, or goes on."""


def accept(environ: WSGIEnvironment) -> ForFlaskSock:
    """Answers a valid handshake. Returns its socket.

    There is no subprotocol, and no compression, which would cost 90 KiB a socket.
    """
    here = service()
    if here.settings.stock_sockets or not websocket.can_serve(environ[CONNECTION].raw):
        stock = StockSocket(environ, here.timing)
        return ForFlaskSock(stock, stock.mode)
    return ForFlaskSock(_socket(environ, here.timing), "gunicorn")


def _socket(environ: WSGIEnvironment, timing: Timing) -> WebSocket:
    return WebSocket(environ[CONNECTION], environ["HTTP_SEC_WEBSOCKET_KEY"], sizes_of(environ), timing)


flask_sock.Server = accept  # by this name flask-sock makes the socket of a request


def end_upgraded(app: WSGIApplication) -> WSGIApplication:
    """Wraps `app`, so that an upgraded connection ends with its request, however that ends, unless it has left it.

    The WSGI server can then neither write an HTTP response into it nor read another request from it.
    """

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except LeftRequest:
            raise StopIteration from None  # so gunicorn is told that there is no answer
        finally:
            connection: WholeSocket | None = environ.get(CONNECTION)
            if connection is not None:
                connection.end_request()

    return serve


def socket_route(blueprint: Blueprint, path: str) -> Callable[[Handler], None]:
    """Serves the WebSockets at `path` with the decorated function. A failure in it ends them with a close frame."""

    def decorate(serve: Handler) -> None:
        @wraps(serve)
        def run(held: ForFlaskSock) -> None:
            _serve(held.take(), serve)

        flask_sock.Sock().route(path, bp=blueprint)(run)

    return decorate


def upgrade(environ: WSGIEnvironment, timing: Timing, handler: Handler) -> None:
    """Upgrades a valid handshake without Flask, in a greenlet; returns once the socket is served by its own greenlet.

    A failure ends the socket with a close frame.
    """
    prepare(environ, timing)
    try:
        with suppress(LeftRequest, SystemExit):
            _serve(_socket(environ, timing), handler)
    finally:
        environ[CONNECTION].end_request()


def _serve(ws: Socket, handler: Handler) -> None:
    rest = _guarded(ws, lambda: handler(ws))
    if rest is not None:
        ws.go_on(lambda: _guarded(ws, rest))


def _guarded(ws: Socket, serve: Callable[[], Rest | None]) -> Rest | None:
    """Calls `serve`, and returns what it returns. Without a rest, the socket is closed then, also where that fails."""
    code, rest = CLOSE_FAILED, None
    try:
        rest = serve()  # which has closed the socket where it returns nothing
    except StoreUnavailable as error:
        log.warning("a socket: %s", error)
        code = CLOSE_LATER
    except Exception:
        log.exception("a socket failed")
    finally:
        if rest is None:
            hang_up(ws, code)
    return rest


def hang_up(ws: Socket, code: int, why: str = "") -> bool:
    """Closes `ws` with `code` and a reason, and lets nothing be written after the close frame.

    Returns whether the peer has sent its own close frame.

    A WSGI server writes an HTTP answer when the handler returns; behind a close frame it is garbage that makes
    a browser forget the code. With CLOSE_CUT there is no close frame either.
    """
    ws.hang_up(code, why or (TRY_AGAIN if code == CLOSE_LATER else ""))
    return ws.peer_closed
