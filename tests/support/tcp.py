"""The TCP connections of this machine, as the kernel lists them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# Of linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
REQUEST_DUMP: Final = 0x301
FAILED: Final = 2
DONE: Final = 3
HEADER: Final = struct.Struct("=IHHII")
"""Of a message: its length, its type, its flags, its number and whom it is for."""
ASKED: Final = struct.Struct("=BBBxI48x")
"""Family, protocol, extensions, one bit for each state, and no filter."""
PORTS: Final = struct.Struct("!4xHH")
"""Of what it lists: the ports, here and there."""
REST: Final = struct.Struct("=60xI4xI")
"""The bytes that the other end has not taken, and the inode."""
ESTABLISHED: Final = 1
LEFT: Final = 8
"""The state of a connection that its other end alone has closed."""


@dataclass(frozen=True)
class Connection:
    """A TCP connection of this machine: its ports here and there, and the bytes that its other end has not taken."""

    port: int
    peer: int
    unsent: int
    inode: str


def still_open() -> list[Connection]:
    """Every connection there is, once from each of its ends, until this end has closed it.

    The kernel leaves the others out. In `/proc/net/tcp` stand thousands of connections that have ended in the last
    minute, and a look took a tenth of a second.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as kernel:
        asked = ASKED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << ESTABLISHED | 1 << LEFT)
        kernel.send(HEADER.pack(HEADER.size + len(asked), SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 1, 0) + asked)
        return list(_listed(kernel))


def _listed(kernel: socket.socket) -> Iterator[Connection]:
    while True:
        data = kernel.recv(65536)
        while data:
            length, kind, *_ = HEADER.unpack_from(data)
            if kind == DONE:
                return
            assert kind != FAILED, "the kernel does not list connections"
            found = data[HEADER.size : length]
            port, peer = PORTS.unpack_from(found)
            unsent, inode = REST.unpack_from(found)
            yield Connection(port, peer, unsent, f"socket:[{inode}]")
            data = data[-(-length // 4) * 4 :]
