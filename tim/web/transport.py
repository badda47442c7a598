"""The connection below a WebSocket: whole writes within a bound, an end without HTTP, and whether the peer has left."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final

from tim.timing import DEFAULT, Timing

DRAINED_BYTES: Final = 1024 * 1024
"""Bytes that a closing connection reads of what its peer sent before it knew; one that sends more is sending on."""
UNREAD: Final = 64 * 1024
"""Bytes that are thrown away at a time."""
SLOWEST: Final = 16 * 1024
"""Bytes a second that a peer must take in the long run of what is written to it."""
SEND_BUFFER: Final = 128 * 1024
"""Bytes that the system keeps of what a peer has not taken yet."""
CONNECTION: Final = "tim.connection"
"""Where in the environ of its request the connection of a socket stands."""
SERVER_SOCKETS: Final = ("werkzeug.socket", "gunicorn.socket")
"""Where the WSGI servers put the connection."""
FAILED: Final = 1011
"""What a socket is closed with whose handler has failed."""
FAILED_FRAME: Final = b"\x88\x02" + FAILED.to_bytes(2)
"""The close frame of it."""
SWITCHING: Final = b"HTTP/1.1 101 "
TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
"""An option whose first byte is the state of a connection, where the system has it."""
LEFT: Final = frozenset({7, 8})
"""The states in which the peer has closed it, or broken it off."""


class WholeSocket:
    """A socket whose `send` writes all of it, one writer at a time."""

    def __init__(self, sock: socket.socket, timing: Timing = DEFAULT) -> None:
        self._sock = sock
        self._timing = timing
        self._lock = threading.Lock()  # owns the writing side and the three below
        self._due = 0.0  # when the slowest peer would have taken all that was written, by the monotonic clock
        self._upgraded = False  # the 101 has been written
        self._torn = False  # a frame was written in part
        self._ended = False  # its close frame has been written, and nothing goes through any more
        with suppress(OSError):  # a Unix socket has no such option, and no network to lose
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timing.ping_period * 1000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def send(self, data: bytes) -> int:
        """Write all of `data`.

        Raises:
            OSError: the connection is dead, or its peer takes too little of what is written to it.
        """
        if not self._lock.acquire(timeout=self._timing.write_stall):
            raise TimeoutError(f"the peer has taken nothing for {self._timing.write_stall:.0f} seconds")
        try:
            if self._torn:
                raise BrokenPipeError("a frame was written in part")
            self._upgraded = self._upgraded or data.startswith(SWITCHING)
            self._write(data)
        finally:
            self._lock.release()
        return len(data)

    def _write(self, data: bytes) -> None:
        now = time.monotonic()
        self._due = max(self._due, now) + len(data) / SLOWEST
        self._torn = True
        self._sock.settimeout(
            self._due - now + self._timing.write_stall
        )  # of all of it; its reader waits for something to read first
        self._sock.sendall(data)
        self._torn = False

    def peer_left(self) -> bool:
        """Whether the peer has closed the connection, also where it has sent something that is not read yet."""
        if TCP_INFO is None:
            return False
        with suppress(OSError):
            return self._sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 1)[0] in LEFT
        return self._sock.fileno() < 0

    def close(self) -> None:
        """Close it, once the peer has had the time to read what was sent to it."""
        self._drain()
        self._sock.close()

    def end(self) -> None:
        """Let nothing more through, in either direction. The close frame has been written."""
        self._ended = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def leave_http(self) -> None:
        """The request has been handled: a connection that was upgraded is ended, if it was not yet.

        A WSGI server holds the connection by another name than this one, so it is shut down below both.
        """
        if self._upgraded and not self._ended:
            with suppress(OSError):
                self.send(FAILED_FRAME)
            self._drain()
            self.end()

    def _drain(self) -> None:
        """Write nothing more, and read until the peer has closed as well, or has sent too much meanwhile.

        A socket that is closed with something unread in it resets its connection, and the close frame is lost with it.
        """
        deadline, left = time.monotonic() + self._timing.socket_drain, DRAINED_BYTES
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            self._sock.settimeout(self._timing.socket_silence)
            while left > 0 and time.monotonic() < deadline and (data := self._sock.recv(UNREAD)):
                left -= len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
