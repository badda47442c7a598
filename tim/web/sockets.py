"""Sockets as this service needs them: frames that are whole, one place that waits, a clean end.

flask-sock and simple-websocket do the protocol. What is added here: a write is complete and never torn by
another (`sock.send` alone may write a part, and the reader answers pings on its own thread); a peer that stops
reading is given up; whoever waits for a socket waits for one event, set when a frame has come, when something is
to be sent, and when the line is dead.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from simple_websocket import ConnectionClosed, Server
from wsproto.utilities import LocalProtocolError

PING_PERIOD: Final = 25
"""Seconds between pings. A peer that has not answered one when the next is due is gone."""
LINGER: Final = 2
"""Seconds a closing socket waits for its peer to close as well."""
DEAD_LINE: Final = (ConnectionClosed, LocalProtocolError, OSError)
"""What writing to a socket raises that is closed, or that its reader is just closing, or whose line is cut."""
SILENCE: Final = 0.2
"""Seconds after which a peer that sends nothing has nothing more under way."""
UNREAD: Final = 64 * 1024
"""Bytes that are thrown away at a time."""
INBOX_FRAMES: Final = 1000
"""Frames of one socket that may wait to be looked at, and"""
INBOX_BYTES: Final = 256 * 1024
"""how much they may be together."""
LARGEST: Final = "tim.largest_frame"
"""Where in the environ of its request a socket's limit stands."""

log = logging.getLogger("tim")


class WholeSocket:
    """A socket whose `send` writes all of it, one writer at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()  # owns the writing side
        with suppress(OSError):  # a Unix socket has no such option, and no network to lose
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PING_PERIOD * 1000)

    def send(self, data: bytes) -> int:
        with self._lock:
            self._sock.sendall(data)
        return len(data)

    def close(self) -> None:
        """Close it, once the peer has had the time to read what was sent to it.

        A socket that is closed with something unread in it resets its line, and the close frame is lost with it.
        """
        deadline = time.monotonic() + LINGER
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            self._sock.settimeout(SILENCE)
            while time.monotonic() < deadline and self._sock.recv(UNREAD):
                pass
        self._sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Inbox(list[bytes | str]):
    """The frames that have come and were not looked at yet. One too many, or too large a heap, ends the socket."""

    def append(self, frame: bytes | str) -> None:
        super().append(frame)
        if len(self) > INBOX_FRAMES or sum(map(len, list(self))) > INBOX_BYTES:
            raise OverflowError("it sends faster than it can be answered")


class Reader(threading.Thread):
    """The thread that reads a socket. However it ends, whoever waits for the socket hears of it."""

    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__(target=target, daemon=True)
        self._ws: Server = target.__self__  # type: ignore[attr-defined]
        # Here, as no frame is read before this thread runs.
        self._ws.max_message_size = self._ws.environ.get(LARGEST, self._ws.max_message_size)
        self._ws.input_buffer = Inbox()

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # what a peer sends must not end up as a traceback
            log.info("a socket was given up: %s", error)
            with suppress(*DEAD_LINE):
                self._ws.close(1008)
            self._ws.sock.close()
        finally:
            self._ws.connected = False
            self._ws.event.set()


OPTIONS: Final[dict[str, Any]] = {"ping_interval": PING_PERIOD, "max_message_size": 4096, "thread_class": Reader}
"""What flask-sock makes each socket with."""


def limit_frames(environ: dict[str, Any], size: int) -> None:
    """Let the socket of this request take frames of up to `size` bytes."""
    environ[LARGEST] = size


def prepare(environ: dict[str, Any]) -> None:
    """Make the connection of a request ready for flask-sock: whole writes, and no compression.

    permessage-deflate would cost 131 KiB a socket instead of 41.
    """
    environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    for key in ("werkzeug.socket", "gunicorn.socket"):
        if key in environ:
            environ[key] = WholeSocket(environ[key])


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
        ws.close(code, why)
        ws.sock.shutdown(socket.SHUT_WR)
    ws.thread.join(LINGER)
    with suppress(OSError):
        ws.sock.shutdown(socket.SHUT_RDWR)
