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
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any, Final, SupportsIndex

from flask import Blueprint
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server
from wsproto.events import Event, Message
from wsproto.utilities import LocalProtocolError

from tim.errors import StoreUnavailable
from tim.events import CLOSE_LATER

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
INBOX_FRAMES: Final = 100
"""Frames of one socket that may wait to be looked at, and"""
INBOX_BYTES: Final = 256 * 1024
"""how much they may be together. Nothing more is read from a socket until there is room again."""
FRAMES_PER_SECOND: Final = 500
"""Frames of one socket that are read for long; one that sends more is slowed. An SDK sends about twenty when it
starts, then a few a minute."""
BURST: Final = 1000
"""Frames that are read at once. Of pings, pongs and parts of messages, one more ends the socket with TOO_MANY."""
TOO_MANY: Final = 1008
FAILED: Final = 1011
STUCK: Final = 10.0
"""Seconds after which a peer that takes nothing of what is written to it is given up."""
SEND_BUFFER: Final = 128 * 1024
"""Bytes that the system keeps of what a peer has not taken yet."""
TRY_AGAIN: Final = f"try again in {StoreUnavailable.retry_after} seconds"
WHOLE: Final = "tim.socket"
"""Where in the environ of a request its socket stands."""
LARGEST: Final = "tim.largest_frame"
"""Where in the environ of its request a socket's limit stands."""

log = logging.getLogger("tim")


class WholeSocket:
    """A socket whose `send` writes all of it, one writer at a time.

    Attributes:
        upgraded: whether it is a WebSocket by now, so that no word of HTTP may be written into it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()  # owns the writing side
        self.upgraded = False
        with suppress(OSError):  # a Unix socket has no such option, and no network to lose
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PING_PERIOD * 1000)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def send(self, data: bytes) -> int:
        """Write all of `data`.

        Raises:
            OSError: the connection is dead, or its peer has taken nothing of another frame for STUCK seconds.
        """
        if not self._lock.acquire(timeout=STUCK):
            raise TimeoutError(f"it has taken nothing for {STUCK:.0f} seconds")
        try:
            self.upgraded = self.upgraded or data.startswith(b"HTTP/1.1 101")
            self._sock.sendall(data)
        finally:
            self._lock.release()
        return len(data)

    def close(self) -> None:
        """Close it, once the peer has had the time to read what was sent to it.

        A socket that is closed with something unread in it resets its connection, and the close frame is lost with it.
        """
        deadline = time.monotonic() + LINGER
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            self._sock.settimeout(SILENCE)
            while time.monotonic() < deadline and self._sock.recv(UNREAD):
                pass
        self._sock.close()

    def cut(self) -> None:
        """Let nothing more through in either direction."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Inbox(list[bytes | str]):
    """The frames that have come and were not looked at yet. Where there is no room, the reader waits."""

    def __init__(self, is_open: Callable[[], bool], wake: Callable[[], None]) -> None:
        super().__init__()
        self._is_open = is_open
        self._wake = wake
        self._room = threading.Event()

    def append(self, frame: bytes | str) -> None:
        while self and (len(self) >= INBOX_FRAMES or sum(map(len, list(self))) + len(frame) > INBOX_BYTES):
            if not self._is_open():
                return
            self._wake()
            self._room.wait(SILENCE)
            self._room.clear()
        super().append(frame)

    def pop(self, index: SupportsIndex = -1) -> bytes | str:
        frame = super().pop(index)
        self._room.set()
        return frame

    def clear(self) -> None:
        super().clear()
        self._room.set()


class Allowance:
    """How many frames a socket may still send: a bucket that fills with the time."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = time.monotonic()

    def take(self) -> float:
        """Seconds until one more frame is within it; 0 where it is."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * FRAMES_PER_SECOND) - 1
        self._at = now
        return max(0.0, -self._left / FRAMES_PER_SECOND)


class Reader(threading.Thread):
    """The thread that reads a socket. However it ends, whoever waits for the socket is woken."""

    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__(target=target, daemon=True)
        self._ws: Server = target.__self__  # type: ignore[attr-defined]
        self._allowance = Allowance()
        # Here, as no frame is read before this thread runs.
        self._ws.max_message_size = self._ws.environ.get(LARGEST, self._ws.max_message_size)
        self._ws.input_buffer = Inbox(lambda: self._ws.connected, self._ws.event.set)
        self._events = self._ws.ws.events
        self._ws.ws.events = self._paced

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # what a peer sends must not end up as a traceback
            log.info("a socket was given up: %s", error)
            with suppress(*DEAD_LINE):
                self._ws.close(TOO_MANY)
            self._ws.sock.close()
        finally:
            self._ws.connected = False
            self._ws.event.set()

    def _paced(self) -> Iterator[Event]:
        """What has come. A socket that sends too much for too long is read more slowly, so that others get their turn;
        what is no whole message serves nobody, and ends it."""
        for event in self._events():
            wait = self._allowance.take()
            if wait and not (isinstance(event, Message) and event.message_finished):
                raise OverflowError(f"more than {BURST} pings, pongs or parts of messages at once")
            if wait:
                time.sleep(wait)
            yield event


OPTIONS: Final[dict[str, Any]] = {"ping_interval": PING_PERIOD, "max_message_size": 4096, "thread_class": Reader}
"""What flask-sock makes each socket with."""


def limit_frames(environ: dict[str, Any], size: int) -> None:
    """Let the socket of this request take frames of up to `size` bytes."""
    environ[LARGEST] = size


def prepare(environ: dict[str, Any]) -> None:
    """Make the connection of a request ready for flask-sock: whole writes, no compression, no subprotocol.

    permessage-deflate would cost 131 KiB a socket instead of 41.
    """
    environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    environ.pop("HTTP_SEC_WEBSOCKET_PROTOCOL", None)
    for key in ("werkzeug.socket", "gunicorn.socket"):
        if key in environ:
            environ[key] = environ[WHOLE] = WholeSocket(environ[key])


def keep_http_out(environ: dict[str, Any]) -> None:
    """Once the socket of this request is a WebSocket, nothing that is answered to the request gets into it, and nothing
    that is sent into it is taken for another request."""
    whole: WholeSocket | None = environ.get(WHOLE)
    if whole is not None and whole.upgraded:
        whole.cut()


def socket_route(blueprint: Blueprint, path: str) -> Callable[[Callable[[Server], None]], None]:
    """Serve the WebSocket at `path` by the function that is decorated. Whatever fails in it ends in a close frame."""

    def decorate(serve: Callable[[Server], None]) -> None:
        @wraps(serve)
        def run(ws: Server) -> None:
            code = FAILED
            try:
                serve(ws)
                code = CLOSE_LATER  # it has closed the socket itself
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
    ws.thread.join(LINGER)
    with suppress(OSError):
        ws.sock.shutdown(socket.SHUT_RDWR)
