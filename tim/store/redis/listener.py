"""The hints that other processes send to this one: one thread, one connection to each server of the store."""

from __future__ import annotations

import logging
import selectors
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

from redis import Redis
from redis.exceptions import ConnectionError

from tim.errors import StoreUnavailable
from tim.store.hints import Hint, read
from tim.store.redis.connection import FAILURES, PREFIXES, Connection

PAUSE: Final = 0.5
"""Seconds before a broken line is made anew."""
SILENCE: Final = 2.0
"""Seconds between the questions whether a line lives; one that answers none of two is dead."""

ORDINARY: Final = (*FAILURES, StoreUnavailable)
"""What a server that is away is noticed by. Whatever else happens, this process must not go deaf for it."""

log = logging.getLogger("tim")


class Listener:
    """Hears what is told to `node`, until it is closed; whatever breaks is made anew.

    Args:
        hear: called with each hint, on the thread of this object.
        missed: called each time when it listens again, as hints may have been lost before.
    """

    def __init__(
        self, connection: Connection, node: str, hear: Callable[[Hint], None], missed: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._node = node
        self._hear = hear
        self._missed = missed
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="tim-hints", daemon=True).start()

    def close(self) -> None:
        """Stop listening, within a few seconds."""
        self._closed.set()

    def _run(self) -> None:
        said = ""  # one line an outage is enough
        while not self._closed.is_set():
            try:
                with ExitStack() as open_lines:
                    self._listen([self._line(server, parts, open_lines) for server, parts in self._servers()])
            except Exception as error:
                if not self._closed.wait(PAUSE):
                    if str(error) != said:
                        log.warning("hints: %s", error, exc_info=not isinstance(error, ORDINARY))
                    said = str(error)
                    self._connection.look_again()

    def _servers(self) -> list[tuple[Redis, list[int]]]:
        return list(self._connection.servers().items())

    def _line(self, server: Redis, parts: list[int], open_lines: ExitStack) -> Any:
        """A connection that is told the hints of these parts."""
        pool = server.connection_pool
        line: Any = pool.connection_class(**pool.connection_kwargs)  # not one of the few that the pool may make
        open_lines.callback(line.disconnect)
        line.connect()
        # One for each part: a cluster takes no command that is about several.
        asked = [("SSUBSCRIBE", f"{PREFIXES[part]}:node:{self._node}") for part in parts]
        line.send_packed_command(line.pack_commands(asked))
        for _ in parts:
            line.read_response()  # that it is subscribed; an error where the part is elsewhere
        return line

    def _listen(self, lines: list[Any]) -> None:
        with selectors.DefaultSelector() as selector:
            for line in lines:
                selector.register(line._sock, selectors.EVENT_READ, line)
            heard = dict.fromkeys(lines, time.monotonic())
            asked = 0.0
            self._missed()
            while not self._closed.is_set():
                for ready, _ in selector.select(SILENCE / 2):
                    heard[ready.data] = time.monotonic()
                    self._read(ready.data)
                if time.monotonic() > asked + SILENCE:
                    asked = time.monotonic()
                    for line in lines:
                        line.send_command("PING")
                if min(heard.values()) < time.monotonic() - 2 * SILENCE:
                    raise ConnectionError("a line is dead")

    def _read(self, line: Any) -> None:
        while line.can_read(0):
            match line.read_response():
                case ["smessage", _, words]:
                    self._hear(read(words))
                case ["sunsubscribe", *_]:
                    raise ConnectionError("a part has moved to another server")
