"""A socket as simple-websocket serves it, with a thread that reads: under `flask run`, TLS, or TIM_STOCK_SOCKETS=1.

This module adds to that class what `tim.web.websocket` has too: whole writes, limits of what is read, one event to wait
for, and a close frame at each end.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, SupportsIndex

from simple_websocket import ConnectionClosed, Server
from wsproto.events import CloseConnection, Event, Message
from wsproto.utilities import LocalProtocolError

from tim.ends import CLOSE_CUT, CLOSE_TOO_MANY
from tim.timing import Timing
from tim.web.framing import Beginning
from tim.web.inbound import Intake, has_room, sizes_of
from tim.web.transport import WholeSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

DEAD_CONNECTION: Final = (ConnectionClosed, LocalProtocolError, OSError)
"""Errors of a write to a socket that is closed or closing, or whose connection is cut."""

log = logging.getLogger("tim")


class StockSocket(Server):  # type: ignore[misc]
    """One socket; see `tim.web.websocket.WebSocket` for what its methods promise."""

    sock: WholeSocket
    thread: Reader

    def __init__(self, environ: WSGIEnvironment, timing: Timing) -> None:
        self._timing = timing
        sizes = sizes_of(environ)
        super().__init__(
            _handshake(environ),
            ping_interval=timing.ping_period,
            max_message_size=sizes.longest,
            thread_class=partial(Reader, timing, sizes.largest),
        )

    @property
    def wake(self) -> Callable[[], None]:
        return self.event.set  # type: ignore[no-any-return]

    @property
    def peer_closed(self) -> bool:
        return self.thread.peer_closed

    def wait(self, seconds: float) -> bool:
        if not self.connected:
            return True
        happened: bool = self.event.wait(seconds)
        self.event.clear()
        return happened

    def has_more(self) -> bool:
        return bool(self.input_buffer)

    def send_all(self, messages: list[bytes | str]) -> None:
        for message in messages:
            self.send(message)

    def go_on(self, serve: Callable[[], object]) -> None:
        serve()

    def hang_up(self, code: int, why: str) -> None:
        if code != CLOSE_CUT:
            with suppress(*DEAD_CONNECTION):
                self.close(code, why)
                self.sock.shutdown(socket.SHUT_WR)
            self.thread.join(self._timing.socket_close)
        self.sock.end()


class Inbox(list[bytes | str]):
    """The messages that are received and not handled yet. The reader waits while there is no room.

    Attributes:
        size: bytes of the next message, if it is too long to be kept.
    """

    def __init__(self, is_open: Callable[[], bool], wake: Callable[[], None], pause: float) -> None:
        super().__init__()
        self._pause = pause
        self._is_open = is_open
        self._wake = wake
        self._room = threading.Event()
        self.size: int | None = None

    def append(self, frame: bytes | str) -> None:
        if self.size is not None:
            frame = Beginning.of(frame.encode() if isinstance(frame, str) else frame, self.size)
        while not has_room(list(self), len(frame)):
            if not self._is_open():
                return
            self._wake()
            self._room.wait(self._pause)
            self._room.clear()
        super().append(frame)

    def pop(self, index: SupportsIndex = -1) -> bytes | str:
        frame = super().pop(index)
        self._room.set()
        return frame

    def clear(self) -> None:
        super().clear()
        self._room.set()


class Reader(threading.Thread):
    """The thread that reads a socket. Its end, for whatever reason, sets the event of the socket.

    Attributes:
        peer_closed: whether the peer has sent a close frame.
    """

    def __init__(self, timing: Timing, largest: int, target: Callable[[], None]) -> None:
        super().__init__(target=target, daemon=True)
        self.peer_closed = False
        self._ws: StockSocket = target.__self__  # type: ignore[attr-defined]
        self._intake = Intake(largest)
        self._largest = largest
        # In time: no frame is read before this thread runs.
        self._inbox = Inbox(lambda: self._ws.connected, self._ws.event.set, timing.socket_silence)
        self._ws.input_buffer = self._inbox
        self._events = self._ws.ws.events
        self._ws.ws.events = self._paced

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # no frame of a peer may cause a traceback
            log.info("a socket is closed: %s", error)
            with suppress(*DEAD_CONNECTION):
                self._ws.close(CLOSE_TOO_MANY, str(error))
            self._ws.sock.close()
        finally:
            self._ws.connected = False
            self._ws.event.set()

    def _paced(self) -> Iterator[Event]:
        """Yields the received events.

        A peer that sends too many messages is read more slowly, so that other sockets get their turn.
        """
        for event in map(self._bounded, self._events()):
            if isinstance(event, Message) and event.message_finished:
                time.sleep(self._intake.count_message(self._ws.incoming_message_len + len(event.data)))
            elif isinstance(event, CloseConnection):
                self.peer_closed = True
            elif isinstance(event, Message) and not event.frame_finished:
                pass  # the rest of this frame has not come yet
            else:
                self._intake.count_other()
            yield event

    def _bounded(self, event: Event) -> Event:
        """The event, without its bytes where its message is too long to be kept; the library keeps those before.

        By `incoming_message_len` the library knows what is too long to be read.
        """
        if not isinstance(event, Message):
            return event
        if isinstance(event.data, str):  # of a text the library counts the characters
            self._ws.incoming_message_len += len(event.data.encode()) - len(event.data)
        size = self._ws.incoming_message_len + len(event.data)
        if size <= self._largest:
            self._inbox.size = None
            return event
        self._inbox.size = self._ws.incoming_message_len = size
        return replace(event, data=event.data[:0])


def _handshake(environ: WSGIEnvironment) -> WSGIEnvironment:
    """The environ of a valid handshake, with the key alone of the peer's headers.

    The library that reads it would raise, or answer after its own fashion, at others. So there is no subprotocol, and
    no compression, which would cost 131 KiB a socket instead of 41.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("HTTP_")}
    return kept | {
        "HTTP_HOST": "localhost",
        "HTTP_UPGRADE": "websocket",
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
        "HTTP_SEC_WEBSOCKET_KEY": environ["HTTP_SEC_WEBSOCKET_KEY"],
    }
