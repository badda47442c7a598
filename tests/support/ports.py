"""Ports for the servers under test."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """A port nobody listens on, below those that the system gives to outgoing connections: it stays free."""
    while True:
        port = random.randint(10_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
