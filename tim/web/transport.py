"""The connection below a WebSocket: bounded whole writes, a close without HTTP, detection of a peer that has left."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final

from tim.ends import CLOSE_FAILED
from tim.timing import DEFAULT, Timing

DRAINED_BYTES: Final = 1024 * 1024
"""Bytes that a closing connection reads before it gives up on a peer that goes on sending."""
UNREAD: Final = 64 * 1024
"""Bytes that are read and discarded at a time."""
SLOWEST: Final = 16 * 1024
"""Bytes a second that a peer must accept in the long run."""
SEND_BUFFER: Final = 128 * 1024
"""Size of the send buffer of a connection, in bytes."""
CONNECTION: Final = "tim.connection"
"""Key in the environ of a request: the connection of its socket."""
SERVER_SOCKETS: Final = ("werkzeug.socket", "gunicorn.socket")
"""Keys in the environ under which the WSGI servers pass the connection."""
FAILED_FRAME: Final = b"\x88\x02" + CLOSE_FAILED.to_bytes(2)
"""A close frame with CLOSE_FAILED."""
SWITCHING: Final = b"HTTP/1.1 101 "
TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
"""A socket option whose first byte is the TCP state; None where the system lacks it."""
LEFT: Final = frozenset({7, 8})
"""TCP states after the peer has closed or reset the connection: CLOSE and CLOSE_WAIT."""


class WholeSocket:
    """A socket whose `send` writes all of its data, one writer at a time."""

    def __init__(self, sock: socket.socket, timing: Timing = DEFAULT) -> None:
        self._sock = sock
        self._timing = timing
        self._lock = threading.Lock()  # owns the writing side and the three below
        self._due = 0.0  # monotonic time at which a peer at SLOWEST has accepted everything
        self._upgraded = False  # the response 101 is written
        self._torn = False  # a frame was written in part
        self._ended = False  # the close frame is written; nothing more is sent or received
        self._ours = False  # it outlives its request
        with suppress(OSError):  # a Unix socket has no such option, and no network to lose
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timing.ping_period * 1000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            # gunicorn has set it; werkzeug has not, and each small frame would wait 40 ms for the peer's ACK.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> int:
        """Writes all of `data`. A peer that leaves before the response 101 counts as one that leaves right after it.

        Raises:
            OSError: the connection is dead, or its peer accepts too little.
        """
        switching = data.startswith(SWITCHING)
        if not self._lock.acquire(blocking=False) and not self._lock.acquire(timeout=self._timing.write_stall):
            raise TimeoutError(f"the peer has accepted nothing for {self._timing.write_stall:.0f} seconds")
        try:
            if self._torn:
                raise BrokenPipeError("a frame was written in part")
            self._upgraded = self._upgraded or switching
            self._write(data)
        except OSError:
            if not switching:  # the library that shakes hands catches none; the next read or write fails anyway
                raise
        finally:
            self._lock.release()
        return len(data)

    def _write(self, data: bytes) -> None:
        now = time.monotonic()
        self._due = max(self._due, now) + len(data) / SLOWEST
        self._torn = True
        # Of all of it; who reads waits for something to read first.
        until = self._due + self._timing.write_stall
        self._sock.settimeout(until - now)
        sent = self._sock.send(data)  # mostly all, with the least work
        if sent < len(data):
            self._sock.settimeout(max(0.001, until - time.monotonic()))
            self._sock.sendall(data[sent:])
        self._torn = False

    @property
    def raw(self) -> socket.socket:
        """The socket of the WSGI server."""
        return self._sock

    def peer_left(self) -> bool:
        """Whether the peer has closed the connection, even if data of it is still unread."""
        if TCP_INFO is None:
            return False
        with suppress(OSError):
            return self._sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 1)[0] in LEFT
        return self._sock.fileno() < 0

    def received(self, size: int) -> bytes | None:
        """What has arrived, at most `size` bytes; empty at the end of the connection, None where nothing has yet.

        Raises:
            OSError: the connection is dead.
        """
        self._sock.settimeout(0.0)
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            return None

    def leave_server(self) -> None:
        """Takes the connection over from the WSGI server, which then has a socket without one to close."""
        theirs = self._sock
        self._sock = type(theirs)(theirs.family, theirs.type, theirs.proto, theirs.detach())
        self._ours = True

    def close(self) -> None:
        """Closes the connection after the peer had time to read what was sent."""
        self._drain()
        self._sock.close()

    def end(self) -> None:
        """Shuts both directions down. The close frame is written before."""
        self._ended = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._ours:
            self._sock.close()

    def end_request(self) -> None:
        """Ends a connection that was upgraded, after its request was handled, if it still belongs to the request."""
        if not self._ours:
            self.give_up()

    def give_up(self) -> None:
        """Ends a connection that was upgraded, if it is not ended yet.

        A WSGI server holds the connection by another name than this one, so it is shut down below both.
        """
        if self._upgraded and not self._ended:
            with suppress(OSError):
                self.send(FAILED_FRAME)
            self._drain()
            self.end()

    def _drain(self) -> None:
        """Stops writing, and reads until the peer closes as well or has sent too much.

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
