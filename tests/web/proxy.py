"""A line that can fail: a TCP proxy between a browser and the server."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Final, Literal

Mode = Literal["pass", "black hole", "cut"]
CHUNK: Final = 65536


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

    def close(self) -> None:
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
            far = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            _reset(near)
            return
        far.settimeout(None)
        with self._lock:
            self._lines |= {near, far}
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                with self._lock:
                    swallow = self._mode == "black hole"
                if not swallow:
                    sink.sendall(data)
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
