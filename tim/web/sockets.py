"""Sockets as this service needs them: frames that are whole, one place that waits, a clean end.

flask-sock and simple-websocket do the protocol. What is added here: a write is complete and never torn by
another (`sock.send` alone may write a part, and the reader answers pings on its own thread); a peer that stops
reading is given up; whoever waits for a socket waits for one event, set when a frame has come, when something is
to be sent, and when the line is dead.
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

from tim.ends import CLOSE_LATER
from tim.errors import StoreUnavailable
from tim.timing import Timing
from tim.web.context import service
from tim.web.inbound import Reader
from tim.web.transport import CONNECTION, FAILED, SERVER_SOCKETS, WholeSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DEAD_LINE: Final = (ConnectionClosed, LocalProtocolError, OSError)
"""What writing to a socket raises that is closed, or that its reader is just closing, or whose connection is cut."""
TRY_AGAIN: Final = f"try again in {StoreUnavailable.retry_after} seconds"
"""Said in the close frame where the peer is to come back later."""


log = logging.getLogger("tim")


def options(timing: Timing) -> dict[str, Any]:
    """What flask-sock makes each socket with."""
    return {
        "ping_interval": timing.ping_period,
        "max_message_size": 4096,
        "thread_class": partial(Reader, timing),
    }


def prepare(environ: WSGIEnvironment) -> WSGIEnvironment:
    """The environ that flask-sock makes the socket of a request with, once the handshake was found to be good.

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
    """Around `app`: however a request ends, a connection that it has upgraded ends with it.

    Neither does the WSGI server write an HTTP answer into it, nor take what is sent into it for another request.
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
    """Serve the WebSockets at `path` with the decorated function. Whatever fails in it, a close frame ends them."""

    def decorate(serve: Callable[[Server], None]) -> None:
        @wraps(serve)
        def run(ws: Server) -> None:
            code = FAILED
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
    """Wait until something happens on `ws`; False after `seconds` of nothing. What came stays in `input_buffer`."""
    happened: bool = ws.event.wait(seconds)
    ws.event.clear()
    return happened


def hang_up(ws: Server, code: int, why: str = "") -> None:
    """Close `ws` with `code` and a few words, and see to it that nothing is written after the close frame.

    A WSGI server writes an HTTP answer when the handler returns; behind a close frame it is garbage that makes
    a browser forget the code.
    """
    with suppress(*DEAD_LINE):
        ws.close(code, why or (TRY_AGAIN if code == CLOSE_LATER else ""))
        ws.sock.shutdown(socket.SHUT_WR)
    ws.thread.join(service().timing.socket_close)
    ws.sock.end()
