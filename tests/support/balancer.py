"""What stands in front of several servers and gives each connection to one of them, as a balancer does."""

from __future__ import annotations

import socket

from tests.support.proxy import Proxy
from tests.support.server import Server


class Balancer(Proxy):
    """Each new connection goes to the next of `servers` that takes it; no connection is sticky."""

    def __init__(self, *servers: Server) -> None:
        self._servers = list(servers)
        super().__init__(servers[0].port)

    def user_sig(self, user_id: str, expire: int = 86400, *, made: float | None = None) -> str:
        """A UserSig that each of the servers accepts."""
        return self._servers[0].user_sig(user_id, expire, made=made)

    def _reach(self) -> socket.socket:
        # Only the thread that accepts comes here, so nobody else turns the list.
        for _ in self._servers:
            self._servers.append(self._servers.pop(0))
            try:
                return socket.create_connection(("127.0.0.1", self._servers[-1].port), 5)
            except ConnectionRefusedError:
                continue
        raise ConnectionRefusedError("no server is up")
