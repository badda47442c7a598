"""Receives the hints for this node: one connection to each server of the store, each with a thread that reads it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from typing import Final

from redis import Redis, RedisError
from redis.exceptions import ConnectionError

from tim.errors import StoreUnavailable
from tim.store.hints import Hint
from tim.store.redis.connection import Connection
from tim.store.redis.decode import UnknownReply, hint_of
from tim.store.redis.shards import key
from tim.store.redis.slots import FAILURES
from tim.store.redis.sockets import Socket
from tim.timing import Timing

ORDINARY: Final = (*FAILURES, StoreUnavailable)
"""Errors of a server that is away. Any other error is logged with its traceback; no error ends the listening."""

log = logging.getLogger("tim")


class Listener:
    """Receives the hints for `node` until it is closed, and opens broken connections anew.

    Args:
        receive: called with each hint, on a thread of this object.
        missed: called each time it begins to listen, as hints may have been lost before.
    """

    def __init__(
        self,
        connection: Connection,
        node: str,
        receive: Callable[[Hint], None],
        missed: Callable[[], None],
        timing: Timing,
    ) -> None:
        self._connection = connection
        self._timing = timing
        self._node = node
        self._receive = receive
        self._missed = missed
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="tim-hints", daemon=True).start()

    def close(self) -> None:
        """Stop listening, within a few seconds."""
        self._closed.set()

    def _run(self) -> None:
        logged = ""  # one line for each outage and reason
        while not self._closed.is_set():
            try:
                with ExitStack() as stack:
                    servers = self._connection.servers().items()
                    sockets = [self._subscribed(server, shards, stack) for server, shards in servers]
                    logged = ""
                    self._listen(sockets)
            except Exception as error:
                if not self._closed.wait(self._timing.hints_retry):
                    if str(error) != logged:
                        log.warning("hints: %s", error, exc_info=not isinstance(error, ORDINARY))
                    logged = str(error)
                    self._connection.look_again()

    def _subscribed(self, server: Redis, shards: list[int], stack: ExitStack) -> Socket:
        """A connection that receives the hints of these shards; `stack` closes it."""
        sockets = self._connection.sockets(server)
        socket = sockets.open()  # not one of those for calls, which are only so many
        stack.callback(sockets.drop, socket)
        # One command for each shard: a cluster takes none that is about several slots.
        for confirmed in socket.exchange([("SSUBSCRIBE", key(shard, "node", self._node)) for shard in shards]):
            if isinstance(confirmed, RedisError):
                raise confirmed  # a shard is on another server
        return socket

    def _listen(self, sockets: list[Socket]) -> None:
        """Receive what these say, until this object is closed.

        Raises:
            ConnectionError, OSError, UnknownReply: one of them is of no use any more.
        """
        self._missed()
        ends: SimpleQueue[Exception | None] = SimpleQueue()
        for socket in sockets:
            threading.Thread(target=self._follow, args=(socket, ends), name="tim-socket", daemon=True).start()
        error = ends.get()
        if error is not None:
            raise error

    def _follow(self, socket: Socket, ends: SimpleQueue[Exception | None]) -> None:
        """Receive what one of them says, and put into `ends` why it has ended."""
        ping = self._timing.hints_ping
        received = pinged = time.monotonic()
        try:
            socket.wait_at_most(ping / 2)
            while not self._closed.is_set():
                with suppress(TimeoutError):
                    self._read(socket)
                    received = time.monotonic()
                now = time.monotonic()
                if now > pinged + ping:
                    pinged = now
                    socket.send("PING")
                if now > received + 2 * ping:
                    raise ConnectionError("a connection is dead")
            ends.put(None)
        except Exception as error:
            ends.put(error)

    def _read(self, socket: Socket) -> None:
        for said in socket.arrived():
            match said:
                case ["smessage", _, published]:
                    self._receive(hint_of(published))
                case ["sunsubscribe", *_]:
                    raise ConnectionError("a shard has moved to another server")
                case ["pong", _] | "PONG":
                    pass
                case RedisError():  # as while it loads its file
                    raise said
                case other:
                    raise UnknownReply(f"an unknown reply on a connection for hints: {other!r}")
