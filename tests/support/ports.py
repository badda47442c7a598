"""Ports for the servers under test."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator


def _all_ports() -> Iterator[int]:
    """Those below the ones that the system gives to outgoing connections, each once, in any order.

    Processes that run tests at the same time share them out: nobody else takes a port before its server does.
    """
    mine, number = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    ports = list(range(10_000 + int(mine.removeprefix("gw")), 32_000, int(number)))
    random.SystemRandom().shuffle(ports)  # another run on this machine has other ones
    yield from ports


_ports = _all_ports()


def free_port() -> int:
    """A port nobody listens on, and which was not given before: it stays free."""
    for port in _ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is left")
