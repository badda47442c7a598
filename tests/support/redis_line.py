"""A proxy before Redis with faults: delays, silence, cuts, refusals, or single replies and hints lost."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from tests.support.proxy import Cut, Filter, Proxy
from tests.support.redis_server import HOST, RedisServer

# Commands that a client sends by itself.
SMALL_TALK: Final = frozenset(
    {b"HELLO", b"AUTH", b"CLIENT", b"SELECT", b"READONLY", b"COMMAND", b"CLUSTER", b"PING", b"INFO"}
)
SUBSCRIBING: Final = frozenset(
    {b"SUBSCRIBE", b"SSUBSCRIBE", b"PSUBSCRIBE", b"UNSUBSCRIBE", b"SUNSUBSCRIBE", b"PUNSUBSCRIBE"}
)
HINTS: Final = frozenset({b"message", b"smessage"})


class RedisLine(Proxy):
    """Forwards between its own port and a redis-server. `passes()` ends every fault."""

    def __init__(self, server: RedisServer) -> None:
        self._faults = threading.Lock()  # owns the seven below
        self._requests_late = 0.0
        self._replies_late = 0.0
        self._replies_to_pass = self._replies_to_drop = 0
        self._replies_of = b""
        self._hints_are_dropped = False
        self._dropped = 0
        super().__init__(server.port)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def dropped(self) -> int:
        """How many replies and hints it has dropped so far."""
        with self._faults:
            return self._dropped

    def delays(self, *, requests: float = 0, replies: float = 0) -> None:
        """Delay each direction by so many seconds; data that arrives meanwhile is forwarded together."""
        with self._faults:
            self._requests_late, self._replies_late = requests, replies

    def drops_replies(self, times: int, *, after: int = 0, of: str = "") -> None:
        """Drop the replies to the next `times` requests, and with each the connection. Redis carries the requests out.

        So many as `after` says pass before. Only requests with the word `of` in them count. What a client says by
        itself is no request: it would use them up where it connects again.
        """
        with self._faults:
            self._replies_to_pass, self._replies_to_drop, self._replies_of = after, times, of.encode()

    def drops_hints(self) -> None:
        """Drop everything published; replies and confirmations still pass."""
        with self._faults:
            self._hints_are_dropped = True

    def breaks(self) -> None:
        """Reset every connection, once; new ones pass."""
        self._reset_all()

    def refuses(self) -> None:
        """Reset new connections; open ones stay."""
        with self._lock:
            self._mode = "cut"

    def passes(self) -> None:
        with self._faults:
            self._requests_late = self._replies_late = 0
            self._replies_to_drop = 0
            self._hints_are_dropped = False
        super().passes()

    def _filters(self) -> tuple[Filter, Filter]:
        requests, replies = _Items(), _Items()
        to_drop: deque[bool] = deque()  # for each reply that is still to come, in the order of the requests

        def there(data: bytes) -> bytes:
            whole = requests.whole(data)
            for item in whole:
                name = first(item).upper()
                # The answer to a subscription is a push.
                if name not in SUBSCRIBING:
                    to_drop.append(name not in SMALL_TALK and self._is_to_be_dropped(item))
            with self._faults:
                late = self._requests_late
            time.sleep(late)
            return b"".join(whole)

        def back(data: bytes) -> bytes:
            kept = b""
            for item in replies.whole(data):
                if is_push(item):
                    if not self._is_dropped_hint(item):
                        kept += item
                elif to_drop and to_drop.popleft():  # none is expected where a subscription is refused
                    with self._faults:
                        self._dropped += 1
                    raise Cut
                else:
                    kept += item
            with self._faults:
                late = self._replies_late
            time.sleep(late)
            return kept

        return there, back

    def _is_to_be_dropped(self, request: bytes) -> bool:
        with self._faults:
            if self._replies_of not in request:
                return False
            drop = self._replies_to_pass == 0 and self._replies_to_drop > 0
            self._replies_to_pass -= self._replies_to_pass > 0
            self._replies_to_drop -= drop
        return drop

    def _is_dropped_hint(self, item: bytes) -> bool:
        with self._faults:
            drop = self._hints_are_dropped and first(item) in HINTS
            self._dropped += drop
        return drop


class _Items:
    """The whole items of RESP, version 2 or 3, in a stream of bytes that comes in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def whole(self, data: bytes) -> list[bytes]:
        """The items that this piece completes, as they were sent."""
        self._rest += data
        items, at = [], 0
        while (end := end_of(self._rest, at)) is not None:
            items.append(self._rest[at:end])
            at = end
        self._rest = self._rest[at:]
        return items


def end_of(data: bytes, at: int) -> int | None:
    """Where the item that begins at `at` ends; None where that has not come yet."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, end = data[at : at + 1], line + 2
    if kind in b"+-:_#,(":
        return end
    size = int(data[at + 1 : line])
    if kind in b"$=!":
        end += max(size + 2, 0) if size >= 0 else 0
        return end if end <= len(data) else None
    assert kind in b"*~>%", f"no item of RESP begins with {kind!r}"
    for _ in range(size * 2 if kind == b"%" else size):
        after = end_of(data, end)
        if after is None:
            return None
        end = after
    return end


def first(item: bytes) -> bytes:
    """The first element of an array or a push, where it is a string; else nothing."""
    words = item.split(b"\r\n", 3)
    return words[2] if item[:1] in b"*>" and words[1][:1] == b"$" else b""


def is_push(item: bytes) -> bool:
    """Whether it is a push. In version 2 only its content tells it from a reply."""
    return item[:1] == b">" or (item[:4] == b"*3\r\n" and first(item) in HINTS | {name.lower() for name in SUBSCRIBING})
