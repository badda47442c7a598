"""Routes of WebSockets: whole writes, one event to wait for, and a close frame at each end.

flask-sock and simple-websocket implement the protocol. This module adds three things. A write is complete, and no
other write interrupts it: `sock.send` may write a part, and the reader answers pings on its own thread. A peer that
stops reading is disconnected. One event is set when a frame has arrived, when there is something to send, and when the
connection is dead.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server
from wsproto.utilities import LocalProtocolError

from tim.ends import CLOSE_CUT, CLOSE_FAILED, CLOSE_LATER
from tim.errors import StoreUnavailable
from tim.timing import Timing
from tim.web.context import service
from tim.web.inbound import Reader
from tim.web.transport import CONNECTION, SERVER_SOCKETS, WholeSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DEAD_CONNECTION: Final = (ConnectionClosed, LocalProtocolError, OSError)
"""Errors of a write to a socket that is closed or closing, or whose connection is cut."""
TRY_AGAIN: Final = f"try again in {StoreUnavailable.retry_after} seconds"
"""The text of the close frame that asks a peer to connect again later."""


log = logging.getLogger("tim")


def options(timing: Timing) -> dict[str, Any]:
    """The options with which flask-sock creates each socket."""
    return {
        "ping_interval": timing.ping_period,
        "max_message_size": 4096,
        "thread_class": partial(Reader, timing),
    }


def prepare(environ: WSGIEnvironment) -> WSGIEnvironment:
    """Returns the environ from which flask-sock creates the socket of a request whose handshake is valid.

    Its connection makes whole writes. Of the peer's headers it has the key alone: the library that reads it would
    raise, or answer after its own fashion, at others. So there is no subprotocol, and no compression, which would
    cost 131 KiB a socket instead of 41.
    """
    for name in SERVER_SOCKETS:
        if name in environ:
            environ[name] = environ[CONNECTION] = WholeSocket(environ[name], service().timing)
    handshake = {name: value for name, value in environ.items() if not name.startswith("HTTP_")}
    return handshake | {
        "HTTP_HOST": "localhost",
        "HTTP_UPGRADE": "websocket",
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
        "HTTP_SEC_WEBSOCKET_KEY": environ["HTTP_SEC_WEBSOCKET_KEY"],
    }


def end_upgraded(app: WSGIApplication) -> WSGIApplication:
    """Wraps `app`, so that an upgraded connection ends with its request, however that ends.

    The WSGI server can then neither write an HTTP response into it nor read another request from it.
    """

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        finally:
            connection: WholeSocket | None = environ.get(CONNECTION)
            if connection is not None:
                connection.leave_http()

    return serve


def socket_route(blueprint: Blueprint, path: str) -> Callable[[Callable[[Server], None]], None]:
    """Serves the WebSockets at `path` with the decorated function. A failure in it ends them with a close frame."""

    def decorate(serve: Callable[[Server], None]) -> None:
        @wraps(serve)
        def run(ws: Server) -> None:
            code = CLOSE_FAILED
            try:
                serve(ws)  # which has closed the socket where it returns
            except StoreUnavailable as error:
                log.warning("a socket: %s", error)
                code = CLOSE_LATER
            except Exception:
                log.exception("a socket failed")
            finally:
                hang_up(ws, code)

        Sock().route(path, bp=blueprint)(run)

    return decorate


def wait(ws: Server, seconds: float) -> bool:
    """Waits for an event on `ws`; False after `seconds` without one. Received frames stay in `input_buffer`."""
    happened: bool = ws.event.wait(seconds)
    ws.event.clear()
    return happened


def hang_up(ws: Server, code: int, why: str = "") -> bool:
    """Closes `ws` with `code` and a reason, and lets nothing be written after the close frame.

    Returns whether the peer has sent its own close frame.

    A WSGI server writes an HTTP answer when the handler returns; behind a close frame it is garbage that makes
    a browser forget the code. With CLOSE_CUT there is no close frame either.
    """
    if code != CLOSE_CUT:
        with suppress(*DEAD_CONNECTION):
            ws.close(code, why or (TRY_AGAIN if code == CLOSE_LATER else ""))
            ws.sock.shutdown(socket.SHUT_WR)
        ws.thread.join(service().timing.socket_close)
    ws.sock.end()
    reader: Reader = ws.thread
    return reader.peer_closed
