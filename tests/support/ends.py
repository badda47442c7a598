"""A socket of ours in this process, and its peer."""

from __future__ import annotations

from gevent import socket

from tim.timing import Timing
from tim.web.inbound import BY_DEFAULT
from tim.web.transport import WholeSocket
from tim.web.websocket import WebSocket

SOON, LONG = 0.2, 20.0
QUICK = Timing(ping_period=SOON, socket_close=SOON)


class Ends:
    """A socket of ours, and its peer. One `send` at either end is one `recv` at the other."""

    def __init__(self, timing: Timing = QUICK) -> None:
        self.ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ws = WebSocket(WholeSocket(self.ours, timing), "dGhlIHNhbXBsZSBub25jZQ==", BY_DEFAULT, timing)
        self.peer.settimeout(LONG)

    def is_greeted(self, then: bytes = b"") -> None:
        """The handshake is answered, and `then` is sent in the same write."""
        answer, _, rest = self.peer.recv(4096).partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert rest == then

    def close(self) -> None:
        self.peer.close()
        self.ws.hang_up(1000, "")
        self.ours.close()
