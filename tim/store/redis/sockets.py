"""Connections to one server, and what is said on them.

redis-py opens a connection: address, TLS, password, database. With it, a call takes several times as long as in Redis:
retries, checks and telemetry that a store has no use for. Here a call is one write and one read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import hiredis
from redis import ConnectionPool
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError, InvalidResponse, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

AT_A_TIME: Final = 1 << 16
"""How many bytes of replies are read at a time."""
NOT_YET: Final = object()
"""Stands for a reply of which some is still to come."""

REFUSALS: Final = frozenset({ReadOnlyError, ResponseError})
"""Errors by which a replica refuses a write: where its disk has failed it says so first."""
REPLICA: Final = "it is a replica, which accepts no writes; TIM_STORE must lead to its master"

Words = tuple[str | float, ...]


class Sockets:
    """Open connections to the server of `pool`, for any number of threads. Each carries one exchange at a time."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._idle: list[Socket] = []
        self._all: set[Socket] = set()
        self._closed = False

    def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """The replies to these commands, in their order. An error of the server stands in place of a reply.

        Raises:
            ConnectionError: the connection broke, or the server has become a replica. Any of the commands may have been
                carried out.
            RedisTimeout: there was no reply in the time that the pool allows.
        """
        try:
            socket = self._idle.pop()
        except IndexError:
            socket = self.open()
        try:
            replies = socket.exchange(commands)
            if not REFUSALS.isdisjoint(map(type, replies)) and socket.leads_to_a_replica():
                self._close_all(REPLICA)  # the address leads to another server now
                raise ConnectionError(REPLICA)
        except BaseException as error:
            # Whoever had it next would read the replies to these commands.
            self.drop(socket)
            if isinstance(error, ConnectionError):  # the server has gone away, and the idle ones are no better
                while self._idle:
                    self.drop(self._idle.pop())
            raise
        self._idle.append(socket)
        return replies

    def open(self) -> Socket:
        """A connection of the caller's own, which it has to `drop`. It is closed with all others.

        Raises:
            ConnectionError: they have been closed for good.
        """
        if self._closed:
            raise ConnectionError("closed")
        socket = Socket(self._pool)
        self._all.add(socket)
        return socket

    def drop(self, socket: Socket) -> None:
        """Close one connection; an exchange that is under way on it fails."""
        self._all.discard(socket)
        socket.close()

    def close(self) -> None:
        """Close all connections for good. Exchanges that are under way fail."""
        self._closed = True
        self._close_all("closed")

    def _close_all(self, why: str) -> None:
        for socket in list(self._all):
            self._all.discard(socket)
            socket.close(why)


class Socket:
    """One connection to the server of `pool`; its first exchange opens it. After an error it can only be closed."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._connection: Any = pool.connection_class(**pool.connection_kwargs)
        self._socket: Any = None
        self._closed = ""  # why, once it is closed
        self._reader = hiredis.Reader(
            encoding="utf-8",
            protocolError=InvalidResponse,
            replyError=BaseParser.parse_error,
            notEnoughData=NOT_YET,
        )

    def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """As `Sockets.exchange`."""
        if self._socket is None:
            self._open()
        try:
            self._send(commands)
            return [self._reply() for _ in commands]
        except TimeoutError:
            raise RedisTimeout("no reply in time") from None
        except OSError as error:
            raise ConnectionError(self._closed or str(error)) from error

    def leads_to_a_replica(self) -> bool:
        """Whether the server has a master. Raises as `exchange`."""
        return "role:slave" in str(self.exchange([("INFO", "replication")])[0])

    def send(self, *words: str | float) -> None:
        """Send a command to whose reply `arrived` waits.

        Raises:
            OSError: the connection broke.
        """
        self._send([words])

    def arrived(self) -> list[Any]:
        """What the server has said, once it has said something: as a rule one thing, none where it is not complete.

        Raises:
            TimeoutError: it has said nothing.
            ConnectionError, OSError: the connection broke.
        """
        try:
            self._receive()
        except (OSError, ConnectionError) as error:
            if self._closed:
                raise ConnectionError(self._closed) from error
            raise
        return list(iter(self._reader.gets, NOT_YET))

    def wait_at_most(self, seconds: float) -> None:
        """From now on `arrived` waits so long; then it raises TimeoutError."""
        self._socket.settimeout(seconds)

    def close(self, why: str = "closed") -> None:
        """Close it; what is under way on it fails, and says `why`."""
        self._closed = self._closed or why
        self._connection.disconnect()

    def _open(self) -> None:
        try:
            self._connection.connect()
        except (ValueError, AttributeError):
            # So it fails where `close` takes its socket away meanwhile.
            if not self._closed:
                raise
        if self._closed:
            self._connection.disconnect()
            raise ConnectionError(self._closed)
        self._socket = self._connection._sock
        if self.leads_to_a_replica():
            raise ConnectionError(REPLICA)

    def _send(self, commands: Sequence[Words]) -> None:
        # By its annotation a command is one word.
        packed = b"".join(map(hiredis.pack_command, commands))  # type: ignore[arg-type]
        # As a rule one write takes all. The `sendall` of gevent asks the system for the size of its buffer first.
        sent = self._socket.send(packed)
        if sent < len(packed):
            self._socket.sendall(packed[sent:])

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is NOT_YET:
            self._receive()
        return reply

    def _receive(self) -> None:
        found = self._socket.recv(AT_A_TIME)
        if not found:
            raise ConnectionError("Connection closed by server.")
        self._reader.feed(found)
