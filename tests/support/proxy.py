"""A line that can fail: a TCP proxy in front of a server."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal

Mode = Literal["pass", "black hole", "cut"]
CHUNK: Final = 65536

Filter = Callable[[bytes], bytes]
"""Takes what has come from one side and returns what the other is sent. It may wait, or raise `Cut`."""


class Cut(Exception):
    """A filter's word that its connection is reset."""


class Proxy:
    """Forwards to `target` on this machine.

    Modes: `pass` forwards; `black hole` accepts and keeps every connection and swallows what is sent, in both
    directions, as a network does whose cable was pulled; `cut` resets every connection and every new one.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()  # owns the three below
        self._mode: Mode = "pass"
        self._lines: set[socket.socket] = set()
        self._accepted = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> int:
        """How many connections have come in so far."""
        with self._lock:
            return self._accepted

    def passes(self) -> None:
        """Whole again. What was swallowed is lost, so connections from before are reset."""
        with self._lock:
            was, self._mode = self._mode, "pass"
        if was != "pass":
            self._reset_all()

    def swallows(self) -> None:
        with self._lock:
            self._mode = "black hole"

    def cuts(self) -> None:
        with self._lock:
            self._mode = "cut"
        self._reset_all()

    def leads_to(self, target: int) -> None:
        """From now on new connections go to this port; the others stay what they are."""
        self._target = target

    def close(self) -> None:
        with self._lock:
            self._mode = "cut"  # whoever is at the door now stays outside
        self._door.shutdown(socket.SHUT_RDWR)  # or it would accept one more
        self._door.close()
        self._reset_all()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            with self._lock:
                self._accepted += 1
                mode = self._mode
                if mode == "black hole":
                    self._lines.add(near)
            if mode == "cut":
                _reset(near)
            elif mode == "pass":
                self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        try:
            far = self._reach()
        except OSError:
            _reset(near)
            return
        far.settimeout(None)
        with self._lock:
            self._lines |= {near, far}
            is_cut = self._mode == "cut"
        if is_cut:
            self._reset_all()
            return
        there, back = self._filters()
        for source, sink, kept in ((near, far, there), (far, near, back)):
            threading.Thread(target=self._pump, args=(source, sink, kept), daemon=True).start()

    def _reach(self) -> socket.socket:
        """A connection to the other side."""
        return socket.create_connection(("127.0.0.1", self._target), 5)

    def _filters(self) -> tuple[Filter, Filter]:
        """Of a new connection: what goes to the server, and what comes back."""
        return bytes, bytes

    def _pump(self, source: socket.socket, sink: socket.socket, kept: Filter) -> None:
        try:
            while data := source.recv(CHUNK):
                with self._lock:
                    swallow = self._mode == "black hole"
                if not swallow:
                    sink.sendall(kept(data))
        except Cut:
            _reset(source)
            _reset(sink)
        except OSError:
            pass
        with self._lock:
            if self._mode == "black hole":
                return  # a pulled cable does not tell the other side that one side is gone
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _reset_all(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, set()
        for line in lines:
            _reset(line)


def _reset(line: socket.socket) -> None:
    with suppress(OSError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
