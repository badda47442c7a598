"""Reads a socket, no faster than its messages are handled, and limits frames of every kind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, SupportsIndex

from simple_websocket import ConnectionClosed, Server
from wsproto.events import CloseConnection, Event, Message
from wsproto.utilities import LocalProtocolError

from tim.ends import CLOSE_TOO_MANY
from tim.timing import Timing
from tim.web.allowance import Allowance

INBOX_FRAMES: Final = 100
"""Messages of one socket that may wait to be handled."""
INBOX_BYTES: Final = 256 * 1024
"""Bytes that these may have together. Nothing more is read from the socket until there is room again."""
FRAMES_PER_SECOND: Final = 500
"""Messages of one socket that are read a second in the long run. A peer that sends more is read more slowly. An SDK
sends about twenty when it starts, then a few a minute."""
BURST: Final = 1000
"""Messages of one socket that are read at once."""
CONTROL_PER_SECOND: Final = 50
"""Pings, pongs and message fragments of one socket that are read a second in the long run. A browser answers each ping
with a pong, and sends no fragments."""
CONTROL_BURST: Final = 500
"""Pings, pongs and fragments that are read at once; one more closes the socket with CLOSE_TOO_MANY."""
LARGEST: Final = "tim.largest_frame"
"""Key in the environ of a request: the largest frame that its socket accepts, in bytes."""

log = logging.getLogger("tim")


class Inbox(list[bytes | str]):
    """The messages that are received and not handled yet. The reader waits while there is no room."""

    def __init__(self, is_open: Callable[[], bool], wake: Callable[[], None], pause: float) -> None:
        super().__init__()
        self._pause = pause
        self._is_open = is_open
        self._wake = wake
        self._room = threading.Event()

    def append(self, frame: bytes | str) -> None:
        while self and (len(self) >= INBOX_FRAMES or sum(map(len, list(self))) + len(frame) > INBOX_BYTES):
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

    def __init__(self, timing: Timing, target: Callable[[], None]) -> None:
        super().__init__(target=target, daemon=True)
        self.peer_closed = False
        self._ws: Server = target.__self__  # type: ignore[attr-defined]
        self._messages = Allowance(FRAMES_PER_SECOND, BURST)
        self._others = Allowance(CONTROL_PER_SECOND, CONTROL_BURST)
        # In time: no frame is read before this thread runs.
        self._ws.max_message_size = self._ws.environ.get(LARGEST, self._ws.max_message_size)
        self._ws.input_buffer = Inbox(lambda: self._ws.connected, self._ws.event.set, timing.socket_silence)
        self._events = self._ws.ws.events
        self._ws.ws.events = self._paced

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # no frame of a peer may cause a traceback
            log.info("a socket is closed: %s", error)
            with suppress(ConnectionClosed, LocalProtocolError, OSError):
                self._ws.close(CLOSE_TOO_MANY, str(error))
            self._ws.sock.close()
        finally:
            self._ws.connected = False
            self._ws.event.set()

    def _paced(self) -> Iterator[Event]:
        """Yields the received events.

        A peer that sends too many messages is read more slowly, so that other sockets get their turn. Too many control
        frames or fragments close the socket, as they serve no purpose here.
        """
        for event in self._events():
            if isinstance(event, Message) and event.message_finished:
                time.sleep(self._messages.take())
            elif isinstance(event, CloseConnection):
                self.peer_closed = True
            elif isinstance(event, Message) and not event.frame_finished:
                pass  # the rest of this frame has not come yet
            elif self._others.take():
                raise OverflowError(f"more than {CONTROL_BURST} pings, pongs or parts of messages at once")
            yield event


def limit_frames(environ: dict[str, Any], size: int) -> None:
    """Lets the socket of this request accept frames of up to `size` bytes."""
    environ[LARGEST] = size
